"""Can a mixture's probabilities be taken at their word, and does it know what it does not know?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tfbs_moe.data.dataset import Dataset, read_dataset, subset
from tfbs_moe.data.factor_knowledge import FactorKnowledge
from tfbs_moe.data.matrix_scan import tell
from tfbs_moe.data.reserved import POOLED_RANDOM, is_reserved
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.calibrated import FILE as CALIBRATION
from tfbs_moe.evaluation.calibrated import calibrate
from tfbs_moe.evaluation.familiarity import learn_familiarity
from tfbs_moe.models import bundle
from tfbs_moe.models.moe import MixtureOfExperts
from tfbs_moe.models.registry import GATES
from tfbs_moe.runtime import rng
from tfbs_moe.tables import write_json

# Numbers of all embeddings that familiarity is fitted to: 800 MB.
MOST_NUMBERS = 200_000_000
UNBOUND = "unbound"


def calibrate_mixture(
    folder: str | Path,
    validation: Mapping[str, Sequence[str | Path]],
    *,
    device: torch.device,
    seed: int,
    batch_size: int,
    knowledge: Mapping[str, FactorKnowledge],
) -> dict[str, Any]:
    """Fit calibrations and familiarity to validation rows, and write them into a mixture's bundle.

    Calibrations are fitted to the rows that are kept for it (``data.reserved``), for on rows that taught a gate its
    probabilities are better than elsewhere. A gate that learned from all rows together has none that it surely did not
    see; ``calibration.json`` says so (``may_have_taught``).

    Args:
        folder: of the bundle; takes ``calibration.json`` and ``familiarity.safetensors``.
        validation: datasets of all training experiments, by kind of negatives; familiarity is fitted to the first kind.
            Those that were left out have no say, nor a kind of which all were.
        device: to compute on.
        seed: root of the draw of rows, where there are more than memory takes.
        batch_size: rows per pass.
        knowledge: by factor, for a gate that may look at it.

    Returns:
        what ``calibration.json`` says.
    """
    mixture = bundle.load(folder, device)
    if not isinstance(mixture, MixtureOfExperts):
        raise InputError(f"{folder} holds an expert; only mixtures are calibrated")
    description = bundle.describe(folder)
    taught = [expert["factors"] for expert in description["experts"]]
    informed = GATES[description["gate"]].informed
    width = len(mixture.names) * mixture.experts.embedding_size
    calibrations, learnt = [], False
    for negatives, paths in validation.items():
        most = MOST_NUMBERS // width // max(len(paths), 1)
        # Familiarity takes all rows; after it those that calibrate are enough.
        chosen = [_some(read_dataset(path), most, seed, only_reserved=learnt) for path in paths]
        datasets = [dataset for dataset, _ in chosen if len(dataset)]
        if not datasets:
            continue
        reserved = np.concatenate([kept for _, kept in chosen])
        parts = []
        for dataset in datasets:
            known = knowledge.get(str(dataset.attributes["factor"])) if informed else None
            parts.append(
                _embed(
                    mixture,
                    dataset,
                    None if known is None else tell(known, dataset.one_hot, taught),
                    batch_size,
                    device,
                )
            )
        label = np.concatenate([dataset.label for dataset in datasets])
        logits = np.concatenate([logit for logit, _ in parts])
        calibrations.append(calibrate(label[reserved], logits[reserved], negatives).as_json())
        if not learnt:
            factors = [str(dataset.attributes["factor"]) for dataset in datasets for _ in range(len(dataset))]
            classes = np.where(label == 1, np.array(factors, dtype=object), UNBOUND)
            learn_familiarity(np.concatenate([embedded for _, embedded in parts]), list(classes)).save(folder)
            learnt = True
    written = {
        "calibrations": calibrations,
        "may_have_taught": description.get("rows") == POOLED_RANDOM,
        "mixture_sha256": description["weights"]["sha256"],
        "seed": seed,
    }
    write_json(written, Path(folder) / CALIBRATION)
    return written


def _some(dataset: Dataset, most: int, seed: int, *, only_reserved: bool) -> tuple[Dataset, np.ndarray]:
    """Return at most so many rows of a dataset, drawn at random, in their order, and which of them calibrate."""
    # Before rows are taken out, as it hangs on pairs.
    reserved = is_reserved(dataset)
    rows = np.flatnonzero(reserved) if only_reserved else np.arange(len(dataset))
    if len(rows) > most:
        experiment = str(dataset.attributes.get("experiment", ""))
        rows = np.sort(rng(seed, "calibration", experiment).choice(rows, most, replace=False))
    return subset(dataset, rows), reserved[rows]


def _embed(
    mixture: MixtureOfExperts, dataset: Dataset, told: np.ndarray | None, batch_size: int, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """Return logits (N,) and embeddings (N, K, E) of a dataset."""
    logits, embeddings = [], []
    with torch.inference_mode():
        for first in range(0, len(dataset), batch_size):
            rows = slice(first, first + batch_size)
            embedded = mixture.experts(torch.from_numpy(dataset.one_hot[rows]).to(device).float())
            known = None if told is None else torch.from_numpy(told[rows]).to(device)
            logits.append(mixture.gate(embedded, known)[0].cpu().numpy())
            embeddings.append(embedded.cpu().numpy())
    return np.concatenate(logits), np.concatenate(embeddings)
