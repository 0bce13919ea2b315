"""Networks and gates against naive code: bases, unknown bases (columns of zeros), neutral columns, absent experts."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.special import softmax
from torch import nn

from tfbs_moe.models.kmer import KmerLogistic
from tfbs_moe.models.language_model import LanguageModel
from tfbs_moe.models.registry import build_gate

WINDOW, K = 12, 3
ALL = ["".join(bases) for bases in itertools.product("ACGT", repeat=K)]
COMPLEMENT = str.maketrans("ACGT", "TGCA")
TEXTS = ["ACGTTGCAACGT", "NCGTTGCAACGN", "ACGTNGCA.CGT", ".ACGTTGCAAC.", "AAAAAAAAAAAA", "NNNNNN......"]


def encoded(text: str) -> torch.Tensor:
    """Return (4, L): N is a column of zeros, a dot a neutral column."""
    columns = [F.one_hot(torch.tensor("ACGT".index(base)), 4) if base in "ACGT" else torch.zeros(4) for base in text]
    found = torch.stack(columns, dim=1).float()
    found[:, [place for place, base in enumerate(text) if base == "."]] = 0.25
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_kmers_are_counted_where_every_column_is_a_base(text: str) -> None:
    """Before the mend a neutral column counted as an A."""
    draw = torch.Generator().manual_seed(0)
    model = KmerLogistic(WINDOW, {"k": K}).eval()
    with torch.no_grad():
        model.weights.weight[:-1] = torch.randn(len(model.weights.weight) - 1, 1, generator=draw)
        model.bias.fill_(0.5)
    # The weight of a k-mer and of its reverse complement is what the model makes of one alone.
    canonical = {kmer: min(kmer, kmer.translate(COMPLEMENT)[::-1]) for kmer in ALL}
    alone = torch.stack([encoded(canonical[kmer].ljust(WINDOW, "N")) for kmer in ALL])
    weight = dict(zip(ALL, (model(alone) - 0.5).tolist(), strict=True))
    kmers = [text[start : start + K] for start in range(WINDOW - K + 1)]
    expected = 0.5 + sum(weight.get(kmer, 0.0) for kmer in kmers)
    assert model(encoded(text)[None]).item() == pytest.approx(expected, abs=1e-5)
    turned = encoded(text)[None].flip(1, 2)
    said = model(turned)
    assert said.item() == pytest.approx(expected, abs=1e-5), "the other strand"
    said.sum().backward()
    counts = model.weights.weight.grad
    assert counts is not None and counts.sum() == sum(kmer in weight for kmer in kmers), "unknown ones teach nothing"
    assert (counts * model.weights.weight).sum().item() == pytest.approx(expected - 0.5, abs=1e-5)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("stride", [1, K])
def test_a_token_of_mixed_columns_is_the_mean_over_their_bases(text: str, stride: int) -> None:
    """With a gradient and without; before the mend a neutral column was an A where none was requested."""
    words = torch.randn(len(ALL) + 3, 5, generator=torch.Generator().manual_seed(1))
    model = SimpleNamespace(
        settings=SimpleNamespace(kmer=K, stride=stride), tokens=torch.arange(len(ALL)), special=torch.arange(64, 67)
    )
    expected = []
    for start in range(0, WINDOW - K + 1, stride):
        choices = [{".": "ACGT", "N": "N"}.get(base, base) for base in text[start : start + K]]
        tokens = [ALL.index("".join(one)) if "N" not in one else 66 for one in itertools.product(*choices)]
        expected.append(words[tokens].mean(dim=0))
    x = encoded(text)[None]
    for given in (x, x.clone().requires_grad_()):
        found = LanguageModel._embed_tokens(model, given, words)[0]
        torch.testing.assert_close(found.detach(), torch.stack(expected), rtol=1e-5, atol=1e-5)


def gated(name: str, seed: int) -> tuple[nn.Module, torch.Tensor, np.ndarray, np.ndarray]:
    """A gate with heads of its own, embeddings of which some are absent, and both as plain numbers."""
    torch.manual_seed(seed)
    gate = build_gate(name, 3, 8, {}, seed).eval()
    embeddings = torch.randn(5, 3, 8)
    embeddings[1, 0] = embeddings[2, 1:] = torch.nan
    if name == "logit":
        gate.head_weight.copy_(torch.randn(3, 8))
        gate.head_bias.copy_(torch.randn(3))
        gate.scale.data, gate.shift.data = torch.randn(2, 3)
    present = ~embeddings[:, :, 0].isnan().numpy()
    return gate, embeddings, embeddings.nan_to_num().double().numpy(), present


def linear(layer: nn.Module, x: np.ndarray) -> np.ndarray:
    return x @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()


@pytest.mark.parametrize("seed", range(2))
def test_a_gate_over_logits_is_its_formula(seed: int) -> None:
    gate, embeddings, x, present = gated("logit", seed)
    heads, bias, scale, shift = (
        value.detach().double().numpy() for value in (gate.head_weight, gate.head_bias, gate.scale, gate.shift)
    )
    with torch.no_grad():
        logit, weights = gate(embeddings)
    for row, here in enumerate(present):
        said = np.array([x[row, k] @ heads[k] + bias[k] if here[k] else 0.0 for k in range(3)])
        hidden = linear(gate.score[1], np.concatenate([x[row].ravel(), said, here]))
        scores = linear(gate.score[4], np.maximum(hidden, 0))
        shares = softmax(np.where(here, scores, -np.inf))
        np.testing.assert_allclose(weights[row], shares, atol=1e-6)
        expected = sum(shares[k] * (said[k] * np.logaddexp(0, scale[k] + 1) + shift[k]) for k in range(3))
        assert float(logit[row]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("seed", range(2))
def test_a_gate_by_attention_is_its_formula(seed: int) -> None:
    """Vaswani et al. (2017), head by head; weights are means over heads."""
    gate, embeddings, x, present = gated("attention", seed)
    with torch.no_grad():
        logit, weights = gate(embeddings)
    to_all, bias = (
        value.detach().double().numpy() for value in (gate.attention.in_proj_weight, gate.attention.in_proj_bias)
    )
    place = gate.place.detach().double().numpy()
    for row, here in enumerate(present):
        query = to_all[:8] @ linear(gate.query, x[row].ravel()) + bias[:8]
        keys, values = ((x[row] + place) @ to_all[at : at + 8].T + bias[at : at + 8] for at in (8, 16))
        mixed, shares = np.zeros(8), np.zeros(3)
        for head in range(4):
            part = slice(2 * head, 2 * head + 2)
            own = softmax(np.where(here, keys[:, part] @ query[part] / np.sqrt(2), -np.inf))
            mixed[part] = own @ values[:, part]
            shares += own / 4
        out = np.maximum(linear(gate.attention.out_proj, mixed), 0)
        np.testing.assert_allclose(weights[row], shares, atol=1e-6)
        assert float(logit[row]) == pytest.approx(float(linear(gate.head[2], out)[0]), abs=1e-5)
