"""Trained on × tested on: what a model that learned from one kind of negatives is worth against another."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from tfbs_moe.statistics.units import UNIT, of_metric

MATRIX_COLUMNS = (
    "protocol",
    "trained_on",
    "tested_on",
    "model",
    "set",
    "rows",
    "metric",
    "value",
    "lower",
    "upper",
    "n",
    "unit",
)


def negatives_matrix(
    metrics: pd.DataFrame, trained_on: Mapping[str, str], metric: str = "auroc", level: float = 0.95
) -> pd.DataFrame:
    """Average a metric over factors, for each model, kind of negatives trained on and kind tested on.

    Args:
        metrics: the table of metrics.
        trained_on: kind of training negatives by protocol; other protocols are left out.
        metric: which metric.
        level: of the t interval over factors; missing with one factor.

    Returns:
        One row per protocol × tested negatives × model × set × row set, columns ``MATRIX_COLUMNS``.
    """
    chosen = of_metric(metrics, metric)
    chosen = chosen[chosen["protocol"].isin(list(trained_on))].dropna(subset=["value"])
    keys = ["protocol", "negatives", "model", "set", "rows"]
    experiments = chosen.groupby([*keys, "factor", "experiment"], sort=False, observed=True)["value"].mean()
    factors = experiments.groupby([*keys, "factor"], sort=False, observed=True).mean()
    records = []
    for names, values in factors.groupby(keys, sort=False, observed=True):
        protocol, tested, model, its_set, rows = map(str, names)
        mean, lower, upper = mean_interval(values.to_numpy(), level)
        records.append((protocol, trained_on[protocol], tested, model, its_set, rows, metric, mean, lower, upper))
    table = pd.DataFrame(records, columns=list(MATRIX_COLUMNS[:10]))
    counts = factors.groupby(keys, sort=False, observed=True).size().to_numpy()
    return table.assign(n=counts, unit=UNIT)


def mean_interval(values: np.ndarray, level: float) -> tuple[float, float, float]:
    """Return a mean and its t interval, which is missing with one value."""
    if len(values) < 2:
        return float(values.mean()), float("nan"), float("nan")
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1)) * float(values.std(ddof=1)) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)
