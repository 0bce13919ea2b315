"""The training of an expert: it learns, it is the same each time, it is not repeated, it says why one is left out."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from planted_rows import CPU, HYPERPARAMETERS, SETTINGS, TRAIN, VALIDATION, planted, train
from tfbs_moe.data.dataset import Dataset, concatenate, left_out_dataset, subset
from tfbs_moe.data.negatives.shuffles import dinucleotide_counts
from tfbs_moe.errors import InputError
from tfbs_moe.models import bundle
from tfbs_moe.models.registry import build
from tfbs_moe.provenance import MIXTURE_MODULES, code_files
from tfbs_moe.runtime import named_seed
from tfbs_moe.sequence import codes_from_one_hot
from tfbs_moe.tables import read_tsv
from tfbs_moe.training.checkpoint import FILE as CHECKPOINT
from tfbs_moe.training.examples import auroc, batch_mean_auroc
from tfbs_moe.training.expert import fresh_negatives, train_expert


def test_an_expert_learns_a_planted_motif(tmp_path: Path) -> None:
    written = train(tmp_path, settings=SETTINGS | {"max_epochs": 15})
    assert written["metrics"]["validation_auroc"] > 0.95
    history = np.genfromtxt(tmp_path / "history.tsv", names=True)
    assert written["metrics"]["validation_auroc"] == pytest.approx(history["validation_auroc"].max())
    assert list(history.dtype.names) == ["epoch", "train_loss", "validation_loss", "validation_auroc", "learning_rate"]
    model = bundle.load(tmp_path)
    scores = model(torch.from_numpy(VALIDATION.one_hot).float()).detach().numpy()
    assert roc_auc_score(VALIDATION.label, scores) == pytest.approx(written["metrics"]["validation_auroc"], abs=1e-6)
    timing = json.loads((tmp_path / "timing.json").read_text())
    assert timing["samples_per_second"] > 0 and 0 <= timing["data_share"] < 1 and timing["device"] == "cpu"
    assert not (tmp_path / CHECKPOINT).exists()


@pytest.mark.parametrize("changes", [{}, {"augmentation": "reverse_complement", "optimizer": "sgd"}])
def test_two_trainings_give_the_same_bytes(tmp_path: Path, changes: dict) -> None:
    for name in ("a", "b"):
        torch.manual_seed(len(name))
        train(tmp_path / name, settings=SETTINGS | changes)
    for file in ("model.safetensors", "model.json", "history.tsv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_seed_and_settings_change_the_weights(tmp_path: Path) -> None:
    variants = [{}, {"seed": 2}, {"settings": SETTINGS | {"class_weight": "balanced", "clip_norm": 0.01}}]
    hashes = [train(tmp_path / str(k), **changes)["weights"]["sha256"] for k, changes in enumerate(variants)]
    assert len(set(hashes)) == 3


def test_finished_work_is_not_repeated_but_a_damaged_one_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    first = train(tmp_path)
    written = (tmp_path / "model.safetensors").stat().st_mtime_ns
    assert train(tmp_path) == first
    assert (tmp_path / "model.safetensors").stat().st_mtime_ns == written
    assert "already trained" in caplog.text
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert train(tmp_path) == first
    assert bundle.load(tmp_path)
    assert train(tmp_path, seed=5)["weights"] != first["weights"]


def test_work_is_done_again_for_what_it_hangs_on_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And what the digest of an expert's code leaves out is not run when one is trained."""
    caplog.set_level("INFO")
    rows, short = subset(TRAIN, np.arange(380, 420)), SETTINGS | {"max_epochs": 1}
    fixed = {"architecture": "convnet", "hyperparameters": HYPERPARAMETERS, "seed": 1, "folder": tmp_path}

    def is_kept(data: Dataset, settings: dict) -> bool:
        caplog.clear()
        train_expert(data, rows, settings=settings, device=CPU, **fixed)
        return "already trained" in caplog.text

    left_out = {sys.modules[name].__file__ for name in MIXTURE_MODULES}
    ran = set()
    sys.setprofile(lambda frame, *_: ran.add(frame.f_code.co_filename))
    try:
        assert not is_kept(rows, short)
        assert is_kept(rows, short | {"checkpoint_seconds": 7.0, "mixed_precision": False, "momentum": 0.3})
    finally:
        sys.setprofile(None)
    assert (
        len(left_out) == len(MIXTURE_MODULES)
        and not ran & left_out
        and sys.modules["tfbs_moe.models.convnet"].__file__ in ran
    )
    library = Path(bundle.__file__).parents[2]
    for script in ("train_expert", "search_share"):
        used = {str(path) for path in code_files(library / "scripts" / f"{script}.py", library, MIXTURE_MODULES)}
        assert not used & left_out and bundle.__file__ in used
    # Fresh negatives are made from the row that each is paired with.
    assert not is_kept(replace(rows, pair=np.r_[np.arange(20), np.arange(20)].astype(np.int32)), short)


def test_scores_that_are_no_numbers_have_no_auroc() -> None:
    assert np.isnan(auroc(np.array([1, 1, 0, 0]), np.array([np.nan, np.nan, 0.1, 0.2])))


def test_early_stop_keeps_the_best_weights(tmp_path: Path) -> None:
    written = train(tmp_path, settings=SETTINGS | {"max_epochs": 60, "patience": 3, "min_delta": 0.01})
    assert written["metrics"]["stopped"] == "patience"
    areas = np.genfromtxt(tmp_path / "history.tsv", names=True)["validation_auroc"]
    assert len(areas) == written["metrics"]["epochs"] < 60
    assert areas[written["metrics"]["best_epoch"] - 1] == areas.max()
    assert areas[-3:].max() <= areas[:-3].max() + 0.01


def initial_weights() -> dict[str, torch.Tensor]:
    return build("convnet", TRAIN.length, HYPERPARAMETERS, named_seed(1, "weights")).state_dict()


def assert_left_out(folder: Path, written: dict, reason: str) -> None:
    """The bundle is sound and untrained, and says why."""
    assert re.search(reason, bundle.left_out(folder)) and written["left_out"] == bundle.left_out(folder)
    weights = bundle.load(folder).state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in initial_weights().items())
    assert written["metrics"] == {"validation_auroc": None, "best_epoch": 0, "epochs": 0, "stopped": "left out"}
    history = read_tsv(folder / "history.tsv")
    assert history.empty
    assert list(history) == ["epoch", "train_loss", "validation_loss", "validation_auroc", "learning_rate"]
    assert not list(folder.glob("*checkpoint*"))


def test_a_training_that_diverges_is_left_out_and_not_tried_again(tmp_path: Path, caplog) -> None:
    settings = SETTINGS | {"optimizer": "sgd", "learning_rate": 1e30}
    written = train(tmp_path, settings=settings)
    assert_left_out(tmp_path, written, "training diverged: the loss of epoch 1 is nan. Lower learning_rate")
    with caplog.at_level("INFO"):
        assert train(tmp_path, settings=settings) == written
    assert "is already trained" in caplog.text


def test_divergence_in_the_last_step_is_seen(tmp_path: Path) -> None:
    """One batch an epoch: its loss is taken before the step that goes too far."""
    settings = SETTINGS | {"optimizer": "sgd", "learning_rate": 1e38, "batch_size": 800, "max_epochs": 1}
    written = train(tmp_path, settings=settings)
    assert_left_out(tmp_path, written, "after epoch 1 no logit is finite for 300 of 300 validation rows")


@pytest.mark.parametrize(
    ("train_rows", "validation_rows", "reason"),
    [
        (replace(TRAIN, label=np.ones_like(TRAIN.label)), VALIDATION, "training: 800 of 800 rows are positive"),
        (TRAIN, replace(VALIDATION, label=np.zeros_like(VALIDATION.label)), "validation: 0 of 300 rows are positive"),
        (TRAIN, left_out_dataset(TRAIN.length, "no positive for validation", {}), "^no positive for validation$"),
        (left_out_dataset(TRAIN.length, "3 bound and", {}), left_out_dataset(TRAIN.length, "x", {}), "^3 bound and$"),
        (subset(TRAIN, np.arange(0)), VALIDATION, "training: 0 of 0 rows are positive"),
    ],
    ids=["bound rows alone", "unbound validation", "no validation", "nothing", "no rows"],
)
def test_an_expert_without_rows_of_both_classes_is_left_out(
    tmp_path: Path, train_rows: Dataset, validation_rows: Dataset, reason: str
) -> None:
    how = {"architecture": "convnet", "hyperparameters": HYPERPARAMETERS, "settings": SETTINGS, "seed": 1}
    written = train_expert(train_rows, validation_rows, folder=tmp_path, device=CPU, **how)
    assert_left_out(tmp_path, written, reason)


def test_a_pooled_network_learns_from_the_experiments_that_are_there(tmp_path: Path) -> None:
    gone = left_out_dataset(TRAIN.length, "too few", {"experiment": "C"})
    how = {"architecture": "convnet", "hyperparameters": HYPERPARAMETERS, "settings": SETTINGS, "seed": 1}
    for name, parts in (("rest", [TRAIN]), ("pooled", [gone, TRAIN, gone])):
        train_expert(concatenate(parts), concatenate([VALIDATION, gone]), folder=tmp_path / name, device=CPU, **how)
        assert not bundle.left_out(tmp_path / name)
    assert (tmp_path / "rest" / bundle.WEIGHTS).read_bytes() == (tmp_path / "pooled" / bundle.WEIGHTS).read_bytes()


def test_one_class_in_every_batch_of_validation_is_no_reason_to_stop() -> None:
    labels, scores = np.array([1, 1, 0, 0]), np.array([2.0, 0.5, 1.0, 0.0])
    assert batch_mean_auroc(labels, scores, 2) == 0.75


def test_rows_that_cannot_be_told_from_each_other_are_learned_as_chance(tmp_path: Path) -> None:
    """Constant predictions are a result: AUROC 0.5, and weights that are finite."""
    same = replace(TRAIN, one_hot=np.repeat(TRAIN.one_hot[:1], len(TRAIN), axis=0))
    other = replace(VALIDATION, one_hot=np.repeat(TRAIN.one_hot[:1], len(VALIDATION), axis=0))
    how = {"architecture": "convnet", "hyperparameters": HYPERPARAMETERS, "settings": SETTINGS, "seed": 1}
    written = train_expert(same, other, folder=tmp_path, device=CPU, **how)
    assert written["metrics"]["validation_auroc"] == 0.5 and "left_out" not in written


def test_auroc_is_scikit_learns_with_ties() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 500), rng.integers(0, 30, 500).astype(float)
    assert auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    parts = [roc_auc_score(labels[i : i + 96], scores[i : i + 96]) for i in range(0, 500, 96)]
    assert batch_mean_auroc(labels, scores, 96) == pytest.approx(np.mean(parts))
    assert np.isnan(auroc(np.ones(3), np.arange(3)))
    assert batch_mean_auroc(np.array([1, 1, 0, 1]), np.array([1.0, 2.0, 0.0, 3.0]), 2) == 1.0


def test_negatives_are_drawn_anew_for_each_epoch() -> None:
    plain = planted(200, 5)
    pair = np.r_[np.arange(100), np.arange(100)].astype(np.int32)
    shuffled = replace(plain, pair=pair, attributes={"negatives": "dinucleotide_shuffle"})
    rows = fresh_negatives(shuffled, CPU, seed=3)
    first, second, again = rows(0), rows(1), fresh_negatives(shuffled, CPU, seed=3)(1)
    assert (first.inputs.numpy() == plain.one_hot).all() and (second.inputs == again.inputs).all()
    assert (second.inputs[:100].numpy() == plain.one_hot[:100]).all() and (second.labels == first.labels).all()
    codes = [codes_from_one_hot(part.numpy()) for part in (second.inputs[100:], rows(2).inputs[100:])]
    for drawn in codes:
        assert (dinucleotide_counts(drawn) == dinucleotide_counts(codes_from_one_hot(plain.one_hot[:100]))).all()
    assert (codes[0] != codes[1]).any(axis=1).mean() > 0.9
    with pytest.raises(InputError, match="fresh_negatives redraws shuffles, and the negatives .* are gc_matched"):
        fresh_negatives(replace(shuffled, attributes={"negatives": "gc_matched"}), CPU, seed=3)


def test_a_training_on_fresh_negatives_is_the_same_each_time_and_after_a_stop(tmp_path: Path) -> None:
    pair = np.r_[np.arange(400), np.arange(400)].astype(np.int32)
    data = replace(TRAIN, pair=pair, attributes={"negatives": "block_shuffle"})
    settings = SETTINGS | {"fresh_negatives": True}

    def run(folder: Path, **changes: object) -> dict:
        arguments = {"architecture": "convnet", "hyperparameters": HYPERPARAMETERS, "settings": settings, "seed": 1}
        return train_expert(data, VALIDATION, folder=folder, device=CPU, **(arguments | changes))

    def stop(epoch: int, area: float) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", settings=settings | {"checkpoint_seconds": 0.0}, report=stop)
    assert run(tmp_path / "cut", settings=settings | {"checkpoint_seconds": 0.0})["weights"] == whole["weights"]
    assert run(tmp_path / "old", settings=SETTINGS)["weights"] != whole["weights"]
