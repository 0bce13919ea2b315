"""Strata of factors: how well a model does in each, drawn by hand and by nearest training factor."""

import numpy as np
import pandas as pd

from tfbs_moe.statistics.rounding import settled
from tfbs_moe.statistics.units import UNIT, mean_interval, of_metric
from tfbs_moe.study import OTHER_CELL

GROUPS = ("protocol", "negatives", "rows", "model")
STRATUM = "stratum"
NEAREST = "nearest_stratum"
STRATA_COLUMNS = (
    "protocol",
    "negatives",
    "rows",
    "metric",
    "model",
    "strata",
    "name",
    "value",
    "lower",
    "upper",
    "n",
    "unit",
    "factors",
)

_COUNTED = ["experiment", "negatives", "positives", "overlapping"]


def factor_values(
    metrics: pd.DataFrame,
    similarity: pd.DataFrame | None = None,
    metric: str = "auroc",
    datasets: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return one value per protocol × negatives × rows × model × factor, with what is known of the factor.

    Args:
        metrics: the table of metrics.
        similarity: from ``nearest_training_factors``; its columns are missing where it is not given.
        metric: which metric.
        datasets: from ``data.summary``, which bound rows overlap training.

    Returns:
        ``GROUPS``, ``factor``, ``set``, ``stratum``, ``value``, ``overlap`` (share of the factor's bound rows that
        overlap training; missing without ``datasets``), and
        ``nearest_stratum`` (``other_cell`` in that set, whose nearest training factor is the factor itself),
        ``nearest_factor``, ``similarity``. A factor tested in two strata, as in its own and in another cell, has a row
        in each.
    """
    chosen = of_metric(metrics, metric)
    keys = [*GROUPS, "factor", "set", "stratum"]
    experiments = chosen.groupby([*keys, "experiment"], sort=False, observed=True)["value"].mean()
    values = experiments.groupby(keys, sort=False, observed=True).mean().dropna().reset_index()
    values["value"] = settled(values["value"].to_numpy(dtype=float))
    # Without a row the columns of factors have no types in common.
    values["factor"] = values["factor"].astype(object)
    values = values.merge(_overlap(chosen, datasets), on=["factor", "stratum", "negatives"], how="left")
    known = similarity if similarity is not None else pd.DataFrame(columns=["factor"])
    columns = ["factor", NEAREST, "nearest_factor", "similarity"]
    known = known.reindex(columns=columns).astype({"factor": object}).drop_duplicates("factor")
    values = values.merge(known, on="factor", how="left")
    elsewhere = (values["set"] == OTHER_CELL) & values[NEAREST].notna()
    return values.assign(metric=metric, **{NEAREST: values[NEAREST].mask(elsewhere, OTHER_CELL)})


def strata_means(values: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return the mean over factors in each stratum, drawn by hand and by nearest training factor.

    Args:
        values: from ``factor_values``.
        level: of the t intervals; missing with one factor.

    Returns:
        Columns ``STRATA_COLUMNS``; ``strata`` says how they were drawn: ``stratum``, ``nearest_stratum`` or
        ``nearest_factor``.
    """
    records = []
    for strata in (STRATUM, NEAREST, "nearest_factor"):
        keys = [*GROUPS, "metric", strata]
        present = values.dropna(subset=[strata]).groupby([*keys, "factor"], sort=False, observed=True)["value"].mean()
        for names, group in present.reset_index().groupby(keys, sort=False, observed=True):
            factors = dict(sorted(zip(group["factor"], group["value"], strict=True)))
            protocol, negatives, rows, model, metric, name = names
            value, lower, upper = mean_interval(np.array(list(factors.values())), level, str(metric))
            where = (protocol, negatives, rows, metric, model, strata, name)
            records.append((*where, value, lower, upper, len(factors), UNIT, ", ".join(map(str, factors))))
    return pd.DataFrame(records, columns=list(STRATA_COLUMNS))


def _overlap(metrics: pd.DataFrame, datasets: pd.DataFrame | None) -> pd.DataFrame:
    """Return the share of bound rows that overlap training, per factor, stratum and kind of negatives."""
    keys = ["factor", "stratum", "negatives"]
    if datasets is None:
        return pd.DataFrame(columns=[*keys, "overlap"])
    counts = metrics[["experiment", *keys]].drop_duplicates().merge(datasets[datasets["split"] == "test"][_COUNTED])
    counts["overlap"] = counts["overlapping"].astype(float) / counts["positives"].where(counts["positives"] > 0)
    return counts.groupby(keys, observed=True)["overlap"].mean().reset_index()
