"""Training of one expert: from a factor's sequences to a bundle."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tfbs_moe.data.dataset import UNPAIRED, Dataset, left_out
from tfbs_moe.data.negatives.shuffles import block_shuffle, dinucleotide_shuffle
from tfbs_moe.errors import InputError, LeftOutError
from tfbs_moe.models import bundle
from tfbs_moe.models.expert import Expert, count_parameters
from tfbs_moe.models.registry import build, source_digest
from tfbs_moe.provenance import MIXTURE_MODULES, digest
from tfbs_moe.runtime import named_seed, rng
from tfbs_moe.sequence import codes_from_one_hot, one_hot_from_codes
from tfbs_moe.training.checkpoint import FILE as CHECKPOINT
from tfbs_moe.training.examples import Rows, make_rows, sequence_rows
from tfbs_moe.training.loop import Report, fit
from tfbs_moe.training.record import data_record, is_finished, machine_record, module_digest, untrained, write_result
from tfbs_moe.training.settings import TrainingSettings, read_settings

SHUFFLES = {"dinucleotide_shuffle": dinucleotide_shuffle, "block_shuffle": block_shuffle}


def fresh_negatives(train: Dataset, device: torch.device, seed: int) -> Callable[[int], Rows]:
    """Return a function from epoch to training examples; raise InputError if the negatives are not shuffles.

    After the first epoch, which uses the dataset's own, each negative is replaced by another shuffle of its positive,
    so that a network cannot memorise negatives.
    """
    kind = str(train.attributes.get("negatives", ""))
    remade = np.flatnonzero((train.label == 0) & (train.pair != UNPAIRED))
    if kind not in SHUFFLES or not len(remade):
        raise InputError(
            f"fresh_negatives redraws shuffles, and the negatives of this training set are {kind or 'not named'}; "
            f"take one of {', '.join(SHUFFLES)} as training_negatives, or set it to false"
        )
    codes = codes_from_one_hot(train.one_hot[train.pair[remade]])

    def rows(epoch: int) -> Rows:
        one_hot = train.one_hot
        if epoch:
            one_hot = one_hot.copy()
            one_hot[remade] = one_hot_from_codes(SHUFFLES[kind](codes, rng(seed, "negatives", epoch)))
        return make_rows(torch.from_numpy(one_hot), train.label, device, "training")

    return rows


log = logging.getLogger(__name__)


def train_expert(
    train: Dataset,
    validation: Dataset,
    *,
    architecture: str,
    hyperparameters: Mapping[str, Any],
    settings: TrainingSettings | Mapping[str, Any],
    seed: int,
    folder: str | Path,
    device: torch.device,
    description: Mapping[str, Any] | None = None,
    report: Report | None = None,
) -> dict[str, Any]:
    """Train an expert, write its bundle, history and timing into ``folder``, and return its ``model.json``.

    A killed training resumes from its checkpoint, a finished one is not repeated. Without data of both classes, or if
    training diverges, the bundle holds the initial weights, and ``left_out`` says why. ``seed`` is the root of all
    random streams: give each expert its own (``runtime.named_seed``). ``description`` adds to ``model.json``;
    ``report`` receives each epoch's validation AUROC and may raise to end a trial. Raises InputError for unusable data,
    hyper-parameters or settings, and Interrupted, with the checkpoint written, on a signal.
    """
    folder = Path(folder)
    settings = read_settings(settings)
    if train.length != validation.length:
        raise InputError(f"training sequences have {train.length} bases, validation sequences {validation.length}")
    model = build(architecture, train.length, hyperparameters, named_seed(seed, "weights"))
    facts = {
        **(description or {}),
        "seed": seed,
        "settings": settings.as_json(),
        "data": {"train": data_record(train), "validation": data_record(validation)},
        "code_digest": module_digest(__file__, MIXTURE_MODULES),
        "source_sha256": source_digest(architecture),
        "computed_with": machine_record(device),
    }
    decisive = {**facts, "settings": settings.decisive(device.type)}
    fingerprint = digest({**decisive, "architecture": architecture, "hyperparameters": model.hyperparameters})
    if is_finished(folder, fingerprint):
        return bundle.describe(folder)
    reason = left_out(train) or left_out(validation)
    if not reason:
        try:
            return _trained(model.to(device), train, validation, settings, seed, folder, facts, fingerprint, report)
        except LeftOutError as error:
            reason = str(error)
    log.warning("left out of the study: %s", reason)
    model = build(architecture, train.length, hyperparameters, named_seed(seed, "weights"))
    fitted = untrained()
    facts |= {bundle.LEFT_OUT: reason, "metrics": fitted.metrics, "fingerprint": fingerprint}
    return write_result(folder, fitted, machine_record(device), lambda: bundle.save(model, folder, facts))


def _trained(
    model: Expert,
    train: Dataset,
    validation: Dataset,
    settings: TrainingSettings,
    seed: int,
    folder: Path,
    facts: Mapping[str, Any],
    fingerprint: str,
    report: Report | None,
) -> dict[str, Any]:
    """Train a network on its device, and write and return what ``train_expert`` does."""
    device = next(model.parameters()).device
    log.info(
        "%s, %d weights, %d training rows, %d validation rows",
        type(model).__name__, count_parameters(model), len(train), len(validation),
    )  # fmt: skip
    fitted = fit(
        model,
        lambda x: (model(x), None),
        sequence_rows(train, device, "training"),
        sequence_rows(validation, device, "validation"),
        settings,
        seed,
        checkpoint=folder / CHECKPOINT,
        fingerprint=fingerprint,
        report=report,
        renew=fresh_negatives(train, device, seed) if settings.fresh_negatives else None,
        direct=None if settings.compile else model.direct_gradients(),
    )
    written = {**facts, "metrics": fitted.metrics, "fingerprint": fingerprint}
    return write_result(folder, fitted, machine_record(device), lambda: bundle.save(model, folder, written))
