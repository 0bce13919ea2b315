"""What gates learn from, and what they are judged and calibrated on: the experts here are as they were drawn."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from planted_rows import CPU, HYPERPARAMETERS, WINDOW, planted
from tfbs_moe.data.dataset import Dataset, concatenate, subset, write_dataset
from tfbs_moe.data.folds import deal_folds, in_calibration_split, selects_epoch
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.calibrate_mixture import calibrate_mixture
from tfbs_moe.evaluation.calibration import Calibration, calibrate, read_calibrations
from tfbs_moe.models import bundle
from tfbs_moe.models.registry import build, build_gate
from tfbs_moe.tables import read_json
from tfbs_moe.training.expert import train_expert
from tfbs_moe.training.gate import train_gate
from tfbs_moe.training.gate_inputs import GateExpert, read_gate_inputs, write_gate_inputs
from tfbs_moe.training.gate_rows import Embed, align

SHORT = {"optimizer": "adamw", "learning_rate": 0.01, "batch_size": 32, "max_epochs": 1, "patience": 1}
TRAINING, VALIDATION = 80, 60


def gate_expert(folder: Path, name: str, seed: int, **hyperparameters: float) -> GateExpert:
    """Write an expert as it was drawn."""
    bundle.save(build("convnet", WINDOW, HYPERPARAMETERS | hyperparameters, seed=seed), folder / name)
    return GateExpert(name, str(folder / name), (name,), (f"factor {name}",))


def written(folder: Path, name: str, *parts: Dataset) -> tuple[Path, Path]:
    """Write the training and validation rows of an experiment."""
    paths = tuple(folder / f"{name}.{split}.h5" for split in ("train", "validation"))
    for part, path in zip(parts, paths, strict=True):
        part.attributes.setdefault("factor", f"factor {name}")
        write_dataset(part, path)
    return paths


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[GateExpert], dict[str, tuple[Path, Path]]]:
    """Two experts and their data."""
    folder = tmp_path_factory.mktemp("study")
    rows = {name: (planted(TRAINING, place), planted(VALIDATION, 10 + place)) for place, name in enumerate("AB")}
    return (
        [gate_expert(folder, name, place) for place, name in enumerate("AB")],
        {name: written(folder, name, *parts) for name, parts in rows.items()},
    )


def looked(study: tuple[list[GateExpert], dict], folder: Path, rows: str = "expert_split", **more: object) -> Path:
    write_gate_inputs(study[0], study[1], folder, rows=rows, seed=0, device=CPU, **more)
    return folder


def trained(gate_experts: list[GateExpert], gate_inputs: Path, folder: Path, **changes: object) -> dict:
    arguments = {"gate": "softmax", "hyperparameters": {}, "settings": SHORT, "seed": 0, "folder": folder}
    experts = {gate_expert.name: gate_expert.folder for gate_expert in gate_experts}
    return train_gate(read_gate_inputs(gate_inputs), experts, **({"device": CPU} | arguments | changes))


@pytest.mark.parametrize("gate", ["attention", "softmax", "logit"])
def test_a_gate_over_one_expert_learns_where_it_is_hidden_at_times(gate: str, study, tmp_path: Path) -> None:
    made = trained(
        study[0][:1], looked(study, tmp_path / "gate_inputs"), tmp_path / "gate", gate=gate, expert_dropout=0.5
    )
    assert "left_out" not in made and np.isfinite(made["metrics"]["validation_auroc"])


def test_a_gate_is_trained_anew_for_what_it_learns_from_alone(
    study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    def is_kept(gate_inputs: Path, folder: str, **changes: object) -> bool:
        caplog.clear()
        trained(study[0], gate_inputs, tmp_path / folder, gate=folder, **changes)
        return "is already trained" in caplog.text

    gate_inputs = looked(study, tmp_path / "gate_inputs")
    assert not is_kept(gate_inputs, "logit")
    idle = {"checkpoint_seconds": 0.5, "momentum": 0.3, "mixed_precision": False}
    assert is_kept(gate_inputs, "logit", settings=SHORT | idle)
    assert not is_kept(gate_inputs, "logit", settings=SHORT | {"learning_rate": 0.02})


def placed(dataset: Dataset, start: np.ndarray, negatives_elsewhere: int) -> Dataset:
    """Set bound rows at their places, and a negative of each elsewhere."""
    half = len(dataset) // 2
    where = np.r_[start, start + negatives_elsewhere]
    return replace(
        dataset,
        pair=np.r_[np.arange(half), np.arange(half)].astype(np.int32),
        chrom=np.full(len(dataset), "chr1"),
        start=where,
        end=where + dataset.length,
        strand=np.full(len(dataset), "."),
    )


@pytest.mark.parametrize("drawn", [in_calibration_split, selects_epoch])
def test_a_quarter_of_the_rows_is_drawn_the_same_in_every_file(drawn: Callable[[Dataset], np.ndarray]) -> None:
    rows = planted(2000, 3)
    start = np.random.default_rng(0).integers(0, 10**8, 1000)
    kept = drawn(placed(rows, start, 10**6))
    assert 0.2 < kept.mean() < 0.3
    # The same negatives beside other bound rows, as matched ones of two experiments may be.
    other = placed(rows, np.random.default_rng(1).integers(0, 10**8, 1000), 0)
    other = replace(
        other, start=np.r_[other.start[:1000], start + 10**6], end=np.r_[other.end[:1000], start + 10**6 + WINDOW]
    )
    assert (drawn(other)[1000:] == kept[1000:]).all()
    # Another kind of negatives, another experiment that holds half of the places a few bases on.
    assert (drawn(placed(planted(2000, 4), start, 5 * 10**7))[:1000] == kept[:1000]).all()
    near = drawn(placed(subset(rows, np.r_[500:1000, 1500:2000]), start[500:] + 7, 10**6))
    assert (near[:500] == kept[500:1000]).mean() > 0.99
    # Without places, by the sequence, either strand.
    plain = drawn(rows)
    turned = np.ascontiguousarray(rows.one_hot[:, ::-1, ::-1])
    shuffles = replace(rows, pair=np.r_[np.arange(1000), np.arange(1000)].astype(np.int32))
    assert (drawn(shuffles) == np.tile(plain[:1000], 2)).all(), "what is made from a row stays with it"
    assert 0.2 < plain.mean() < 0.3 and (drawn(replace(rows, one_hot=turned)) == plain).all()
    assert len(drawn(subset(rows, np.arange(0)))) == 0


def test_rows_that_choose_have_nothing_to_do_with_those_that_calibrate() -> None:
    rows = placed(planted(4000, 3), np.random.default_rng(0).integers(0, 10**8, 2000), 10**6)
    assert 0.04 < (in_calibration_split(rows) & selects_epoch(rows)).mean() < 0.09


def noisy(count: int, seed: int) -> Dataset:
    """Rows whose labels are a coin's: whoever is sure of one has trained_on it by heart."""
    return replace(planted(count, seed), label=np.random.default_rng(seed).integers(0, 2, count).astype(np.uint8))


@pytest.mark.parametrize("rows", ["held_out", "expert_split", "pooled_random"])
def test_what_an_overfitted_gate_promises_holds_for_rows_that_it_did_not_see(rows: str, tmp_path: Path) -> None:
    gate_experts = [gate_expert(tmp_path, name, place, motifs=64, weight_sd=1.0) for place, name in enumerate("AB")]
    parts = {name: (noisy(150, place), noisy(400, 10 + place)) for place, name in enumerate("AB")}
    data = {name: written(tmp_path, name, *part) for name, part in parts.items()}
    gate_inputs = read_gate_inputs(looked((gate_experts, data), tmp_path / "gate_inputs", rows))
    learning = ~gate_inputs.validation
    label, embeddings = gate_inputs.label[learning], gate_inputs.unpack(gate_inputs.inputs)[0][learning]
    gate = build_gate("softmax", 2, gate_inputs.embedding_size, {}, seed=0)
    optimizer = torch.optim.Adam(gate.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        loss = binary_cross_entropy_with_logits(gate(embeddings)[0], torch.from_numpy(label).float())
        loss.backward()
        optimizer.step()
    folders = {each.name: each.folder for each in gate_experts}
    bundle.save_mixture(gate, folders, tmp_path / "gate", {"rows": rows}, {name: [f"factor {name}"] for name in "AB"})
    calibrate_mixture(
        tmp_path / "gate", {"coin": [paths[1] for paths in data.values()]}, [paths[0] for paths in data.values()],
        device=CPU, seed=0, batch_size=512, motif_priors={},
    )  # fmt: skip
    assert read_json(tmp_path / "gate" / "calibration.json")["may_overlap_training"] == (rows == "pooled_random")
    own = read_calibrations(tmp_path / "gate")["coin"]
    free = [part[1] for part in parts.values()]
    assert own.rows == sum(in_calibration_split(part).sum() for part in free)
    mixture = bundle.load(tmp_path / "gate")

    def said(*datasets: Dataset) -> tuple[np.ndarray, np.ndarray]:
        every = concatenate(datasets)
        return every.label, mixture.predict(every.one_hot)[0].numpy()

    def broken(fitted: Calibration) -> float:
        """Return by how many of its standard errors the log loss of fresh rows is above the one that is promised."""
        loss = np.logaddexp(0, np.where(fresh[0] == 1, -1, 1) * fitted.logit(fresh[1]))
        noise = loss.std() * (1 / len(loss) + 1 / fitted.rows) ** 0.5
        return (loss.mean() - fitted.after["log_loss"]) / noise

    fresh = said(noisy(4000, 77))
    by_heart = calibrate(label, mixture.gate(embeddings)[0].detach().numpy(), "coin")
    assert broken(by_heart) > 6
    if rows != "pooled_random":
        assert abs(broken(own)) < 3


def related(count: int, seed: int, *, of: Dataset, rows: np.ndarray) -> Dataset:
    """Rows of which the first are sequences of others, on the other strand."""
    own = planted(count, seed)
    own.one_hot[: len(rows)] = of.one_hot[rows][:, ::-1, ::-1]
    return own


@pytest.fixture(scope="module")
def folded(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[list[GateExpert], dict[str, tuple[Path, Path]], list[Dataset]]:
    """Two experts with two folds, and a network pooled over both; B has 20 bound rows of A among its own.

    Of B's validation rows the first 6 are A's training rows.
    """
    folder = tmp_path_factory.mktemp("folded")
    first = planted(TRAINING, 0)
    rows = {
        "A": (first, planted(VALIDATION, 10)),
        "B": (
            related(TRAINING, 1, of=first, rows=np.arange(20)),
            related(VALIDATION, 11, of=first, rows=np.arange(30, 36)),
        ),
    }
    data = {name: written(folder, name, *parts) for name, parts in rows.items()}
    gate_experts = []
    for place, (name, trained_on) in enumerate({"A": "A", "B": "B", "pooled": "AB"}.items()):
        train, validation = (concatenate([rows[each][split] for each in trained_on]) for split in (0, 1))
        dealt, places = deal_folds(train, 2), [folder / name / f"fold{fold}" for fold in range(2)]
        how = {"architecture": "convnet", "hyperparameters": HYPERPARAMETERS, "device": CPU, "settings": SHORT}
        for fold, path in enumerate(places):
            train_expert(subset(train, dealt != fold), validation, folder=path, seed=fold, **how)
        train_expert(train, validation, folder=folder / name, seed=5 + place, **how)
        factors = tuple(f"factor {each}" for each in trained_on)
        gate_experts.append(GateExpert(name, str(folder / name), tuple(trained_on), factors, tuple(map(str, places))))
    return gate_experts, data, [*rows["A"], *rows["B"]]


def test_an_expert_never_speaks_of_what_it_learnt_be_it_a_row_of_another_experiment(folded, tmp_path: Path) -> None:
    gate_experts, data, (_, own, train, _) = folded
    gate_inputs = {
        rows: read_gate_inputs(looked((gate_experts, data), tmp_path / rows, rows))
        for rows in ("expert_split", "out_of_fold")
    }
    plain, held = (gate_inputs[rows].unpack(gate_inputs[rows].inputs)[0][:, 0] for rows in gate_inputs)
    source = {rows: gate_inputs[rows].unpack(gate_inputs[rows].inputs)[2] for rows in gate_inputs}
    of_b = [(source[rows] == 1) & ~torch.from_numpy(gate_inputs[rows].validation) for rows in gate_inputs]
    assert [int(each.sum()) for each in of_b] == [TRAINING, TRAINING]
    plain, held = plain[of_b[0]], held[of_b[1]]
    # A's expert knows B's first rows from its own training; of the others it speaks itself.
    assert (plain[:20] != held[:20]).any(1).all() and (plain[20:] == held[20:]).all()
    # Each is what the expert says that was trained without A's row, in the coordinates of A's expert.
    fold = deal_folds(subset(train, np.arange(20)), 2)
    free = own.one_hot[~in_calibration_split(own)]
    paths = {"whole": gate_experts[0].folder} | dict(enumerate(gate_experts[0].folds))
    embed = {name: embedder(path) for name, path in paths.items()}
    for one in (0, 1):
        outsider, _ = align(embed[one], free, embed["whole"](free))
        rows = np.flatnonzero(fold == one)
        assert len(rows) > 3
        np.testing.assert_allclose(held[rows], outsider(train.one_hot[rows]), rtol=1e-3, atol=1e-4)
    # Networks of B are aligned on what no expert knows: B's first validation rows are A's training rows.
    _, _, (_, _, train, valid) = folded
    known = in_calibration_split(valid) | (np.arange(len(valid)) < 6)
    looked_at = gate_inputs["out_of_fold"]
    mine = looked_at.unpack(looked_at.inputs)[0][of_b[1], 1]
    embed = {fold: embedder(path) for fold, path in enumerate(gate_experts[1].folds)}
    whole, fold = embedder(gate_experts[1].folder), deal_folds(train, 2)
    for one in (0, 1):
        outsider, _ = align(embed[one], valid.one_hot[~known], whole(valid.one_hot[~known]))
        rows = np.flatnonzero(fold == one)
        np.testing.assert_allclose(mine[rows], outsider(train.one_hot[rows]), rtol=1e-3, atol=1e-4)


def test_a_network_without_a_factor_is_silent_of_rows_that_it_learnt_with_another(folded, tmp_path: Path) -> None:
    """B holds 20 rows of A: a pooled network without A met them in B, and so knows those of A; and the other way."""
    gate_experts, data, _ = folded
    folders = {each.name: each.folder for each in gate_experts}
    pooled = replace(gate_experts[2], without={"factor A": folders["B"], "factor B": folders["A"]})
    gate_inputs = read_gate_inputs(looked(([*gate_experts[:2], pooled], data), tmp_path / "inputs", "out_of_fold"))
    _, unseen, source, _ = gate_inputs.unpack(gate_inputs.inputs)
    learning = ~torch.from_numpy(gate_inputs.validation)
    for place in range(2):
        silent = unseen[learning & (source == place), 2].isnan()
        assert silent[:20].all() and not silent[20:].any() and len(silent) == TRAINING
    assert not unseen[~learning, 2].isnan().any()


def embedder(folder: str) -> Embed:
    expert = bundle.load_experts({"x": folder})["x"]
    return lambda one_hot: expert.embed(torch.from_numpy(one_hot).float()).detach().numpy()


@pytest.mark.parametrize("rows", ["expert_split", "out_of_fold", "held_out"])
def test_no_validation_row_that_an_expert_was_trained_on_teaches_or_chooses(rows: str, folded, tmp_path: Path) -> None:
    gate_experts, data, (_, own, _, mixed) = folded
    gate_inputs = read_gate_inputs(looked((gate_experts, data), tmp_path / "gate_inputs", rows))
    known = np.r_[np.zeros(len(own), dtype=bool), np.arange(len(mixed)) < 6]
    free = ~np.r_[in_calibration_split(own), in_calibration_split(mixed)] & ~known
    assert (known & ~np.r_[in_calibration_split(own), in_calibration_split(mixed)]).any()
    counted = gate_inputs.description["counts"]
    found = counted["validation"] + (counted["training"] if rows == "held_out" else 0)
    assert found == free.sum()
    everything = read_gate_inputs(looked((gate_experts, data), tmp_path / "all", "pooled_random"))
    assert len(everything.label) == 2 * (TRAINING + VALIDATION)


def test_rows_with_relatives_in_every_fold_teach_nothing(folded, tmp_path: Path) -> None:
    """A window and the next one lie on two sides of a fold's border: no expert of a fold saw neither."""
    gate_experts, _, (first, own, *_) = folded
    start = 2_000_000 * np.arange(TRAINING) + np.where(np.arange(TRAINING) < TRAINING // 2, 0, 500_000)
    pair = np.r_[np.arange(40), np.arange(40)].astype(np.int32)
    border = int(next(block for block in range(1, 60) if _fold(block) != _fold(block - 1))) * 1_000_000
    start[:2] = border - 40, border - 10
    train = replace(placed(first, start[:40], 0), start=start, end=start + WINDOW, pair=pair)
    dealt = deal_folds(train, 2)
    assert dealt[0] != dealt[1]
    path = tmp_path / "A.train.h5"
    write_dataset(replace(train, attributes={"factor": "factor A"}), path)
    valid = written(tmp_path, "V", train, own)[1]
    folds = [tmp_path / f"fold{fold}" for fold in range(2)]
    how = {"architecture": "convnet", "hyperparameters": HYPERPARAMETERS, "device": CPU, "settings": SHORT}
    for fold, place in enumerate(folds):
        train_expert(subset(train, dealt != fold), own, folder=place, seed=fold, **how)
    two = [
        replace(each, name=name, trained_on=("A",), folds=tuple(map(str, folds)))
        for each, name in zip(gate_experts, "AB", strict=False)
    ]
    description = write_gate_inputs(
        two, {"A": (path, valid)}, tmp_path / "gate_inputs", rows="out_of_fold", seed=0, device=CPU
    )
    assert description["counts"]["training"] == TRAINING - 4, "both windows go, with their pairs"
    # Fold 1 of as many rows, one of them from its own fold.
    rows = np.flatnonzero(dealt != 1)
    rows[-1] = np.flatnonzero(dealt == 1)[-1]
    train_expert(subset(train, np.sort(rows)), own, folder=tmp_path / "one_off", seed=1, **how)
    for fold_networks in (two[0].folds[::-1], (str(folds[0]), str(tmp_path / "one_off"))):
        wrong = [replace(two[0], folds=fold_networks), two[1]]
        with pytest.raises(InputError, match="fold experts of A were trained on other rows than .* 1[)]; train"):
            write_gate_inputs(wrong, {"A": (path, valid)}, tmp_path / "again", rows="out_of_fold", seed=0, device=CPU)


def _fold(block: int) -> int:
    one = placed(planted(2, 0), np.array([block * 1_000_000 + 5]), 0)
    return int(deal_folds(one, 2)[0])


def test_relatives_of_rows_that_taught_do_not_calibrate(study, tmp_path: Path) -> None:
    """Rows of a training set, and windows beside those that chose an epoch."""
    gate_experts, _ = study
    first = planted(2000, 3)
    kept = np.flatnonzero(in_calibration_split(first))
    taught = subset(first, kept[:50])
    data = written(tmp_path, "A", taught, first)
    gate = build_gate(
        "softmax", 2, read_gate_inputs(looked(study, tmp_path / "gate_inputs")).embedding_size, {}, seed=0
    )
    folders = {each.name: each.folder for each in gate_experts}
    bundle.save_mixture(gate, folders, tmp_path / "gate", {"rows": "held_out"}, {name: [name] for name in folders})
    # Another kind of negatives: some of its rows lie three bases beside rows that are not reserved, and may be.
    other = planted(2000, 4)
    other.one_hot[:100] = np.roll(first.one_hot[~in_calibration_split(first)][:100], 3, axis=2)
    write_dataset(replace(other, attributes={"factor": "factor A"}), tmp_path / "other.h5")
    validation = {"first": [data[1]], "other": [tmp_path / "other.h5"]}
    how = {"device": CPU, "seed": 0, "batch_size": 512, "motif_priors": {}}
    calibrate_mixture(tmp_path / "gate", validation, [data[0]], **how)
    found = read_calibrations(tmp_path / "gate")
    assert found["first"].rows == len(kept) - 50
    assert found["other"].rows == in_calibration_split(other)[100:].sum()
    assert in_calibration_split(other)[:100].any()
