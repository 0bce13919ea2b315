"""What gates learn from, and what they are judged and calibrated on: the experts here are as they were drawn."""

from pathlib import Path

import numpy as np
import pytest

from planted_rows import CPU, HYPERPARAMETERS, WINDOW, planted
from tfbs_moe.data.dataset import Dataset, write_dataset
from tfbs_moe.data.factor_knowledge import FactorKnowledge
from tfbs_moe.models import bundle
from tfbs_moe.models.registry import build
from tfbs_moe.training.gate import train_gate
from tfbs_moe.training.views import Member, read_views, write_views

SHORT = {"optimizer": "adamw", "learning_rate": 0.01, "batch_size": 32, "max_epochs": 1, "patience": 1}
TRAINING, VALIDATION = 80, 60


def member(folder: Path, name: str, seed: int, factor: str | None = None, **more: object) -> Member:
    """Write an expert as it was drawn."""
    bundle.save(build("convnet", WINDOW, HYPERPARAMETERS, seed=seed), folder / name)
    return Member(name, str(folder / name), (name,), (factor or f"factor {name}",), **more)


def written(folder: Path, name: str, *parts: Dataset) -> tuple[Path, Path]:
    """Write the training and validation rows of an experiment."""
    paths = tuple(folder / f"{name}.{split}.h5" for split in ("train", "validation"))
    for part, path in zip(parts, paths, strict=True):
        part.attributes.setdefault("factor", f"factor {name}")
        write_dataset(part, path)
    return paths


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Member], dict[str, tuple[Path, Path]]]:
    """Two experts and their data."""
    folder = tmp_path_factory.mktemp("study")
    rows = {name: (planted(TRAINING, place), planted(VALIDATION, 10 + place)) for place, name in enumerate("AB")}
    return (
        [member(folder, name, place) for place, name in enumerate("AB")],
        {name: written(folder, name, *parts) for name, parts in rows.items()},
    )


def looked(study: tuple[list[Member], dict], folder: Path, rows: str = "expert_split", **more: object) -> Path:
    write_views(study[0], study[1], folder, rows=rows, seed=0, device=CPU, **more)
    return folder


def trained(members: list[Member], views: Path, folder: Path, **changes: object) -> dict:
    arguments = {"gate": "softmax", "hyperparameters": {}, "settings": SHORT, "seed": 0, "folder": folder}
    experts = {member.name: member.folder for member in members}
    return train_gate(read_views(views), experts, **({"device": CPU} | arguments | changes))


@pytest.mark.parametrize("gate", ["attention", "softmax", "logit"])
def test_a_gate_over_one_expert_learns_where_it_is_hidden_at_times(gate: str, study, tmp_path: Path) -> None:
    made = trained(study[0][:1], looked(study, tmp_path / "views"), tmp_path / "gate", gate=gate, unseen=0.5)
    assert "left_out" not in made and np.isfinite(made["metrics"]["validation_auroc"])


def test_a_gate_is_trained_anew_for_what_it_learns_from_alone(
    study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    def is_kept(views: Path, folder: str, **changes: object) -> bool:
        caplog.clear()
        trained(study[0], views, tmp_path / folder, gate=folder, **changes)
        return "is already trained" in caplog.text

    told = {name: FactorKnowledge(f"factor {name}", ("MA0037.5",), {"factor A": 15.0}) for name in study[1]}
    views = looked(study, tmp_path / "views", knowledge=told)
    other = looked(study, tmp_path / "other", knowledge={"A": told["A"]})
    assert not is_kept(views, "motif")
    idle = {"checkpoint_seconds": 0.5, "momentum": 0.3, "mixed_precision": False}
    assert is_kept(views, "motif", settings=SHORT | idle)
    # Only a gate that is told of factors hangs on what is known of them.
    assert not is_kept(other, "motif")
    assert not is_kept(views, "logit")
    assert is_kept(other, "logit")
