"""Trained on × tested on: what a model that learned from one kind of negatives is worth against another."""

from collections.abc import Mapping

import pandas as pd

from tfbs_moe.statistics.units import UNIT, of_metric, over_factors

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
    means = over_factors(chosen, ["protocol", "negatives", "model", "set", "rows"], level)
    table = means.rename(columns={"negatives": "tested_on", "n_factors": "n"})
    return table.assign(trained_on=table["protocol"].map(trained_on), metric=metric, unit=UNIT)[list(MATRIX_COLUMNS)]
