"""Attributions on disk: one HDF5 file per protocol, model, experiment and method."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.intervals import bounds, mean_interval_of_values
from tfbs_moe.hdf5 import new_hdf5, open_hdf5, write_arrays
from tfbs_moe.sequence import check_one_hot

_ARRAYS: dict[str, type[np.generic]] = {
    "attribution": np.float32,
    "one_hot": np.uint8,
    "row": np.int32,
    "logit": np.float32,
}
_PLAIN = (str, int, float, bool)
_CHUNK_ROWS = 256


@dataclass(frozen=True, eq=False)
class Attributions:
    """One method's attributions of sequences of a dataset; raises InputError where the arrays do not fit."""

    attribution: np.ndarray  # float32 (N, 4, L)
    one_hot: np.ndarray  # uint8 (N, 4, L), the explained sequences
    row: np.ndarray  # int32 (N,), their rows in the dataset
    logit: np.ndarray  # float32 (N,)
    settings: dict[str, Any] = field(default_factory=dict)  # method, model and other attributes of the file

    def __post_init__(self) -> None:
        check_one_hot(self.one_hot, "one_hot")
        for name, dtype in _ARRAYS.items():
            if getattr(self, name).dtype != dtype:
                raise InputError(f"{name} must be {np.dtype(dtype).name}; it is {getattr(self, name).dtype}")
        if self.attribution.shape != self.one_hot.shape:
            raise InputError(
                f"attribution has shape {self.attribution.shape} for one_hot of shape {self.one_hot.shape}"
            )
        for name in ("row", "logit"):
            if getattr(self, name).shape != (len(self.one_hot),):
                raise InputError(f"{name} has shape {getattr(self, name).shape} for {len(self.one_hot)} sequences")

    def __len__(self) -> int:
        return len(self.row)


def make_attributions(
    attribution: np.ndarray, one_hot: np.ndarray, row: np.ndarray, logit: np.ndarray, settings: Mapping[str, Any]
) -> Attributions:
    """Make ``Attributions`` with the arrays cast to their types."""
    arrays = dict(zip(_ARRAYS, (attribution, one_hot, row, logit), strict=True))
    typed = {name: np.ascontiguousarray(values, dtype=_ARRAYS[name]) for name, values in arrays.items()}
    return Attributions(**typed, settings=dict(settings))


def no_attributions(length: int, settings: Mapping[str, Any]) -> Attributions:
    """Return the attributions of an excluded model or test set: of no sequence of ``length``."""
    none = np.empty((0, 4, length))
    return make_attributions(none, none, none[:, 0, 0], none[:, 0, 0], settings)


def write_attributions(attributions: Attributions, path: str | Path) -> None:
    """Write HDF5, the same bytes each time; settings other than str, number and bool become JSON text."""
    with new_hdf5(path) as file:
        write_arrays(file, {name: getattr(attributions, name) for name in _ARRAYS}, _CHUNK_ROWS, shuffle=True)
        for key, value in sorted(attributions.settings.items()):
            file.attrs[key] = value if isinstance(value, _PLAIN) else json.dumps(value, sort_keys=True)


def read_attributions(path: str | Path) -> Attributions:
    """Read what ``write_attributions`` wrote."""
    with open_hdf5(path, "attributions", _ARRAYS) as file:
        return Attributions(**{name: file[name][()] for name in _ARRAYS}, settings=file.attributes)


def joined_attributions(paths: Iterable[str | Path]) -> tuple[np.ndarray, np.ndarray]:
    """Return the concatenated attributions and one-hot sequences (N, 4, L) of several files."""
    files = [read_attributions(path) for path in paths]
    return np.concatenate([file.attribution for file in files]), np.concatenate([file.one_hot for file in files])


# Sequences from which on the interval of a mean holds its level; with 10, that of hits and misses holds 89 % of 95.
FEWEST = 16


def summarise(per_sequence: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return a row per metric: its mean over sequences with the interval of ``mean_interval_of_values``.

    NaN is excluded and not counted in ``n``; the mean is NaN where n is 0, the interval where n is below ``FEWEST`` or
    all values are equal.
    """
    rows = []
    for metric in per_sequence.columns:
        values = per_sequence[metric].to_numpy(dtype=float)
        values = values[np.isfinite(values)]
        value = values.mean() if len(values) else np.nan
        lower = upper = np.nan
        if len(values) >= FEWEST:
            lower, upper = np.clip(mean_interval_of_values(values, level), *bounds(metric))
        rows.append({"metric": metric, "value": value, "lower": lower, "upper": upper, "n": len(values)})
    return pd.DataFrame(rows, columns=["metric", "value", "lower", "upper", "n"])
