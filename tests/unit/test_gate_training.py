"""Training of gates: their inputs, fine-tuning, resuming, and what is refused."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from planted_rows import CPU, HYPERPARAMETERS, SETTINGS, WINDOW, planted
from tfbs_moe.apply.card import describe_model, model_card
from tfbs_moe.config import complete_config
from tfbs_moe.data.dataset import concatenate, left_out_dataset, subset, with_random_labels, write_dataset
from tfbs_moe.data.folds import deal_folds, in_calibration_split
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.model_list import identity_as_trained, read_list, trained_cells, write_list
from tfbs_moe.models import bundle
from tfbs_moe.models.registry import GATES
from tfbs_moe.tables import read_tsv
from tfbs_moe.training import motif_evidence
from tfbs_moe.training.examples import auroc
from tfbs_moe.training.expert import train_expert
from tfbs_moe.training.fine_tune import FineTuning
from tfbs_moe.training.gate import train_gate
from tfbs_moe.training.gate_inputs import GateExpert, hide, read_gate_inputs, write_gate_inputs
from tfbs_moe.training.motif_evidence import Simulation

OTHER = np.array([0, 1, 1, 2, 3, 0])
GATE_SETTINGS = {"optimizer": "adamw", "learning_rate": 0.01, "batch_size": 64, "max_epochs": 6, "patience": 6}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[GateExpert], dict]:
    """Two experts of two motifs with two folds each, and their data."""
    folder = tmp_path_factory.mktemp("study")
    gate_experts, data = [], {}
    for place, (name, motif) in enumerate({"A": np.array([2, 0, 3, 0, 0, 2]), "B": OTHER}.items()):
        parts = [
            replace(part, attributes={"factor": f"factor {name}"})
            for part in (planted(800, 10 + place, motif), planted(300, 20 + place, motif))
        ]
        data[name] = (folder / f"{name}.train.h5", folder / f"{name}.validation.h5")
        for part, path in zip(parts, data[name], strict=True):
            write_dataset(part, path)
        facts = {"architecture": "convnet", "hyperparameters": HYPERPARAMETERS, "device": CPU}
        facts |= {"settings": SETTINGS | {"max_epochs": 8}}
        train_expert(*parts, folder=folder / name, seed=place, **facts)
        dealt, folds = deal_folds(parts[0], 2), [folder / name / f"fold{fold}" for fold in range(2)]
        for fold, place_of_fold in enumerate(folds):
            train_expert(subset(parts[0], dealt != fold), parts[1], folder=place_of_fold, seed=50 + fold, **facts)
        gate_experts.append(GateExpert(name, str(folder / name), (name,), (f"factor {name}",), tuple(map(str, folds))))
    return gate_experts, data


def looked(study: tuple[list[GateExpert], dict], folder: Path, rows: str = "expert_split", **more: object) -> Path:
    write_gate_inputs(study[0], study[1], folder, rows=rows, seed=0, device=CPU, **more)
    return folder


def trained(study: tuple[list[GateExpert], dict], gate_inputs: Path, folder: Path, **changes: object) -> dict:
    arguments = {"gate": "softmax", "hyperparameters": {}, "settings": GATE_SETTINGS, "seed": 0, "folder": folder}
    experts = {gate_expert.name: gate_expert.folder for gate_expert in study[0]}
    return train_gate(read_gate_inputs(gate_inputs), **({"experts": experts, "device": CPU} | arguments | changes))


@pytest.mark.parametrize("setting", [{"augmentation": "reverse_complement"}, {"fresh_negatives": True}])
def test_a_gate_refuses_what_is_for_sequences(
    study: tuple[list[GateExpert], dict], tmp_path: Path, setting: dict
) -> None:
    with pytest.raises(InputError, match="are for sequences, and a gate learns from embeddings"):
        trained(study, looked(study, tmp_path / "gate_inputs"), tmp_path / "gate", settings=setting)
    with pytest.raises(InputError, match=f"gates.softmax.training.{next(iter(setting))}"):
        complete_config({"gates": {"softmax": {"training": setting}}})


def test_views_are_what_the_experts_say(study: tuple[list[GateExpert], dict], tmp_path: Path) -> None:
    gate_inputs = read_gate_inputs(looked(study, tmp_path))
    every = concatenate([_free(study, name, split) for split in (0, 1) for name in study[1]])
    free = [len(_free(study, name, 1)) for name in "AB"]
    assert gate_inputs.inputs.shape == (len(every), 2 * 32 + 4) and gate_inputs.validation.sum() == sum(free)
    # About a quarter of the validation rows are kept for calibration.
    assert 190 < free[0] < 260 and 190 < free[1] < 260
    found, _, source, draw = gate_inputs.unpack(gate_inputs.inputs)
    stack = {gate_expert.name: bundle.load_experts({"x": gate_expert.folder})["x"] for gate_expert in study[0]}
    x = torch.from_numpy(every.one_hot).float()
    with torch.no_grad():
        for place, expert in enumerate(stack.values()):
            torch.testing.assert_close(found[:, place], expert.embed(x), rtol=1e-4, atol=1e-5)
    assert (gate_inputs.label == every.label).all() and ((draw >= 0) & (draw < 1)).all()
    assert source.tolist() == [0] * 800 + [1] * 800 + [0] * free[0] + [1] * free[1]
    assert gate_inputs.hidden.tolist() == [[True, False], [False, True]]
    turned = gate_inputs.only(["B", "A"])
    assert (turned.unpack(turned.inputs)[0][:, 0] == found[:, 1]).all()
    assert turned.hidden.tolist() == [[False, True], [True, False]]


def _read(study: tuple[list[GateExpert], dict], name: str, split: int):
    from tfbs_moe.data.dataset import read_dataset

    return read_dataset(study[1][name][split])


def _free(study: tuple[list[GateExpert], dict], name: str, split: int):
    """Return the rows that teach gates or choose their epochs."""
    rows = _read(study, name, split)
    return subset(rows, ~in_calibration_split(rows)) if split else rows


@pytest.mark.parametrize("name", list(GATES))
def test_every_gate_learns_and_its_bundle_stands_alone(
    name: str, study: tuple[list[GateExpert], dict], tmp_path: Path
) -> None:
    gate_inputs = looked(study, tmp_path / "gate_inputs")
    how = {"gate": name, "expert_dropout": 0.3, "hyperparameters": {"evidence": "unit"} if name == "motif" else {}}
    written = trained(study, gate_inputs, tmp_path / "gate", **how)
    assert written["metrics"]["validation_auroc"] > (0.55 if name in ("best_expert", "random", "static") else 0.6)
    assert [entry["factors"] for entry in written["experts"]] == [["factor A"], ["factor B"]]
    (tmp_path / "gate").rename(tmp_path / "elsewhere")
    model = bundle.load(tmp_path / "elsewhere")
    held = _read(study, "A", 1)
    logit = model(torch.from_numpy(held.one_hot).float()).detach()
    least = 0.5 if name == "best_expert" else 0.6
    assert roc_auc_score(held.label, logit) > least or name == "best_expert"
    again = trained(study, gate_inputs, tmp_path / "again", **how)
    assert again["weights"] == written["weights"]


def test_experts_learn_on_with_their_gate(study: tuple[list[GateExpert], dict], tmp_path: Path) -> None:
    gate_inputs = looked(study, tmp_path / "gate_inputs")
    more = {"fine_tuning": FineTuning(3, *({name: _read(study, name, split) for name in "AB"} for split in (0, 1)))}
    frozen = trained(study, gate_inputs, tmp_path / "frozen")
    tuned = trained(study, gate_inputs, tmp_path / "tuned", **more)
    assert tuned["metrics"]["validation_auroc_before_fine_tuning"] == frozen["metrics"]["validation_auroc"]
    assert tuned["metrics"]["epochs"] == frozen["metrics"]["epochs"] + 3
    before, after = ({entry["name"]: entry["weights_sha256"] for entry in one["experts"]} for one in (frozen, tuned))
    assert all(before[name] != after[name] for name in ("A", "B"))
    expert = bundle.describe(tmp_path / "tuned" / "experts" / "A")
    assert expert["fine_tuned_from"] == before["A"]
    model = bundle.load(tmp_path / "tuned")
    # The rows that calibrate choose no epoch.
    free = concatenate([_free(study, name, 1) for name in "AB"])
    area = auroc(free.label, model(torch.from_numpy(free.one_hot).float()).detach().numpy())
    assert area == pytest.approx(tuned["metrics"]["validation_auroc"], abs=1e-4)
    again = trained(study, gate_inputs, tmp_path / "again", **more)
    assert again["weights"] == tuned["weights"] and again["experts"] == tuned["experts"]


def test_epochs_after_a_gate_with_nothing_to_train_count_from_one(
    study: tuple[list[GateExpert], dict], tmp_path: Path
) -> None:
    """Before the mend they counted from 2, and so did ``best_epoch`` and ``epochs``."""
    more = {"fine_tuning": FineTuning(2, *({name: _read(study, name, split) for name in "AB"} for split in (0, 1)))}
    tuned = trained(study, looked(study, tmp_path / "gate_inputs"), tmp_path / "tuned", gate="best_expert", **more)[
        "metrics"
    ]
    history = read_tsv(tmp_path / "tuned" / "history.tsv").set_index("epoch")["validation_auroc"]
    assert history.index.tolist() == [0, 1, 2] and tuned["epochs"] == 2
    assert history[tuned["best_epoch"]] == pytest.approx(tuned["validation_auroc"]) and tuned["best_epoch"] > 0


def test_a_motif_gate_learns_its_evidence_after_what_the_attention_gate_learns(
    study: tuple[list[GateExpert], dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(motif_evidence, "_FACTORS", 8)
    gate_inputs = looked(study, tmp_path / "gate_inputs")
    simulation = Simulation({name: _read(study, name, 1) for name in "AB"}, ["factor A", "factor B"])
    plain = trained(study, gate_inputs, tmp_path / "plain", gate="attention")
    motif = trained(study, gate_inputs, tmp_path / "motif", gate="motif", simulation=simulation)
    again = trained(study, gate_inputs, tmp_path / "again", gate="motif", simulation=simulation)
    assert motif["weights"]["sha256"] == again["weights"]["sha256"]
    learned = motif["metrics"].pop("evidence")
    assert learned["simulated_factors"] == 8 and learned["mean_auroc_with"] > learned["mean_auroc_without"]
    assert motif["metrics"] == plain["metrics"]
    one, other = (bundle.load(tmp_path / name).gate.state_dict() for name in ("plain", "motif"))
    assert other.pop("evidence").abs().max() > 0 and all(tensor.equal(other[name]) for name, tensor in one.items())
    with pytest.raises(InputError, match="nothing to simulate is given"):
        trained(study, gate_inputs, tmp_path / "none", gate="motif")


@pytest.fixture(scope="module")
def with_pooled(
    study: tuple[list[GateExpert], dict], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[GateExpert], dict]:
    """The study with a pooled network, and the networks without each factor."""
    folder = tmp_path_factory.mktemp("pooled")
    for place, (name, of) in enumerate({"both": "AB", "without A": "B", "without B": "A"}.items()):
        parts = (concatenate([_read(study, one, split) for one in of]) for split in (0, 1))
        facts = {"architecture": "convnet", "hyperparameters": HYPERPARAMETERS, "device": CPU}
        train_expert(*parts, folder=folder / name, seed=70 + place, settings=SETTINGS | {"max_epochs": 6}, **facts)
    without = {f"factor {name}": str(folder / f"without {name}") for name in "AB"}
    pooled = GateExpert("pooled", str(folder / "both"), ("A", "B"), ("factor A", "factor B"), without=without)
    return [study[0][0], pooled, study[0][1]], study[1]


def test_a_factor_is_left_out_of_pooled_networks_too(
    with_pooled: tuple[list[GateExpert], dict], tmp_path: Path
) -> None:
    gate_inputs = read_gate_inputs(looked(with_pooled, tmp_path / "gate_inputs", "held_out"))
    assert gate_inputs.leaves_factors_out and gate_inputs.without == ("pooled",)
    seen, unseen, source, draw = gate_inputs.unpack(gate_inputs.inputs)
    for place, (own, other) in enumerate(((0, 2), (2, 0))):
        rows = source == place
        assert unseen[rows, own].isnan().all() and unseen[rows, other].equal(seen[rows, other])
    # The map from a network without a factor is the ridge regression on validation rows of the other factor.
    full = bundle.load_experts({"x": with_pooled[0][1].folder})["x"]
    for place, (name, other) in enumerate((("A", "B"), ("B", "A"))):
        network = bundle.load_experts({"x": with_pooled[0][1].without[f"factor {name}"]})["x"]
        with torch.no_grad():
            free = _free(with_pooled, other, 1).one_hot
            given, target = (one.embed(torch.from_numpy(free).float()).double().numpy() for one in (network, full))
            mine = _free(with_pooled, name, 1).one_hot
            asked = network.embed(torch.from_numpy(mine).float()).double().numpy()
        ridge = Ridge(alpha=1e-3 * np.trace(np.cov(given.T, bias=True)) * len(given) / given.shape[1])
        expected = ridge.fit(given, target).predict(asked)
        found = unseen[source == place, 1].numpy()
        np.testing.assert_allclose(np.sort(found, axis=0), np.sort(expected, axis=0), atol=2e-4)
    # In any order of the experts, and for a gate that looks at some.
    some = gate_inputs.only(["pooled", "A"])
    assert some.unpack(some.inputs)[1][:, 0].equal(unseen[:, 1]) and some.without == ("pooled",)
    none = gate_inputs.only(["B", "A"])
    assert none.without == () and none.unpack(none.inputs)[1].shape == (len(seen), 2, 32)
    # All rows are without their factor where the dropout is 1, and none where it is 0.
    assert hide(seen, unseen, draw, 1.0, False).nan_to_num().equal(unseen.nan_to_num())
    assert hide(seen, unseen, draw, 0.0, False) is seen


def test_a_gate_is_measured_without_each_factor(with_pooled: tuple[list[GateExpert], dict], tmp_path: Path) -> None:
    folder = looked(with_pooled, tmp_path / "gate_inputs", "held_out")
    written = trained(with_pooled, folder, tmp_path / "gate", gate="attention", expert_dropout=0.5)
    gate, gate_inputs = bundle.load(tmp_path / "gate").gate.eval(), read_gate_inputs(folder)
    _, unseen, source, _ = gate_inputs.unpack(gate_inputs.inputs)
    with torch.no_grad():
        logit = gate(unseen)[0].numpy()
    for place, name in enumerate("AB"):
        rows = gate_inputs.validation & (source == place).numpy()
        found = written["metrics"]["validation_auroc_without_factor"][f"factor {name}"]
        assert found == pytest.approx(roc_auc_score(gate_inputs.label[rows], logit[rows]), abs=1e-6)
    without = fmean(written["metrics"]["validation_auroc_without_factor"].values())
    assert f"without any network of the factor: {without}" in model_card(describe_model(tmp_path / "gate")).replace(
        "*", ""
    )
    # A pooled network that knows all factors cannot be left out.
    plain = [with_pooled[0][0], replace(with_pooled[0][1], without={}), with_pooled[0][2]]
    blind = looked((plain, with_pooled[1]), tmp_path / "plain", "held_out")
    assert (
        not read_gate_inputs(blind).leaves_factors_out and read_gate_inputs(blind).only(["A", "B"]).leaves_factors_out
    )
    assert (
        "validation_auroc_without_factor" not in trained((plain, with_pooled[1]), blind, tmp_path / "other")["metrics"]
    )


def test_a_network_without_a_factor_must_not_know_it(
    with_pooled: tuple[list[GateExpert], dict], tmp_path: Path
) -> None:
    swapped = dict(zip(("factor B", "factor A"), with_pooled[0][1].without.values(), strict=True))
    wrong = [with_pooled[0][0], replace(with_pooled[0][1], without=swapped), with_pooled[0][2]]
    with pytest.raises(InputError, match="other rows than those of all factors but factor B"):
        looked((wrong, with_pooled[1]), tmp_path / "gate_inputs", "held_out")


def test_no_expert_learns_on_with_rows_of_its_factor_that_it_is_hidden_from(
    study: tuple[list[GateExpert], dict], tmp_path: Path
) -> None:
    """With ``expert_dropout`` of 1 an expert learns from the other factor's rows alone."""
    gate_inputs = looked(study, tmp_path / "gate_inputs")
    one, other = ({name: _read(study, name, split) for name in "AB"} for split in (0, 1))
    few = {"A": one["A"], "B": subset(one["B"], np.arange(0))}
    plain = GATE_SETTINGS | {"weight_decay": 0.0}

    def changed(expert_dropout: float, folder: str) -> list[str]:
        tuned = trained(study, gate_inputs, tmp_path / folder, settings=plain, expert_dropout=expert_dropout,
                        fine_tuning=FineTuning(1, few, other))  # fmt: skip
        after = {entry["name"]: entry["weights_sha256"] for entry in tuned["experts"]}
        before = {
            gate_expert.name: bundle.describe(gate_expert.folder)["weights"]["sha256"] for gate_expert in study[0]
        }
        return [name for name in "AB" if after[name] != before[name]]

    assert changed(0.0, "shown") == ["A", "B"]
    assert changed(1.0, "hidden") == ["B"]
    # The same rows are hidden in every run.
    again = [bundle.describe(tmp_path / name)["weights"]["sha256"] for name in ("half", "again") if changed(0.5, name)]
    assert again[0] == again[1]


def test_a_pooled_network_that_knows_the_factor_does_not_learn_on_where_another_stands_in_for_it(
    with_pooled: tuple[list[GateExpert], dict], tmp_path: Path
) -> None:
    """With ``expert_dropout`` of 1 the gate sees networks without the factor alone, also while experts learn on."""
    gate_inputs = looked(with_pooled, tmp_path / "gate_inputs", "held_out")
    parts = [{name: _read(with_pooled, name, split) for name in "AB"} for split in (0, 1)]
    tuned = trained(
        with_pooled, gate_inputs, tmp_path / "gate", settings=GATE_SETTINGS | {"weight_decay": 0.0},
        expert_dropout=1.0, fine_tuning=FineTuning(1, *parts),
    )  # fmt: skip
    after = {entry["name"]: entry["weights_sha256"] for entry in tuned["experts"]}
    before = {each.name: bundle.describe(each.folder)["weights"]["sha256"] for each in with_pooled[0]}
    assert [name for name in after if after[name] == before[name]] == ["pooled"]


def test_best_expert_is_chosen_by_validation(study: tuple[list[GateExpert], dict], tmp_path: Path) -> None:
    written = trained(study, looked(study, tmp_path / "gate_inputs"), tmp_path / "gate", gate="best_expert")
    areas = written["metrics"]["validation_auroc_of_experts"]
    pooled = concatenate([_free(study, name, 1) for name in ("A", "B")])
    x = torch.from_numpy(pooled.one_hot).float()
    for gate_expert in study[0]:
        expert = bundle.load_experts({"x": gate_expert.folder})["x"]
        assert areas[gate_expert.name] == pytest.approx(auroc(pooled.label, expert(x).detach().numpy()), abs=1e-6)
    assert written["metrics"]["validation_auroc"] == pytest.approx(max(areas.values()), abs=1e-6)
    assert written["metrics"]["stopped"] == "nothing to train"


def test_out_of_fold_views_come_from_experts_that_did_not_see_the_rows(
    study: tuple[list[GateExpert], dict], tmp_path: Path
) -> None:
    plain, held = (read_gate_inputs(looked(study, tmp_path / rows, rows)) for rows in ("expert_split", "out_of_fold"))
    first, second = (gate_inputs.unpack(gate_inputs.inputs)[0] for gate_inputs in (plain, held))
    assert (first[:800, 1] == second[:800, 1]).all() and (first[1600:] == second[1600:]).all()
    assert (first[:800, 0] != second[:800, 0]).any(1).all()
    # A map fitted on validation rows brings them near to what the expert itself says.
    explained = held.description["explained_by_alignment"]
    assert min(explained.values()) > 0.5
    weight, bias = bundle.load_experts({"x": study[0][0].folder})["x"].readout()
    labels = plain.label[:800]
    seen, expert_dropout = (auroc(labels, (part[:800, 0] @ weight + bias).detach().numpy()) for part in (first, second))
    assert 0.6 < expert_dropout < seen + 0.01
    with pytest.raises(InputError, match="A has no fold experts"):
        looked(
            ([replace(gate_expert, folds=()) for gate_expert in study[0]], study[1]), tmp_path / "none", "out_of_fold"
        )


def test_a_background_network_needs_no_folds_and_is_never_hidden(
    study: tuple[list[GateExpert], dict], tmp_path: Path
) -> None:
    """It was trained on no row of any experiment: every row is embedded by itself, and no gate learns to miss it."""
    shuffled = with_random_labels(_read(study, "A", 0), 0)
    how = {"architecture": "convnet", "hyperparameters": HYPERPARAMETERS, "device": CPU, "settings": SETTINGS}
    train_expert(shuffled, shuffled, folder=tmp_path / "background", seed=5, **how)
    network = GateExpert("background", str(tmp_path / "background"), (), ())
    # In the first place too, where the number of folds is read.
    both = ([network, *study[0]], study[1])
    plain, held = (read_gate_inputs(looked(both, tmp_path / rows, rows)) for rows in ("expert_split", "out_of_fold"))
    alone = read_gate_inputs(looked(study, tmp_path / "alone", "out_of_fold"))
    first, second, without = (each.unpack(each.inputs)[0] for each in (plain, held, alone))
    assert (first[:, 0] == second[:, 0]).all() and (second[:, 1:] == without).all()
    assert set(held.description["explained_by_alignment"]) == {"A", "B"}
    assert held.hidden.tolist() == [[False, True, False], [False, False, True]]
    written = trained(both, tmp_path / "out_of_fold", tmp_path / "gate", expert_dropout=0.5)
    assert [entry["factors"] for entry in written["experts"]] == [[], ["factor A"], ["factor B"]]
    assert bundle.load(tmp_path / "gate").names == ("background", "A", "B")
    assert "| background | windows of the genome and their shuffles, no factor |" in model_card(
        describe_model(tmp_path / "gate")
    )


@pytest.fixture
def short_study(study: tuple[list[GateExpert], dict], tmp_path: Path) -> tuple[list[GateExpert], dict]:
    """The study with a third expert, without rows, that was left out, and a network pooled over all three."""
    gone = left_out_dataset(WINDOW, "too few peaks.", {"experiment": "C"})
    write_dataset(gone, tmp_path / "gone.h5")
    how = {"architecture": "convnet", "hyperparameters": HYPERPARAMETERS, "device": CPU, "settings": SETTINGS}
    train_expert(gone, gone, folder=tmp_path / "C", seed=3, **how)
    train_expert(_read(study, "A", 0), _read(study, "A", 1), folder=tmp_path / "pooled", seed=4, **how)
    missing = GateExpert("C", str(tmp_path / "C"), ("C",), ("factor C",), (str(tmp_path / "C"),))
    pooled = GateExpert(
        "pooled.convnet", str(tmp_path / "pooled"), ("A", "B", "C"), ("factor A", "factor B", "factor C")
    )
    return [missing, *study[0], pooled], {"C": (tmp_path / "gone.h5",) * 2} | study[1]


def test_no_gate_looks_at_an_expert_that_was_left_out(
    study: tuple[list[GateExpert], dict], short_study: tuple[list[GateExpert], dict], tmp_path: Path
) -> None:
    gate_inputs = read_gate_inputs(looked(short_study, tmp_path / "short"))
    plain = read_gate_inputs(looked(study, tmp_path / "plain"))
    assert gate_inputs.names == ("A", "B", "pooled.convnet")
    assert gate_inputs.description["left_out"] == {"C": "too few peaks."}
    assert (gate_inputs.unpack(gate_inputs.inputs)[0][:, :2] == plain.unpack(plain.inputs)[0]).all()
    assert gate_inputs.hidden.tolist() == [[False] * 3, [True, False, False], [False, True, False]]
    written = trained((short_study[0][:3], {}), tmp_path / "short", tmp_path / "gate")
    assert [entry["name"] for entry in written["experts"]] == ["A", "B"]
    assert written["without"] == {"C": "too few peaks."}
    assert bundle.load(tmp_path / "gate").names == ("A", "B")
    others = trained((short_study[0][1:3], {}), tmp_path / "short", tmp_path / "others")
    assert others["without"] == {}
    with pytest.raises(InputError, match="every expert of this gate was left out.* C: too few peaks[.]$"):
        trained((short_study[0][:1], {}), tmp_path / "short", tmp_path / "none")


def test_an_expert_without_one_of_its_folds_is_left_out_where_folds_are_needed(
    study: tuple[list[GateExpert], dict], tmp_path: Path
) -> None:
    """A fold that cannot be trained costs one gate_expert of the mixture, not the study."""
    gone = left_out_dataset(WINDOW, "fold 1 holds every row", {})
    how = {"architecture": "convnet", "hyperparameters": HYPERPARAMETERS, "device": CPU, "settings": SETTINGS}
    train_expert(gone, gone, folder=tmp_path / "fold1", seed=3, **how)
    first = replace(study[0][0], folds=(study[0][0].folds[0], str(tmp_path / "fold1")))
    third = replace(study[0][1], name="B again")
    gate_experts = [first, study[0][1], third]
    gate_inputs = read_gate_inputs(looked((gate_experts, study[1]), tmp_path / "gate_inputs", "out_of_fold"))
    assert gate_inputs.names == ("B", "B again") and gate_inputs.description["left_out"] == {
        "A": "fold 1 holds every row"
    }
    assert read_gate_inputs(looked((gate_experts, study[1]), tmp_path / "plain")).names == ("A", "B", "B again")


def test_fewer_than_two_experts_end_the_study_and_all_are_named(
    short_study: tuple[list[GateExpert], dict], tmp_path: Path
) -> None:
    gate_experts = [short_study[0][0], replace(short_study[0][0], name="D"), *short_study[0][2:]]
    with pytest.raises(
        InputError,
        match="at least 2 experts, and 1 of 4 are left. Left out were C: too few peaks; D: too few peaks[.]$",
    ):
        looked((gate_experts, short_study[1]), tmp_path / "gate_inputs")


def test_a_gate_that_diverges_is_left_out(study: tuple[list[GateExpert], dict], tmp_path: Path) -> None:
    gate_inputs = looked(study, tmp_path / "gate_inputs")
    bad = GATE_SETTINGS | {"optimizer": "sgd", "learning_rate": 1e38}
    written = trained(study, gate_inputs, tmp_path / "gate", settings=bad)
    assert written["left_out"].startswith("training diverged: ")
    assert written["metrics"]["stopped"] == "left out"
    gate = bundle.load(tmp_path / "gate").gate
    assert all(torch.isfinite(tensor).all() for tensor in gate.state_dict().values())
    kept = {entry["name"]: entry["weights_sha256"] for entry in written["experts"]}
    assert kept == {
        gate_expert.name: bundle.describe(gate_expert.folder)["weights"]["sha256"] for gate_expert in study[0]
    }


def test_the_list_of_models_names_those_left_out_and_nobody_reads_them(
    short_study: tuple[list[GateExpert], dict], tmp_path: Path
) -> None:
    looked(short_study, tmp_path / "gate_inputs")
    trained((short_study[0][:3], {}), tmp_path / "gate_inputs", tmp_path / "gate")
    folders = {"convnet.C": tmp_path / "C", "convnet.A": short_study[0][1].folder, "moe.softmax": tmp_path / "gate"}
    taught = {"convnet.C": {"factor": "C", "cell": "K562"}, "convnet.A": {"factor": "A", "cell": "K562"}}
    write_list(
        ({"model": name, "seed": 0, "folder": str(path)} | taught.get(name, {}) for name, path in folders.items()),
        tmp_path / "list.tsv",
    )
    assert [name for name, *_ in read_list(tmp_path / "list.tsv")] == ["convnet.A", "moe.softmax"]
    assert read_list(tmp_path / "list.tsv", "convnet.C") == []
    table = read_tsv(tmp_path / "list.tsv").set_index("model")
    assert table["left_out"].fillna("").to_dict() == {"convnet.C": "too few peaks.", "convnet.A": "", "moe.softmax": ""}
    # No expert saw C, whatever the experiments table planned.
    cells = trained_cells(read_tsv(tmp_path / "list.tsv"))
    assert cells == {"A": {"K562"}}
    for factor, cell, stratum, expected in (
        ("C", "K562", "in_distribution", ("unseen", "unseen")),
        ("C", "K562", "zinc", ("unseen", "zinc")),
        ("A", "K562", "in_distribution", ("in_distribution", "in_distribution")),
        ("A", "HepG2", "in_distribution", ("other_cell", "other_cell")),
    ):
        planned = {"factor": factor, "cell": cell, "set": "in_distribution", "stratum": stratum}
        found = identity_as_trained(planned, cells)
        assert found == planned | {"set": expected[0], "stratum": expected[1]}
    assert table["without"].fillna("").to_dict() == {
        "convnet.C": "",
        "convnet.A": "",
        "moe.softmax": "C: too few peaks.",
    }


def test_an_expert_is_hidden_from_its_factor_in_any_cell(study: tuple[list[GateExpert], dict], tmp_path: Path) -> None:
    """Rows of a factor in another cell are no rows of an expert_dropout factor while that factor's expert looks on."""
    gate_experts, data = study
    other_cell = [tmp_path / f"C.{split}.h5" for split in ("train", "validation")]
    for path in other_cell:
        write_dataset(replace(planted(40, 7, OTHER), attributes={"factor": "factor A"}), path)
    write_gate_inputs(gate_experts, data | {"C": tuple(other_cell)}, tmp_path, rows="expert_split", seed=0, device=CPU)
    assert read_gate_inputs(tmp_path).hidden.tolist() == [[True, False], [False, True], [True, False]]


def test_other_weights_than_the_views_were_made_with_are_refused(
    study: tuple[list[GateExpert], dict], tmp_path: Path
) -> None:
    gate_inputs = looked(study, tmp_path / "gate_inputs")
    swapped = {"A": study[0][1].folder, "B": study[0][0].folder}
    with pytest.raises(InputError, match="the gate inputs of 'A' were made with other weights"):
        trained(study, gate_inputs, tmp_path / "gate", experts=swapped)
    with pytest.raises(InputError, match="gate inputs are not of the expert 'C'"):
        trained(study, gate_inputs, tmp_path / "gate", experts={"C": study[0][0].folder})
    with pytest.raises(InputError, match="cannot be read as gate inputs"):
        read_gate_inputs(tmp_path / "nowhere")


def test_views_of_another_length_are_refused(study: tuple[list[GateExpert], dict], tmp_path: Path) -> None:
    short = _read(study, "A", 0)
    write_dataset(replace(short, one_hot=short.one_hot[:, :, :30]), tmp_path / "short.h5")
    data = study[1] | {"A": (tmp_path / "short.h5", study[1]["A"][1])}
    with pytest.raises(InputError, match="must have the length of its experts; got 30 and 41"):
        looked((study[0], data), tmp_path / "gate_inputs")
