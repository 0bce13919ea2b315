"""Rows of ``attributions/summary.tsv``: means over sequences with bootstrap intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tfbs_moe.errors import InputError
from tfbs_moe.runtime import rng as named_rng

_CHUNK_VALUES = 2**22


def summarise(
    per_sequence: pd.DataFrame,
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
    names: tuple[object, ...] = (),
) -> pd.DataFrame:
    """Return a row per metric: its mean over sequences with a percentile bootstrap interval.

    Sequences are resampled, from one stream for all metrics of a call, set apart by ``names``. NaN is excluded and not
    counted in ``n``; the mean is NaN where n is 0, the interval where n is below 2.
    """
    if resamples < 1:
        raise InputError(f"resamples must be at least 1; it is {resamples}")
    rows = []
    for metric in per_sequence.columns:
        values = per_sequence[metric].to_numpy(dtype=float)
        values = values[np.isfinite(values)]
        lower, upper = _interval(values, resamples, level, named_rng(seed, "attribution summary", *names))
        value = values.mean() if len(values) else np.nan
        rows.append({"metric": metric, "value": value, "lower": lower, "upper": upper, "n": len(values)})
    return pd.DataFrame(rows, columns=["metric", "value", "lower", "upper", "n"])


def labelled(table: pd.DataFrame, names: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table with constant columns ``names`` put before its own."""
    # Assigning one column after another takes far longer.
    return pd.DataFrame({**names, **table}, index=table.index)


def _interval(values: np.ndarray, resamples: int, level: float, stream: np.random.Generator) -> tuple[float, float]:
    count = len(values)
    if count < 2:
        return np.nan, np.nan
    # Chunks of rows bound the memory, and draw the same stream whatever their size.
    at_once = max(1, _CHUNK_VALUES // count)
    means = [
        values[stream.integers(count, size=(min(at_once, resamples - done), count))].mean(axis=1)
        for done in range(0, resamples, at_once)
    ]
    lower, upper = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)
