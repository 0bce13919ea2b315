"""Mean performance in strata of factors, defined by hand and by nearest training factor."""

import numpy as np
import pandas as pd

from tfbs_moe.numeric import settled
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
    """Return one value per protocol × negatives × rows × model × factor, with covariates of the factor.

    ``overlap`` is the fraction of the factor's bound sequences that overlap training; ``nearest_stratum`` is
    ``other_cell`` in that set, where the nearest training factor is the factor itself. A factor tested in two strata
    (its own and another cell) has a row in each.

    ``similarity`` is from ``nearest_training_factors``, by ``protocol``, and ``datasets`` from ``data.summary``; where
    one is None, its columns are missing.
    """
    chosen = of_metric(metrics, metric)
    keys = [*GROUPS, "factor", "set", "stratum"]
    experiments = chosen.groupby([*keys, "experiment"], sort=False, observed=True)["value"].mean()
    values = experiments.groupby(keys, sort=False, observed=True).mean().dropna().reset_index()
    values["value"] = settled(values["value"].to_numpy(dtype=float))
    # Columns of empty tables would have no dtype in common.
    values["factor"] = values["factor"].astype(object)
    values = values.merge(_overlap(chosen, datasets), on=["factor", "stratum", "negatives"], how="left")
    keys = ["protocol", "factor"]
    known = similarity if similarity is not None else pd.DataFrame(columns=keys)
    known = known.reindex(columns=[*keys, NEAREST, "nearest_factor", "similarity"]).astype(dict.fromkeys(keys, object))
    values = values.astype({"protocol": object}).merge(known.drop_duplicates(keys), on=keys, how="left")
    elsewhere = (values["set"] == OTHER_CELL) & values[NEAREST].notna()
    return values.assign(metric=metric, **{NEAREST: values[NEAREST].mask(elsewhere, OTHER_CELL)})


def strata_means(values: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return the mean over factors in each stratum, with its t interval (missing with one factor).

    ``values`` are from ``factor_values``; ``strata`` names the stratification: ``stratum`` (by hand),
    ``nearest_stratum`` or ``nearest_factor``.
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
    """Return the fraction of bound sequences that overlap training, per factor, stratum and kind of negatives."""
    keys = ["factor", "stratum", "negatives"]
    if datasets is None:
        return pd.DataFrame(columns=[*keys, "overlap"])
    counts = metrics[["experiment", *keys]].drop_duplicates().merge(datasets[datasets["split"] == "test"][_COUNTED])
    counts["overlap"] = counts["overlapping"].astype(float) / counts["positives"].where(counts["positives"] > 0)
    return counts.groupby(keys, observed=True)["overlap"].mean().reset_index()
