"""Training a mixture as a whole, its experts no longer frozen: what freezing them costs."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from tfbs_moe.data.dataset import Dataset
from tfbs_moe.models import bundle
from tfbs_moe.models.gate import Gate
from tfbs_moe.models.moe import MixtureOfExperts
from tfbs_moe.training.checkpoint import remove_checkpoint
from tfbs_moe.training.loop import Fitted, fit
from tfbs_moe.training.rows import sequence_rows
from tfbs_moe.training.settings import TrainingSettings

# Of the gate's learning rate: experts that are trained already take small steps.
_RATE = 0.1
_BATCH = 128


def fine_tune(
    gate: Gate,
    experts: Mapping[str, str | Path],
    train: Dataset,
    validation: Dataset,
    *,
    epochs: int,
    settings: TrainingSettings,
    seed: int,
    folder: Path,
    device: torch.device,
    checkpoint: Path,
    fingerprint: str,
) -> tuple[Fitted, dict[str, Path]]:
    """Train gate and experts together on sequences, at a tenth of the gate's learning rate.

    Experts stay in evaluation mode: nothing drops out, and what they normalise by stays as it was.

    Args:
        gate: trained over the frozen experts; changed in place.
        experts: bundle folder of each, by name.
        train: rows of all training experiments together.
        validation: rows that choose the epoch.
        epochs: at most so many.
        settings: of the gate's training.
        seed: root of the streams.
        folder: of the mixture; the changed experts are written to ``experts/<name>`` in it.
        device: of the gate.
        checkpoint: file to go on from, and to write to.
        fingerprint: see ``training.loop.fit``.

    Returns:
        what the training gave, and the folder of each changed expert.
    """
    members = bundle.load_experts(experts, device)
    mixture = MixtureOfExperts(members, gate)
    mixture.experts.requires_grad_(True)
    smaller = replace(
        settings,
        learning_rate=_RATE * settings.learning_rate,
        batch_size=min(_BATCH, settings.batch_size),
        max_epochs=epochs,
    )
    fitted = fit(
        mixture,
        lambda x: _with_penalty(mixture, x),
        sequence_rows(train, device, "training"),
        sequence_rows(validation, device, "validation"),
        smaller,
        seed,
        checkpoint=checkpoint,
        fingerprint=fingerprint,
    )
    remove_checkpoint(checkpoint)
    changed = {}
    for name, source in experts.items():
        described = bundle.describe(source)
        changed[name] = folder / bundle.MEMBERS / name
        facts = {"fine_tuned_from": described["weights"]["sha256"], "seed": seed, "data": described.get("data")}
        bundle.save(members[name], changed[name], facts)
    return fitted, changed


def _with_penalty(mixture: MixtureOfExperts, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    logits, weights = mixture.logits_and_weights(x)
    return logits, mixture.gate.penalty(weights)
