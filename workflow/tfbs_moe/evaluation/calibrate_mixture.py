"""Calibrate a mixture's probabilities and fit its out-of-distribution score on validation data."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tfbs_moe.data.dataset import Dataset, leaders, read_dataset, subset
from tfbs_moe.data.folds import POOLED_RANDOM, in_calibration_split
from tfbs_moe.data.motif_prior import MotifPrior
from tfbs_moe.data.motif_scores import motif_occupancy
from tfbs_moe.data.related import Pieces, are_related
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.calibration import FILE as CALIBRATION
from tfbs_moe.evaluation.calibration import calibrate
from tfbs_moe.evaluation.ood_score import fit_ood_score
from tfbs_moe.models import bundle
from tfbs_moe.models.expert import predict_in_batches
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.models.registry import GATES
from tfbs_moe.runtime import rng
from tfbs_moe.tables import write_json

log = logging.getLogger(__name__)

# Limit on the numbers in the embeddings that the out-of-distribution score is fitted to: 800 MB.
MOST_NUMBERS = 200_000_000
UNBOUND = "unbound"


def calibrate_mixture(
    folder: str | Path,
    validation: Mapping[str, Sequence[str | Path]],
    train: Sequence[str | Path],
    *,
    device: torch.device,
    seed: int,
    batch_size: int,
    motif_priors: Mapping[str, MotifPrior],
) -> dict[str, Any]:
    """Fit calibrations and the out-of-distribution score to validation examples; write both into the mixture's bundle.

    Calibrations are fitted to the calibration split (``data.folds``), because probabilities are too good on examples
    that trained the gate or its experts. Examples related (``data.related``) to any used for training or model
    selection are excluded, with their pairs. A gate trained on a random pool of all examples may have seen any;
    ``may_overlap_training`` in ``calibration.json`` records that.

    ``folder`` gets ``calibration.json``, whose content is returned, and ``ood_score.safetensors``. ``validation``
    holds the datasets of all training experiments by kind of negatives; the gate and the experts were selected on the
    first kind, and the out-of-distribution score is fitted to the first kind with any examples. ``train`` lists the
    experts' training sets, ``seed`` is the root seed for sampling where the embeddings exceed memory, and
    ``motif_priors`` are by factor, for motif-conditioned gates. Raises InputError if the bundle holds an expert.
    """
    mixture = bundle.load(folder, device)
    if not isinstance(mixture, MixtureOfExperts):
        raise InputError(f"{folder} holds an expert; only mixtures are calibrated")
    description = bundle.describe(folder)
    motif_conditioned = GATES[description["gate"]].motif_conditioned
    width = mixture.dimensions
    calibrations, fitted = [], False

    def score(x: torch.Tensor, occupancy: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        embeddings = mixture.experts(x)
        return mixture.gate(embeddings, occupancy)[0], embeddings

    whole = {negatives: [read_dataset(path) for path in paths] for negatives, paths in validation.items()}
    may_overlap_training = description.get("rows") == POOLED_RANDOM
    fit = {negatives: [in_calibration_split(rows) for rows in parts] for negatives, parts in whole.items()}
    if not may_overlap_training:
        fit = _unknown(whole, fit, train)
    for negatives, parts in whole.items():
        most = MOST_NUMBERS // width // max(len(parts), 1)
        # The out-of-distribution score uses all examples; later kinds need only their calibration split.
        pairs = zip(parts, fit[negatives], strict=True)
        chosen = [_some(rows, calibrates, most, seed, only_calibrating=fitted) for rows, calibrates in pairs]
        datasets = [dataset for dataset, _ in chosen if len(dataset)]
        if not datasets:
            continue
        calibrates = np.concatenate([kept for _, kept in chosen])
        said = []
        for dataset in datasets:
            known = motif_priors.get(str(dataset.attributes["factor"])) if motif_conditioned else None
            others = [] if known is None else [motif_occupancy(known, dataset.one_hot)]
            said.append(predict_in_batches(mixture, score, dataset.one_hot, mixture.window, batch_size, *others))
        label = np.concatenate([dataset.label for dataset in datasets])
        logits = np.concatenate([logit for logit, _ in said])
        calibrations.append(calibrate(label[calibrates], logits[calibrates], negatives).as_json())
        if not fitted:
            factors = [str(dataset.attributes["factor"]) for dataset in datasets for _ in range(len(dataset))]
            classes = np.where(label == 1, np.array(factors, dtype=object), UNBOUND)
            fit_ood_score(np.concatenate([embedded for _, embedded in said]), list(classes)).save(folder)
            fitted = True
    written = {
        "calibrations": calibrations,
        "may_overlap_training": may_overlap_training,
        "mixture_sha256": description["weights"]["sha256"],
        "seed": seed,
    }
    write_json(written, Path(folder) / CALIBRATION)
    return written


def _unknown(
    validation: Mapping[str, Sequence[Dataset]],
    reserved: Mapping[str, Sequence[np.ndarray]],
    train: Sequence[str | Path],
) -> dict[str, list[np.ndarray]]:
    """Return the masks (N,) of reserved examples unrelated to any used for training or model selection."""
    own = next(iter(validation))
    used = [Pieces.of(read_dataset(path)) for path in train]
    used += [Pieces.of(rows).take(~kept) for rows, kept in zip(validation[own], reserved[own], strict=True)]
    sets = [
        (kind, rows, kept) for kind in validation for rows, kept in zip(validation[kind], reserved[kind], strict=True)
    ]
    related = are_related([Pieces.of(rows).take(kept) for _, rows, kept in sets], used)
    found: dict[str, list[np.ndarray]] = {kind: [] for kind in validation}
    for (kind, rows, kept), known in zip(sets, related, strict=True):
        leader = leaders(rows)
        found[kind].append(kept & ~np.isin(leader, leader[np.flatnonzero(kept)[known]]))
    log.info("%d of %d reserved rows calibrate; the others are related to rows that trained or chose a model",
             sum(map(np.sum, sum(found.values(), []))), sum(kept.sum() for _, _, kept in sets))  # fmt: skip
    return found


def _some(
    dataset: Dataset, calibrates: np.ndarray, most: int, seed: int, *, only_calibrating: bool
) -> tuple[Dataset, np.ndarray]:
    """Sample at most ``most`` examples, in their order, and say which of them calibrate (N,)."""
    rows = np.flatnonzero(calibrates) if only_calibrating else np.arange(len(dataset))
    if len(rows) > most:
        experiment = str(dataset.attributes.get("experiment", ""))
        rows = np.sort(rng(seed, "calibration", experiment).choice(rows, most, replace=False))
    return subset(dataset, rows), calibrates[rows]
