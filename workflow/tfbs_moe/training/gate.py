"""Training a gate on the embeddings of frozen experts."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from tfbs_moe.errors import InputError
from tfbs_moe.models import bundle
from tfbs_moe.models.interface import count_parameters
from tfbs_moe.models.registry import build_gate
from tfbs_moe.models.stack import ExpertStack
from tfbs_moe.provenance import digest
from tfbs_moe.runtime import named_seed, rng
from tfbs_moe.training.checkpoint import FILE as CHECKPOINT
from tfbs_moe.training.embeddings import Source, embedded, pool_rows, read_source
from tfbs_moe.training.loop import fit
from tfbs_moe.training.record import data_record, is_finished, machine_record, module_digest, write_result
from tfbs_moe.training.rows import make_rows
from tfbs_moe.training.settings import TrainingSettings, read_settings

log = logging.getLogger(__name__)

RowChoice = Literal["expert_split", "pooled_random"]
_TRAINING_SHARE = 0.8


def train_gate(
    experts: Mapping[str, str | Path],
    train: Sequence[Source],
    validation: Sequence[Source],
    *,
    gate: str,
    hyperparameters: Mapping[str, Any],
    settings: TrainingSettings | Mapping[str, Any],
    seed: int,
    folder: str | Path,
    device: torch.device,
    rows: RowChoice = "expert_split",
    max_rows: int | None = None,
    description: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train a gate over frozen experts and write the mixture's bundle, history and timing into ``folder``.

    Args:
        experts: bundle folder of each expert, by name, in the order the gate is to see them.
        train: training datasets of the experts, or their files; files are read one at a time.
        validation: validation datasets, likewise.
        gate: a name in ``models.registry.GATES``.
        hyperparameters: of the gate; those left out keep their defaults.
        settings: of the training.
        seed: root of all streams.
        folder: where the bundle goes.
        device: see ``runtime.select_device``.
        rows: ``expert_split`` learns on the experts' training rows and validates on their validation
            rows. ``pooled_random`` is what the authors do: all rows together, split 80/20 at random,
            so that the validation holds rows the experts were trained on.
        max_rows: at most so many training rows, drawn at random, and a quarter as many validation rows.
        description: more for ``model.json``.

    Returns:
        what ``model.json`` says.

    Raises:
        InputError: experts, rows or settings that cannot be used.
        Interrupted: a signal came; the checkpoint is written.
    """
    folder = Path(folder)
    settings = read_settings(settings)
    stack = ExpertStack(bundle.load_experts(experts, device)).requires_grad_(False)
    model = build_gate(gate, len(stack), stack.embedding_size, hyperparameters, named_seed(seed, "weights"))
    records = {
        "train": [data_record(read_source(source)) for source in train],
        "validation": [data_record(read_source(source)) for source in validation],
    }
    facts = {
        **(description or {}),
        "seed": seed,
        "settings": settings.as_json(),
        "rows": rows,
        "max_rows": max_rows,
        "data": records,
        "code_digest": module_digest(__file__),
        "computed_with": machine_record(device),
    }
    digests = [(name, bundle.describe(path)["weights"]["sha256"]) for name, path in experts.items()]
    fingerprint = digest({**facts, "gate": gate, "hyperparameters": model.hyperparameters, "experts": digests})
    if is_finished(folder, fingerprint):
        return bundle.describe(folder)
    counts = [sum(record["rows"] for record in records[split]) for split in ("train", "validation")]
    learning, judging = _choose_rows(counts[0], counts[1], rows, max_rows, seed)
    sources = [*train, *validation]
    learning_inputs, learning_labels = pool_rows(sources, learning)
    judging_inputs, judging_labels = pool_rows(sources, judging)
    model.to(device)
    log.info(
        "gate %s over %d experts, %d weights, %d training rows, %d validation rows",
        gate, len(stack), count_parameters(model), len(learning), len(judging),
    )  # fmt: skip

    def predict(embeddings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        logits, weights = model(embeddings)
        return logits, model.penalty(weights)

    with (
        embedded(stack, learning_inputs, folder, "training") as learning_embeddings,
        embedded(stack, judging_inputs, folder, "validation") as judging_embeddings,
    ):
        fitted = fit(
            model,
            predict,
            make_rows(learning_embeddings, learning_labels, device, "training"),
            make_rows(judging_embeddings, judging_labels, device, "validation"),
            settings,
            seed,
            checkpoint=folder / CHECKPOINT,
            fingerprint=fingerprint,
        )
    facts |= {"metrics": fitted.metrics, "fingerprint": fingerprint}
    return write_result(
        folder, fitted, machine_record(device), lambda: bundle.save_mixture(model, experts, folder, facts)
    )


def _choose_rows(
    training: int, validation: int, choice: RowChoice, max_rows: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows of all datasets (training ones first) the gate learns from and is judged by."""
    total = training + validation
    if choice == "pooled_random":
        order = rng(seed, "gate_rows").permutation(total)
        cut = int(_TRAINING_SHARE * total)
        learning, judging = order[:cut], order[cut:]
    elif choice == "expert_split":
        learning, judging = np.arange(training), np.arange(training, total)
    else:
        raise InputError(f"rows of the gate are {choice!r}; known are 'expert_split' and 'pooled_random'")
    if max_rows is None:
        return learning, judging
    draw = rng(seed, "max_rows")
    kept = [
        np.sort(draw.choice(part, min(len(part), most), replace=False))
        for part, most in ((learning, max_rows), (judging, max(1, max_rows // 4)))
    ]
    log.info("max_rows: %d of %d training rows, %d of %d validation rows are used",
             len(kept[0]), len(learning), len(kept[1]), len(judging))  # fmt: skip
    return kept[0], kept[1]
