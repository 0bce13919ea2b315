"""A training that is stopped, crashes or is killed goes on from its checkpoint to the same weights."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from planted_rows import CPU, SETTINGS, TRAIN, VALIDATION, train
from tfbs_moe.data.dataset import write_dataset
from tfbs_moe.provenance import sha256_file
from tfbs_moe.training.checkpoint import FILE as CHECKPOINT
from tfbs_moe.training.checkpoint import Interrupted, watch_signals
from tfbs_moe.training.examples import make_rows
from tfbs_moe.training.loop import DivergedError, fit
from tfbs_moe.training.settings import TrainingSettings

# Four batches an epoch: to write a checkpoint takes longer than a batch.
SAVED_EACH_BATCH = {"checkpoint_seconds": 0, "batch_size": 200}


class StopError(Exception):
    """Raised by a report to end a training as a crash would."""


def crash_at(epoch: int):
    def report(done: int, _: float) -> None:
        if done == epoch:
            raise StopError

    return report


@pytest.mark.parametrize("settings", [{"schedule": "cosine"}, {"optimizer": "sgd", "schedule": "plateau"}])
def test_a_crashed_training_goes_on_to_the_same_weights(tmp_path: Path, settings: dict) -> None:
    chosen = SETTINGS | SAVED_EACH_BATCH | settings
    train(tmp_path / "whole", settings=chosen)
    for epoch in (1, 3):
        with pytest.raises(StopError):
            train(tmp_path / "parts", settings=chosen, report=crash_at(epoch))
    train(tmp_path / "parts", settings=chosen)
    for file in ("model.safetensors", "model.json", "history.tsv"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()


def test_a_checkpoint_of_something_else_is_left_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    chosen = SETTINGS | SAVED_EACH_BATCH
    with pytest.raises(StopError):
        train(tmp_path / "a", settings=chosen, report=crash_at(2))
    changed = train(tmp_path / "a", settings=chosen, seed=7)
    assert "is from other data, settings or code" in caplog.text
    assert changed["weights"] == train(tmp_path / "b", settings=chosen, seed=7)["weights"]
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / CHECKPOINT).write_bytes(b"half a checkpoi")
    assert train(tmp_path / "c", settings=chosen, seed=7)["weights"] == changed["weights"]
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize("place", [0.02, 0.5, 0.99], ids=["header", "middle", "end"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, place: float
) -> None:
    caplog.set_level("INFO")
    chosen = SETTINGS | SAVED_EACH_BATCH
    train(tmp_path / "whole", settings=chosen)
    with pytest.raises(StopError):
        train(tmp_path / "parts", settings=chosen, report=crash_at(3))
    newest = tmp_path / "parts" / CHECKPOINT
    damaged = bytearray(newest.read_bytes())
    damaged[int(len(damaged) * place)] ^= 1
    newest.write_bytes(damaged)
    train(tmp_path / "parts", settings=chosen)
    assert "is damaged and cannot be read" in caplog.text and "resuming from epoch" in caplog.text
    for file in ("model.safetensors", "model.json", "history.tsv"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()
    assert not list((tmp_path / "parts").glob(f"*{CHECKPOINT}"))


def test_a_signal_writes_a_checkpoint_and_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    train(tmp_path / "whole")

    def send(epoch: int, _: float) -> None:
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGUSR1)

    with pytest.raises(Interrupted) as stopped:
        train(tmp_path / "parts", report=send)
    assert stopped.value.code == 128 + signal.SIGUSR1
    assert "stopped by a signal in epoch 3, batch 0 of 13" in caplog.text
    assert (tmp_path / "parts" / CHECKPOINT).exists()
    train(tmp_path / "parts")
    assert sha256_file(tmp_path / "parts" / "model.safetensors") == sha256_file(
        tmp_path / "whole" / "model.safetensors"
    )


def linear_fit(act: Callable[[int, torch.nn.Module], None], epochs: int, reported: list[int]) -> None:
    """Train a linear network on four batches an epoch; ``act`` is called with the steps begun, in validation too."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(TRAIN.one_hot[0].size, 1), torch.nn.Flatten(0))
    steps = []

    def predict(x: torch.Tensor) -> tuple[torch.Tensor, None]:
        if model.training:
            steps.append(1)
        act(len(steps), model)
        return model(x.float()), None

    train_rows, validation = (
        make_rows(torch.from_numpy(rows.one_hot), rows.label, CPU, name)
        for rows, name in ((TRAIN, "training"), (VALIDATION, "validation"))
    )
    settings = TrainingSettings(batch_size=200, max_epochs=epochs, patience=epochs)
    fit(model, predict, train_rows, validation, settings, 0, report=lambda epoch, _: reported.append(epoch))


def test_a_signal_in_validation_does_not_lose_the_epochs_report() -> None:
    """A search that goes on from the checkpoint prunes by what was reported."""
    reported: list[int] = []
    sent: list[int] = []

    def act(step: int, model: torch.nn.Module) -> None:
        # Validation comes in parts; a second signal would end the process.
        if step == 8 and not model.training and not sent:
            sent.append(step)
            os.kill(os.getpid(), signal.SIGUSR1)

    with pytest.raises(Interrupted):
        linear_fit(act, 5, reported)
    assert reported == [1, 2]


def test_a_training_that_diverges_in_its_last_step_is_not_done() -> None:
    """No loss of that epoch shows it: the weights become no numbers after the last loss was taken."""

    def spoil(weight: torch.Tensor) -> None:
        weight.grad.fill_(torch.nan)

    def act(step: int, model: torch.nn.Module) -> None:
        if step == 4 and model.training:
            model[1].weight.register_post_accumulate_grad_hook(spoil)

    with pytest.raises(DivergedError, match="after epoch 1 no logit is finite for 300 of 300 validation rows"):
        linear_fit(act, 1, [])


def test_signal_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with watch_signals() as watch:
        assert not watch.check()
    assert signal.getsignal(signal.SIGTERM) is before


CHILD = """
import sys, torch
from pathlib import Path
from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.training.expert import train_expert
from tfbs_moe.training.expert import fresh_negatives
torch.set_num_threads(1)
folder = Path(sys.argv[1])
train_expert(
    read_dataset(folder / "train.h5"), read_dataset(folder / "validation.h5"), architecture="convnet",
    hyperparameters={"motif_width": 8, "dropout": 0.5}, seed=3, folder=folder / sys.argv[2],
    device=torch.device("cpu"),
    settings={"max_epochs": int(sys.argv[3]), "patience": 1000, "batch_size": 16, "checkpoint_seconds": 0.02,
              "augmentation": "reverse_complement"},
)
"""
KILLS = int(os.environ.get("TFBS_MOE_KILLS", "2"))
"""How often a training is killed; more take longer."""


def test_kill_9_and_go_on_gives_the_same_weights(tmp_path: Path) -> None:
    write_dataset(TRAIN, tmp_path / "train.h5")
    write_dataset(VALIDATION, tmp_path / "validation.h5")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}

    def start(name: str) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path), name, str(100 * KILLS)], env=environment)

    def written() -> int:
        return checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0

    assert start("whole").wait() == 0
    checkpoint = tmp_path / "parts" / CHECKPOINT
    moments = np.random.default_rng(1).uniform(0, 0.2, KILLS)
    for moment in moments:
        before, killed = written(), start("parts")
        while written() == before and killed.poll() is None:
            time.sleep(0.005)
        time.sleep(moment)
        killed.kill()
        assert killed.wait() == -signal.SIGKILL
    assert start("parts").wait() == 0
    assert sha256_file(tmp_path / "parts" / "model.safetensors") == sha256_file(
        tmp_path / "whole" / "model.safetensors"
    )
    assert [path.name for path in (tmp_path / "parts").iterdir() if "tmp" in path.name] == []
