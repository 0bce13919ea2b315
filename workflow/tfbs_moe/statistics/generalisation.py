"""How far results generalise: strata of factors, similarity to training, negatives trained on × negatives tested on."""

from collections.abc import Mapping, Sequence

import pandas as pd

from tfbs_moe.data.jaspar import Matrix
from tfbs_moe.statistics.between import compare_strata
from tfbs_moe.statistics.regression import regress
from tfbs_moe.statistics.similarity import SIMILARITY_COLUMNS, nearest_training_factors
from tfbs_moe.statistics.strata import factor_values, strata_means
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


def generalisation_tables(
    metrics: pd.DataFrame,
    datasets: pd.DataFrame,
    training: Mapping[str, Sequence[str]],
    trained_on: Mapping[str, str],
    mixtures: Sequence[str],
    level: float = 0.95,
    matrices: Sequence[Matrix] | None = None,
) -> dict[str, pd.DataFrame]:
    """Build the tables ``similarity``, ``strata``, ``strata_tests``, ``regression`` and ``negatives_matrix``.

    InputError where the metrics have no AUROC.

    ``datasets`` is from ``data.summary``; ``training`` are the factors that there are experts of, and ``trained_on`` is
    the kind of training negatives, by protocol. Strata are tested and regressions fitted for ``mixtures`` alone; means
    are of all models. ``matrices`` None means JASPAR's.
    """
    similarity = _similarity(list(dict.fromkeys(metrics["factor"])), training, matrices)
    values = factor_values(metrics, similarity, datasets=datasets)
    return {
        "similarity": similarity,
        "strata": strata_means(values, level),
        "strata_tests": compare_strata(values, level, mixtures),
        "regression": regress(values, level, mixtures),
        "negatives_matrix": negatives_matrix(metrics, trained_on, level=level),
    }


def _similarity(
    tested: Sequence[str], training: Mapping[str, Sequence[str]], matrices: Sequence[Matrix] | None
) -> pd.DataFrame:
    """Return the nearest training factors by protocol; protocols with the same experts are looked up once."""
    found: dict[tuple[str, ...], pd.DataFrame] = {}
    for factors in map(tuple, training.values()):
        if factors not in found:
            found[factors] = nearest_training_factors(tested, factors, matrices)
    tables = [found[tuple(factors)].assign(protocol=protocol) for protocol, factors in training.items()]
    return pd.concat(tables, ignore_index=True)[["protocol", *SIMILARITY_COLUMNS]]
