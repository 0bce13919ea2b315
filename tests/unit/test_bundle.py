"""Bundles: what was saved comes back, and what is damaged is refused with the reason."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tfbs_moe import planning
from tfbs_moe.attribution.methods.registry import attribute
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation import calibration, ood_score
from tfbs_moe.models import bundle, registry
from tfbs_moe.models.expert import Expert
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.models.registry import build, build_gate
from tfbs_moe.provenance import sha256_file
from tfbs_moe.training import record

WINDOW = 31


def expert(seed: int = 0) -> Expert:
    return build("convnet", WINDOW, {"motif_width": 8, "weight_sd": 0.1}, seed=seed).eval()


@pytest.fixture
def mixture_folder(tmp_path: Path) -> Path:
    folders = {name: tmp_path / "experts" / name for name in ("A", "B")}
    for seed, folder in enumerate(folders.values()):
        bundle.save(expert(seed), folder)
    bundle.save_mixture(build_gate("softmax", 2, 32, {}, seed=0).eval(), folders, tmp_path / "moe" / "softmax")
    return tmp_path / "moe" / "softmax"


def change_json(folder: Path, **changes: object) -> None:
    path = folder / bundle.DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_expert_comes_back(tmp_path: Path) -> None:
    model = expert()
    written = bundle.save(model, tmp_path / "m", {"metrics": {"validation_auroc": 0.9}, "licence": "CC0-1.0"})
    loaded = bundle.load(tmp_path / "m")
    x = torch.rand(3, 4, WINDOW)
    assert isinstance(loaded, Expert) and not loaded.training
    torch.testing.assert_close(loaded(x), model(x), rtol=0, atol=0)
    assert bundle.describe(tmp_path / "m") == written
    assert written["preprocessing"]["padding"] == {"columns": 7, "value": 0.25}
    assert written["licence"] == "CC0-1.0" and written["parameters"] == sum(p.numel() for p in model.parameters())


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        bundle.save(expert(), tmp_path / name, {"seed": 1})
    for file in (bundle.WEIGHTS, bundle.DESCRIPTION):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_weights_that_are_no_numbers_are_neither_written_nor_read(tmp_path: Path) -> None:
    expert = build("convnet", 31, {}, seed=0)
    bundle.save(expert, tmp_path / "good")
    with torch.no_grad():
        expert.head.weight[0, 0] = torch.nan
    with pytest.raises(InputError, match="was not written: head.weight holds values that are infinite or NaN"):
        bundle.save(expert, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()
    tensors = load_file(tmp_path / "good" / "model.safetensors")
    tensors["head.bias"][0] = torch.inf
    save_file(tensors, tmp_path / "good" / "model.safetensors")
    description = json.loads((tmp_path / "good" / "model.json").read_text())
    description["weights"]["sha256"] = sha256_file(tmp_path / "good" / "model.safetensors")
    (tmp_path / "good" / "model.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match="cannot be used: head.bias holds values"):
        bundle.load(tmp_path / "good")


def test_a_mixture_comes_back_and_moves_as_a_whole(mixture_folder: Path, tmp_path: Path) -> None:
    x = torch.rand(3, 4, WINDOW)
    model = bundle.load(mixture_folder)
    assert isinstance(model, MixtureOfExperts) and model.names == ("A", "B")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(mixture_folder, elsewhere)
    shutil.rmtree(tmp_path / "experts")
    torch.testing.assert_close(bundle.load(elsewhere)(x), model(x))


@pytest.mark.parametrize(
    "gone", ["model.json", "model.safetensors", "history.tsv", "experts/B/model.safetensors", "experts/A", "experts"]
)
def test_whatever_is_gone_of_a_mixture_is_missed(mixture_folder: Path, gone: str) -> None:
    (mixture_folder / record.HISTORY).write_text("")
    assert planning.is_trained(mixture_folder, mixture=True) and not planning.is_calibrated(mixture_folder)
    for name in (calibration.FILE, ood_score.FILE):
        (mixture_folder / name).write_text("")
    assert planning.is_calibrated(mixture_folder)
    path = mixture_folder / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert not planning.is_trained(mixture_folder, mixture=True)


def test_a_mixture_takes_no_space_for_its_experts(mixture_folder: Path, tmp_path: Path) -> None:
    ours, theirs = mixture_folder / "experts" / "B", tmp_path / "experts" / "B"
    assert (ours / bundle.WEIGHTS).samefile(theirs / bundle.WEIGHTS)
    before = (ours / bundle.WEIGHTS).read_bytes()
    bundle.save(expert(9), theirs)
    assert (ours / bundle.WEIGHTS).read_bytes() == before, "training an expert again changed the mixture's"


def test_where_files_cannot_be_shared_a_mixture_copies_them(
    mixture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(bundle.os, "link", refused)
    model = bundle.load(mixture_folder)
    bundle.save_mixture(model.gate, {name: tmp_path / "experts" / name for name in model.names}, tmp_path / "other")
    copied = tmp_path / "other/experts/B" / bundle.WEIGHTS
    assert not copied.samefile(tmp_path / "experts/B" / bundle.WEIGHTS)
    assert copied.read_bytes() == (tmp_path / "experts/B" / bundle.WEIGHTS).read_bytes()


def test_a_mixture_refuses_another_expert(mixture_folder: Path) -> None:
    bundle.save(expert(9), mixture_folder / "experts" / "B")
    with pytest.raises(InputError, match="'B' in .* is not the one this mixture was trained with"):
        bundle.load(mixture_folder)


def test_a_mixture_where_an_expert_is_wanted(mixture_folder: Path) -> None:
    with pytest.raises(InputError, match="holds a mixture where the expert 'X' was expected"):
        bundle.load_experts({"X": mixture_folder})


def test_damage_is_refused_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    with pytest.raises(InputError, match="model.json is missing"):
        bundle.load(folder)
    bundle.save(expert(), folder)
    weights = folder / bundle.WEIGHTS
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match="damaged or belongs to another model"):
        bundle.load(folder)
    weights.unlink()
    with pytest.raises(InputError, match="model.safetensors is missing"):
        bundle.load(folder)
    (folder / bundle.DESCRIPTION).write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        bundle.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "pickle"}, "does not describe a model"),
        ({"format": 99}, "is of format 99"),
        ({"hyperparameters": {"motif_width": 9}}, "does not match model.json: tensor 'scan.convolution.weight'"),
        ({"architecture": "os.system"}, "a bundle does not import code by itself"),
        ({"parameters": "many"}, "parameters is not a whole number"),
        ({"metrics": [0.9]}, "metrics is not a mapping"),
        ({"genome": "hg19"}, "genome is not a mapping"),
        ({"computed_with": 3}, "computed_with is not a mapping"),
        ({"window": None}, "window is not a whole number"),
    ],
)
def test_a_description_that_does_not_fit(tmp_path: Path, changes: dict, message: str) -> None:
    bundle.save(expert(), tmp_path)
    change_json(tmp_path, **changes)
    with pytest.raises(InputError, match=message):
        bundle.load(tmp_path)


def test_a_bundle_without_its_number_of_parameters_is_refused(tmp_path: Path) -> None:
    description = bundle.save(expert(), tmp_path)
    del description["parameters"]
    (tmp_path / bundle.DESCRIPTION).write_text(json.dumps(description))
    with pytest.raises(InputError, match="lacks parameters; the bundle is damaged"):
        bundle.describe(tmp_path)


@pytest.mark.parametrize("changes", [{"architecture": 3}, {"factors": "A"}, {"factors": [1]}, {"factors": None}])
def test_an_expert_of_odd_types_is_refused(mixture_folder: Path, changes: dict) -> None:
    change_entry(mixture_folder, **changes)
    with pytest.raises(InputError, match="an expert lacks one of|are not a list of names"):
        bundle.describe(mixture_folder)


def test_an_expert_whose_weights_cannot_be_computed_with_is_not_taken_for_an_absent_one(tmp_path: Path) -> None:
    """Finite weights may be too large: the embedding is no number, which to a gate means that the expert is absent."""
    large = expert(1)
    with torch.no_grad():
        for parameter in large.parameters():
            parameter.fill_(3e38)
    model = MixtureOfExperts({"A": expert(), "B": large}, build_gate("softmax", 2, 32, {}, seed=0)).eval()
    x = torch.nn.functional.one_hot(torch.arange(WINDOW) % 4, 4).T[None].float()
    assert not model(x).isfinite().any()
    with pytest.raises(InputError, match="gradient: the model gives values that are not finite"):
        attribute(model, x.numpy(), "gradient")


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    bundle.save(expert(), tmp_path)
    (tmp_path / bundle.WEIGHTS).write_bytes(b"\x80\x04not a tensor")
    digest = bundle.sha256_file(tmp_path / bundle.WEIGHTS)
    change_json(tmp_path, weights={"file": bundle.WEIGHTS, "sha256": digest})
    with pytest.raises(InputError, match="not a safetensors file"):
        bundle.load(tmp_path)


def test_save_refuses_a_description_that_overrides_the_facts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="may not set window"):
        bundle.save(expert(), tmp_path, {"window": 5})
    assert "convnet" in registry.ARCHITECTURES


def change_entry(mixture: Path, /, **changes: object) -> None:
    description = json.loads((mixture / bundle.DESCRIPTION).read_text())
    description["experts"][0] |= changes
    change_json(mixture, experts=description["experts"])


@pytest.mark.parametrize("place", ["../A", "/etc", "experts/../../../experts/A", "experts/B", ""])
def test_an_expert_elsewhere_is_refused(mixture_folder: Path, place: str) -> None:
    change_entry(mixture_folder, folder=place)
    with pytest.raises(InputError, match="the experts of a mixture lie below it"):
        bundle.load(mixture_folder)


@pytest.mark.parametrize("name", ["../A", "a/b", "..", "", "a\\b", "a\0b", "a\tb", "a\nb", "\x1b[2J"])
def test_an_expert_is_named_by_a_plain_name(mixture_folder: Path, tmp_path: Path, name: str) -> None:
    gate = build_gate("softmax", 1, 32, {}, seed=0)
    with pytest.raises(InputError, match="must be a plain folder name"):
        bundle.save_mixture(gate, {name: mixture_folder / "experts" / "A"}, tmp_path / "deep" / "mixture")
    assert not (tmp_path / "deep").exists()
    change_entry(mixture_folder, name=name, folder=f"experts/{name}")
    with pytest.raises(InputError, match="must be a plain folder name"):
        bundle.load(mixture_folder)


@pytest.mark.parametrize("link", ["", bundle.WEIGHTS, bundle.DESCRIPTION])
def test_a_link_out_of_a_mixture_is_refused(mixture_folder: Path, tmp_path: Path, link: str) -> None:
    member = mixture_folder / "experts" / "A" / link
    member.rename(tmp_path / "outside")
    member.symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="a link that leads out of"):
        bundle.load(mixture_folder)
