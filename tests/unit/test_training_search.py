"""The hyper-parameter search: it finds what is better, it resumes, it shares work, it refuses a bad space."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tfbs_moe.data.dataset import Dataset, make_dataset
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import one_hot_from_codes
from tfbs_moe.tables import read_json
from tfbs_moe.training import search as module
from tfbs_moe.training.search import SearchSettings, collect_search, read_space, search_share

optuna = pytest.importorskip("optuna", reason="optuna is not installed")
WINDOW = 30
SPACE = {
    "network.motifs": {"low": 2, "high": 12},
    "network.pooling": {"choices": ["max", "max_mean"]},
    "training.learning_rate": {"low": 1e-6, "high": 3e-2, "log": True},
}


def planted(count: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (count, WINDOW))
    codes[: count // 2, 10:16] = [2, 0, 3, 0, 0, 2]
    return make_dataset(one_hot_from_codes(codes), np.arange(count) < count // 2)


def run(
    folder: Path, trials: int, worker: int = 0, workers: int = 1, space: dict = SPACE, **settings: object
) -> tuple[str, SearchSettings]:
    """Do one worker's share; return the search's name and settings."""
    search = SearchSettings(trials=trials, startup_trials=3, warmup_epochs=1, workers=workers)
    name = search_share(
        planted(300, 0),
        planted(200, 1),
        architecture="convnet",
        hyperparameters={"motif_width": 6, "weight_sd": 0.1},
        settings={"max_epochs": 5, "patience": 5, "batch_size": 50} | settings,
        space=space,
        search=search,
        worker=worker,
        seed=4,
        folder=folder,
        device=torch.device("cpu"),
    )
    return name, search


def test_a_search_is_named_after_what_its_outcome_hangs_on(tmp_path: Path) -> None:
    adamw = {"optimizer": "adamw"}
    names = [
        run(tmp_path, 0, **adamw | more)[0]
        for more in (
            {},
            {"checkpoint_seconds": 7.0, "mixed_precision": False, "momentum": 0.3},
            # Searched: the space says what it is.
            {"learning_rate": 0.5},
            {"patience": 2},
            {"optimizer": "sgd", "momentum": 0.3},
        )
    ]
    assert names[0] == names[1] == names[2] and len(set(names)) == 3


def test_search_finds_the_better_half_and_can_go_on(tmp_path: Path) -> None:
    run(tmp_path / "parts", 3)
    run(tmp_path / "parts", 8)
    name = run(tmp_path / "whole", 8)
    table, best = collect_search(tmp_path / "parts", *name)
    assert list(table["trial"]) == list(range(8))
    assert set(table["state"]) <= {"complete", "pruned"} and "pruned" in set(table["state"])
    assert best["validation_auroc"] == table.loc[table["state"] == "complete", "validation_auroc"].max() > 0.9
    assert set(best["network"]) == {"motifs", "pooling"} and set(best["training"]) == {"learning_rate"}
    assert collect_search(tmp_path / "whole", *name)[1] == best
    for file in ("trials.tsv", "best.json"):
        assert (tmp_path / "parts" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert not list((tmp_path / "parts" / "trials").iterdir())
    fewer = run(tmp_path / "parts", 3)
    assert len(collect_search(tmp_path / "parts", *fewer)[0]) == 3


def test_a_search_gets_its_own_winner_whatever_was_searched_since(tmp_path: Path) -> None:
    """Settings A, then B, then A again: the journal holds both, and each is read by its name."""
    first = run(tmp_path, 2)
    table, best = collect_search(tmp_path, *first)
    other = run(tmp_path, 2, batch_size=60)
    assert other[0] != first[0] and not collect_search(tmp_path, *other)[0].equals(table)
    assert run(tmp_path, 2) == first
    again = collect_search(tmp_path, *first)
    assert again[0].equals(table) and again[1] == best
    with pytest.raises(InputError, match="holds no search nothing"):
        collect_search(tmp_path, "nothing", first[1])


def test_no_trial_is_pruned_in_its_warm_up(tmp_path: Path) -> None:
    """The first epoch counts as 1: with a warm-up of one epoch, trials end in the second at the earliest."""
    table, _ = collect_search(tmp_path, *run(tmp_path, 10))
    pruned = table[table["state"] == "pruned"]
    assert len(pruned) and pruned["epochs"].min() >= 2


def test_a_killed_trial_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = run(tmp_path / "whole", 2)
    train = module.train_expert
    calls: list[int] = []

    def dies_once(*args: object, **options: object) -> dict:
        calls.append(1)
        if len(calls) == 2:
            raise SystemExit(143)
        return train(*args, **options)

    monkeypatch.setattr(module, "train_expert", dies_once)
    with pytest.raises(SystemExit):
        run(tmp_path / "parts", 2)
    run(tmp_path / "parts", 2)
    assert collect_search(tmp_path / "parts", *name)[0].equals(collect_search(tmp_path / "whole", *name)[0])


def test_workers_share_the_trials(tmp_path: Path) -> None:
    for worker in (1, 0):
        name = run(tmp_path, 5, worker=worker, workers=2)
    table, _ = collect_search(tmp_path, *name)
    assert table["worker"].value_counts().to_dict() == {0: 3, 1: 2}


def test_a_trial_that_diverges_is_a_failed_trial(tmp_path: Path) -> None:
    name = run(
        tmp_path,
        1,
        space={"training.learning_rate": {"low": 1e29, "high": 1e30}, "training.optimizer": {"choices": ["sgd"]}},
    )
    table, best = collect_search(tmp_path, *name)
    assert table["state"].tolist() == ["fail"]
    assert best == {"network": {}, "training": {}, "trial": None, "validation_auroc": None}
    assert read_json(tmp_path / "best.json") == best


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"learning_rate": {"low": 1.0, "high": 2.0}}, "must begin with 'network.' or 'training.'"),
        ({"training.momentum": {"low": 0.9}}, "cannot be used"),
        ({"training.momentum": {"low": 0.9, "high": 0.5}}, "cannot be used"),
        ({}, "names no parameters to search"),
    ],
)
def test_a_space_that_cannot_be_searched(space: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_space("convnet", space)


@pytest.mark.parametrize("architecture", ["convnet", "deepsea", "danq", "language_model"])
def test_every_architecture_names_parameters_that_exist(architecture: str) -> None:
    from dataclasses import fields

    from tfbs_moe.models.registry import ARCHITECTURES
    from tfbs_moe.training.settings import TrainingSettings

    network = {f"network.{field.name}" for field in fields(ARCHITECTURES[architecture].Parameters)}
    training = {f"training.{field.name}" for field in fields(TrainingSettings)}
    assert set(read_space(architecture, None)) <= network | training
