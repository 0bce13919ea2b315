"""Networks against naive code, on bases, unknown bases (columns of zeros) and neutral columns (0.25 each)."""

import itertools
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from tfbs_moe.models.kmer import KmerLogistic
from tfbs_moe.models.language_model import LanguageModel

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
