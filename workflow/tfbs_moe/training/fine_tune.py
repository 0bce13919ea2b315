"""Joint training of gate and experts, to measure what freezing the experts costs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from tfbs_moe.data.dataset import Dataset, concatenate, leaders, subset
from tfbs_moe.data.folds import in_calibration_split
from tfbs_moe.data.related import Pieces, are_related
from tfbs_moe.models import bundle
from tfbs_moe.models.gates import Gate
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.runtime import rng
from tfbs_moe.training.checkpoint import remove_checkpoint
from tfbs_moe.training.examples import Rows, sequence_rows
from tfbs_moe.training.gate_inputs import GateInputs, hide
from tfbs_moe.training.loop import Fitted, fit
from tfbs_moe.training.settings import TrainingSettings

# Factor on the gate's learning rate: the experts are already trained.
_RATE = 0.1
_BATCH = 128
# Columns beside a sequence: its training experiment, and a uniform draw.
_SOURCE, _DRAW = range(2)


@dataclass(frozen=True, eq=False)
class FineTuning:
    """Data for joint training, by training experiment of the gate inputs, and the maximum number of epochs."""

    epochs: int
    train: Mapping[str, Dataset]
    # The epoch is chosen on those outside the calibration split and unrelated to training sequences.
    validation: Mapping[str, Dataset]


def fine_tune(
    gate: Gate,
    experts: Mapping[str, str | Path],
    gate_inputs: GateInputs,
    fine_tuning: FineTuning,
    *,
    expert_dropout: float,
    settings: TrainingSettings,
    seed: int,
    folder: Path,
    device: torch.device,
    checkpoint: Path,
    fingerprint: str,
) -> tuple[Fitted, dict[str, Path]]:
    """Train gate and experts together on sequences, at a tenth of the gate's learning rate.

    ``expert_dropout`` is as in the gate's own training (``training.gate.train_gate``). Experts stay in evaluation mode:
    no dropout within them, fixed normalisation statistics. The gate, already trained on ``gate_inputs`` of these
    experts, changes in place; changed experts are written to ``experts/<name>`` below ``folder``, and their folders
    returned. Raises LeftOutError unless training and validation hold both classes.
    """
    gate_experts = bundle.load_experts(experts, device)
    mixture = MixtureOfExperts(gate_experts, gate)
    mixture.experts.requires_grad_(True)
    smaller = replace(
        settings,
        learning_rate=_RATE * settings.learning_rate,
        batch_size=min(_BATCH, settings.batch_size),
        max_epochs=fine_tuning.epochs,
    )
    # Networks trained without a factor do not learn on: where one would stand in for an expert, that is absent.
    replaced = torch.tensor([name in gate_inputs.without for name in gate_inputs.names])
    hidden, bases = (gate_inputs.hidden | replaced).to(device), 4 * mixture.window

    def predict(inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        beside = inputs[:, bases:]
        embeddings = mixture.experts(inputs[:, :bases].unflatten(1, (4, mixture.window)))
        source, draw = beside[:, _SOURCE].long(), beside[:, _DRAW]
        unseen = torch.where(hidden[source][:, :, None], torch.nan, embeddings)
        embeddings = hide(embeddings, unseen, draw, expert_dropout, mixture.training)
        logits, weights = gate(embeddings)
        return logits, gate.penalty(weights)

    fitted = fit(
        mixture,
        predict,
        _rows(fine_tuning.train, gate_inputs, seed, device, "training"),
        _rows(_choosing(fine_tuning), gate_inputs, seed, device, "validation"),
        smaller,
        seed,
        checkpoint=checkpoint,
        fingerprint=fingerprint,
    )
    remove_checkpoint(checkpoint)
    changed = {}
    for name, source in experts.items():
        described = bundle.describe(source)
        changed[name] = folder / bundle.GATE_EXPERTS / name
        facts = {"fine_tuned_from": described["weights"]["sha256"], "seed": seed, "data": described.get("data")}
        bundle.save(gate_experts[name], changed[name], facts)
    return fitted, changed


def _choosing(fine_tuning: FineTuning) -> dict[str, Dataset]:
    """Return the validation sequences outside the calibration split and unrelated to training ones, in whole pairs."""
    related = are_related(
        [Pieces.of(rows) for rows in fine_tuning.validation.values()],
        [Pieces.of(rows) for rows in fine_tuning.train.values()],
    )
    chosen = {}
    for (name, rows), known in zip(fine_tuning.validation.items(), related, strict=True):
        leader = leaders(rows)
        chosen[name] = subset(rows, ~np.isin(leader, leader[in_calibration_split(rows) | known]))
    return chosen


def _rows(parts: Mapping[str, Dataset], gate_inputs: GateInputs, seed: int, device: torch.device, name: str) -> Rows:
    """Join the sequences of all training experiments, with the columns that ``GateInputs`` has after embeddings."""
    beside = []
    for experiment, rows in parts.items():
        own = np.empty((len(rows), 2), np.float32)
        own[:, _SOURCE] = gate_inputs.description["experiments"].index(experiment)
        own[:, _DRAW] = rng(seed, "unseen", experiment, name).random(len(rows), dtype=np.float32)
        beside.append(own)
    whole = sequence_rows(concatenate(list(parts.values())), device, name)
    return replace(whole, beside=torch.from_numpy(np.concatenate(beside)).to(whole.inputs.device))
