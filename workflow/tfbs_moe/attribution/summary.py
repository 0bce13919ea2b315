"""Rows of ``attributions/summary.tsv``: a mean over sequences with a bootstrap interval."""

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
    """Reduce metrics per sequence to their means over sequences with percentile bootstrap intervals.

    Sequences are the unit that is drawn. A sequence for which a metric does not exist (NaN) is left out
    of that metric, and ``n`` says how many there were.

    Args:
        per_sequence: one row per sequence, one column per metric.
        seed: root seed; all metrics of one call see the same draws of sequences.
        resamples: bootstrap draws.
        level: coverage of the intervals.
        names: of the stream, so that different tables draw differently.

    Returns:
        One row per metric: ``metric`` ``value`` ``lower`` ``upper`` ``n``; NaN where n is 0, and no
        interval where n is 1.
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
    """Return a table with columns that say one thing throughout put before its own."""
    # Assigned one after another they take longer than all that is told of a model.
    return pd.DataFrame({**names, **table}, index=table.index)


def _interval(values: np.ndarray, resamples: int, level: float, stream: np.random.Generator) -> tuple[float, float]:
    count = len(values)
    if count < 2:
        return np.nan, np.nan
    # Drawing row by row keeps the stream the same whatever the chunk, and the memory bounded.
    at_once = max(1, _CHUNK_VALUES // count)
    means = [
        values[stream.integers(count, size=(min(at_once, resamples - done), count))].mean(axis=1)
        for done in range(0, resamples, at_once)
    ]
    lower, upper = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)
