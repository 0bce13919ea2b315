"""Records written beside a trained model, and the check whether a training is already finished."""

import hashlib
import logging
import resource
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from tfbs_moe.data.dataset import UNPAIRED, Dataset
from tfbs_moe.errors import InputError
from tfbs_moe.models import bundle
from tfbs_moe.provenance import code_digest
from tfbs_moe.tables import write_json, write_tsv
from tfbs_moe.training.checkpoint import FILE as CHECKPOINT
from tfbs_moe.training.checkpoint import remove_checkpoint
from tfbs_moe.training.loop import Fitted

log = logging.getLogger(__name__)

HISTORY = "history.tsv"
TIMING = "timing.json"
_LIBRARY = Path(__file__).resolve().parents[2]


class RowsDigest:
    """SHA-256 of sequences, labels and pairs of datasets one after the other, which need not be in memory together."""

    def __init__(self) -> None:
        """Begin without rows."""
        self._content, self._label, self._pair, self._rows = hashlib.sha256(), b"", b"", 0

    def add(self, dataset: Dataset) -> None:
        """Append a dataset's rows, as ``concatenate`` does."""
        self._content.update(dataset.one_hot.tobytes())
        self._label += dataset.label.tobytes()
        # Fresh negatives are shuffles of the sequence each is paired with.
        self._pair += np.where(dataset.pair == UNPAIRED, UNPAIRED, dataset.pair + self._rows).astype(np.int32).tobytes()
        self._rows += len(dataset)

    def hexdigest(self) -> str:
        """Return the digest of the rows so far."""
        content = self._content.copy()
        content.update(self._label + self._pair)
        return content.hexdigest()


def data_record(dataset: Dataset) -> dict[str, Any]:
    """Return what identifies a dataset: a digest of sequences, labels and pairs, counts, and its attributes."""
    content = RowsDigest()
    content.add(dataset)
    named = {key: value for key, value in dataset.attributes.items() if isinstance(value, str | int | float | bool)}
    return {
        "sha256": content.hexdigest(),
        "rows": len(dataset),
        "positives": int(dataset.label.sum()),
        "attributes": named,
    }


def machine_record(device: torch.device) -> dict[str, Any]:
    """Return what numerical results depend on: device, its name, torch version, threads, determinism."""
    return {
        "device": device.type,
        "name": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "deterministic": device.type == "cpu" or torch.are_deterministic_algorithms_enabled(),
    }


def module_digest(module: str, without: Collection[str] = ()) -> str:
    """Return the digest of a library module, by its ``__file__``, and of all that it imports; see ``code_digest``."""
    return code_digest(module, _LIBRARY, without)


def is_finished(folder: Path, fingerprint: str) -> bool:
    """Return whether the folder holds the intact result of the training with this fingerprint."""
    if not ((folder / bundle.DESCRIPTION).is_file() and (folder / HISTORY).is_file()):
        return False
    try:
        finished = bundle.describe(folder).get("fingerprint") == fingerprint
        if finished:
            bundle.load(folder)
    except InputError as error:
        log.warning("%s; training again", error)
        return False
    if finished:
        log.info("%s is already trained on this data with these settings", folder)
    return finished


def write_result(
    folder: Path, fitted: Fitted, machine: Mapping[str, Any], save: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Write history and timing, then the bundle by ``save``; remove the checkpoint.

    Only ``timing.json`` holds what differs between runs (times, memory).
    """
    write_tsv(fitted.history, folder / HISTORY)
    write_json({**machine, **fitted.timing, "peak_memory_mb": _peak_memory_mb()}, folder / TIMING)
    written = save()
    remove_checkpoint(folder / CHECKPOINT)
    return written


def untrained() -> Fitted:
    """Return the record of an excluded, untrained model."""
    columns = ["epoch", "train_loss", "validation_loss", "validation_auroc", "learning_rate"]
    return Fitted(
        history=pd.DataFrame(columns=columns),
        metrics={"validation_auroc": None, "best_epoch": 0, "epochs": 0, "stopped": "left out"},
        timing={"seconds": 0.0, "samples_per_second": 0.0, "data_share": 0.0},
    )


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
