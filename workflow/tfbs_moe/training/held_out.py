"""What an expert of a fold says of rows that it did not see: the gate learns on these."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch

from tfbs_moe.data.dataset import Dataset
from tfbs_moe.errors import InputError
from tfbs_moe.hdf5 import new_hdf5
from tfbs_moe.models.interface import Expert

_COLUMNS = ("row", "view", "validation_view")
_ROWS_PER_PASS = 1024


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Views of one fold; a view is an embedding with the logit behind it.

    Attributes:
        row: int64 (n,), rows of the training set that the expert did not see.
        view: float32 (n, E + 1) of these.
        validation_view: float32 (M, E + 1) of every validation row, by which embeddings of experts are matched.
    """

    row: np.ndarray
    view: np.ndarray
    validation_view: np.ndarray


def views_of(expert: Expert, one_hot: np.ndarray) -> np.ndarray:
    """Return embedding and logit of sequences: uint8 (N, 4, L) to float32 (N, E + 1)."""
    device = next(expert.parameters()).device
    parts = [np.empty((0, expert.embedding_size + 1), dtype=np.float32)]
    with torch.inference_mode():
        for start in range(0, len(one_hot), _ROWS_PER_PASS):
            x = torch.from_numpy(one_hot[start : start + _ROWS_PER_PASS]).to(device).float()
            embedding = expert.embed(x)
            parts.append(torch.cat([embedding, expert.classify(embedding)[:, None]], dim=1).cpu().numpy())
    return np.concatenate(parts)


def write_held_out(
    expert: Expert, train: Dataset, row: np.ndarray, validation: Dataset, path: str | Path, facts: Mapping[str, object]
) -> None:
    """Write what an expert in evaluation mode says of rows of a training set that it did not see, and of validation."""
    held_out = HeldOut(row, views_of(expert, train.one_hot[row]), views_of(expert, validation.one_hot))
    with new_hdf5(path) as file:
        for name in _COLUMNS:
            values = getattr(held_out, name)
            # Checksums come with chunks, and an empty array has none.
            whole = values.shape if values.size else None
            file.create_dataset(name, data=values, chunks=whole, fletcher32=whole is not None)
        file.attrs["facts"] = json.dumps(dict(facts), sort_keys=True)


def read_held_out(path: str | Path) -> HeldOut:
    """Read what ``write_held_out`` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            return HeldOut(*(np.asarray(file[name][()]) for name in _COLUMNS))
    except (OSError, KeyError, RuntimeError) as error:
        raise InputError(f"{path} cannot be read ({error}); delete it and train the fold again") from None
