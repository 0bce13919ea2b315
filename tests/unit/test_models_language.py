"""Language model experts, tried on a tiny BERT with random weights."""

import itertools
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from tfbs_moe.errors import InputError
from tfbs_moe.models import bundle
from tfbs_moe.models.registry import build

WINDOW = 20


def sequences(count: int) -> torch.Tensor:
    codes = torch.randint(0, 4, (count, WINDOW), generator=torch.Generator().manual_seed(0))
    return F.one_hot(codes, 4).transpose(1, 2).float()


def test_without_transformers_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match="pip install transformers"):
        build("language_model", WINDOW, {"model": "any"})


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = pytest.importorskip("transformers", reason="transformers is not part of the default installation")
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += ["".join(bases) for bases in itertools.product("TGCA", repeat=3)]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizer(str(folder / "vocab.txt"), do_lower_case=False).save_pretrained(folder)
    return folder


def test_tokens_are_the_vocabularys(tiny_bert: Path) -> None:
    model = build("language_model", WINDOW, {"model": str(tiny_bert), "kmer": 3}, seed=0).eval()
    x = sequences(4)
    ids = []
    for row in x.argmax(dim=1):
        letters = "".join("ACGT"[base] for base in row)
        words = (tiny_bert / "vocab.txt").read_text().split()
        ids.append([2, *(words.index(letters[i : i + 3]) for i in range(WINDOW - 2)), 3])
    states = model.body(input_ids=torch.tensor(ids)).last_hidden_state[:, 1:-1].mean(dim=1)
    torch.testing.assert_close(model.embed(x), model.embed_features(states))


def test_gradient_reaches_the_sequence_and_the_value_is_the_same(tiny_bert: Path) -> None:
    model = build("language_model", WINDOW, {"model": str(tiny_bert), "kmer": 3, "stride": 3}, seed=0).eval()
    x = sequences(3)
    x[0, :, 4] = 0  # an unknown base
    soft = x.clone().requires_grad_()
    torch.testing.assert_close(model(soft), model(x), rtol=1e-4, atol=1e-5)
    model(soft).sum().backward()
    assert soft.grad is not None and soft.grad.abs().sum() > 0


def test_frozen_and_fine_tuned(tiny_bert: Path) -> None:
    frozen = build("language_model", WINDOW, {"model": str(tiny_bert), "kmer": 3}, seed=0).train()
    assert not frozen.body.training
    assert {name.split(".")[0] for name, p in frozen.named_parameters() if p.requires_grad} == {
        "linear",
        "norm",
        "head",
    }
    tuned = build("language_model", WINDOW, {"model": str(tiny_bert), "kmer": 3, "frozen": False}, seed=0).train()
    assert tuned.body.training
    tuned(sequences(2)).sum().backward()
    assert tuned.body.get_input_embeddings().weight.grad.abs().sum() > 0


def test_a_bundle_needs_neither_folder_nor_hub(tiny_bert: Path, tmp_path: Path) -> None:
    model = build("language_model", WINDOW, {"model": str(tiny_bert), "kmer": 3}, seed=0).eval()
    bundle.save(model, tmp_path)
    hidden = tiny_bert.with_name("gone")
    tiny_bert.rename(hidden)
    try:
        loaded = bundle.load(tmp_path)
    finally:
        hidden.rename(tiny_bert)
    x = sequences(3)
    torch.testing.assert_close(loaded(x), model(x), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kmer": 4}, "has no token 'AAAA'"),
        ({"model": "no/such/folder"}, "cannot be read"),
        ({"kmer": 30}, "kmer must be from 1 to 8"),
    ],
)
def test_what_cannot_be_used(tiny_bert: Path, changes: dict, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=message):
        build("language_model", WINDOW, {"model": str(tiny_bert), "kmer": 3} | changes)
