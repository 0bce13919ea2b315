"""How far results generalise: strata of factors, regression on similarity, negatives of training × of test sets."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from statsmodels.regression.linear_model import OLS

from tfbs_moe.data.jaspar import Matrix
from tfbs_moe.numeric import varies
from tfbs_moe.statistics.between import compare_strata
from tfbs_moe.statistics.hypothesis_tests.results import Result, as_table, interval_words, unsigned
from tfbs_moe.statistics.strata import GROUPS, SIMILARITY_COLUMNS, factor_values, nearest_training_factors, strata_means
from tfbs_moe.statistics.units import UNIT, of_metric, over_factors
from tfbs_moe.study import UNSEEN

MATRIX_COLUMNS = (
    "protocol", "trained_on", "tested_on", "model", "set", "rows", "metric", "value", "lower", "upper", "n", "unit",
)  # fmt: skip


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


DESIGN = "linear regression over factors that no expert saw, seeds and cells averaged within the factor"
# Factors per slope; with fewer, HC3 rejects in only 2 to 3 % of studies.
FEWEST_PER_SLOPE = 6
ALONE = 1 - 1e-9


def regress(values: pd.DataFrame, level: float = 0.95, models: Sequence[str] | None = None) -> pd.DataFrame:
    """Regress the metric of unseen factors on similarity to training, on overlap with it, and on both together.

    Standard errors allow for unequal variances (HC3). A regression with too few factors, or without variance in a
    predictor, has a row without numbers. ``values`` are from ``factor_values``; ``models`` None means all.
    """
    tables = []
    unseen = values[values["set"] == UNSEEN]
    kept = unseen if models is None else unseen[unseen["model"].isin(models)]
    for names, group in kept.groupby([*GROUPS, "metric"], sort=False, observed=True):
        named = dict(zip([*GROUPS, "metric"], names, strict=True))
        by_factor = group.groupby("factor")[["value", "similarity", "overlap"]].mean()
        results = [
            result
            for terms in (("similarity",), ("overlap",), ("similarity", "overlap"))
            for result in _regression(by_factor, terms, str(named["metric"]), level)
        ]
        tables.append(as_table(results, {"model": named["model"], "set": UNSEEN, **named}))
    return pd.concat(tables, ignore_index=True) if tables else as_table([], {"model": ""})


def _regression(by_factor: pd.DataFrame, terms: tuple[str, ...], metric: str, level: float) -> list[Result]:
    used = by_factor.dropna(subset=["value", *terms])
    absent = sorted(set(by_factor.index) - set(used.index))
    left_out = f"left out, for lack of {' or '.join(terms)}: {', '.join(map(str, absent))}" if absent else ""
    common = Result(
        test="linear regression (HC3)",
        comparison=f"{metric} ~ {' + '.join(terms)}",
        design=DESIGN,
        unit=UNIT,
        n=len(used),
        check=left_out,
    )
    matrix = np.column_stack([np.ones(len(used)), *(used[term].to_numpy(float) for term in terms)])
    # HC3 divides by 1 − leverage, which is 0 for a factor that alone determines a slope.
    leverage = (np.linalg.qr(matrix)[0] ** 2).sum(axis=1).max(initial=0)
    few, alike = len(used) < FEWEST_PER_SLOPE * len(terms), np.linalg.matrix_rank(matrix) <= len(terms)
    if few or alike or leverage > ALONE or not varies(used["value"].to_numpy(float)):
        sentence = (
            f"{metric} cannot be regressed on {' and '.join(terms)}: {len(used)} factors are too few or too alike."
        )
        return [replace(common, sentence=sentence)]
    fit = OLS(used["value"].to_numpy(float), matrix).fit(cov_type="HC3", use_t=True)
    intervals = fit.conf_int(1 - level)
    results = []
    for index, term in enumerate(terms, start=1):
        slope, (lower, upper) = float(fit.params[index]), (float(value) for value in intervals[index])
        claim = "rises" if lower > 0 else "falls" if upper < 0 else "is not shown to change"
        results.append(
            common.completed(
                ("t", float(fit.tvalues[index]), f"{fit.df_resid:g}"),
                float(fit.pvalues[index]),
                (f"slope of {term}", slope, lower, upper),
                check="; ".join(filter(None, [f"R² = {fit.rsquared:.2f}", left_out])),
                sentence=(
                    f"Over {len(used)} unseen factors {metric} {claim} with {term}"
                    f"{'' if len(terms) == 1 else ' at equal ' + ' and '.join(t for t in terms if t != term)}: "
                    f"slope {interval_words(slope, lower, upper)} (R² = {unsigned(float(fit.rsquared), 2)})."
                ),
            )
        )
    return results
