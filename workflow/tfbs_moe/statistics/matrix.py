"""Negatives trained on × negatives tested on: how a model trained against one kind does against another."""

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
    """Average a metric over factors for each model, kind of training negatives and kind of test negatives.

    ``trained_on`` is the kind of training negatives by protocol; other protocols are excluded. The t interval is
    missing with one factor.
    """
    chosen = of_metric(metrics, metric)
    chosen = chosen[chosen["protocol"].isin(list(trained_on))].dropna(subset=["value"])
    means = over_factors(chosen, ["protocol", "negatives", "model", "set", "rows"], level)
    table = means.rename(columns={"negatives": "tested_on", "n_factors": "n"})
    return table.assign(trained_on=table["protocol"].map(trained_on), metric=metric, unit=UNIT)[list(MATRIX_COLUMNS)]
