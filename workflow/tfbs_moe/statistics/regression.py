"""Regression of a model's AUROC on unseen factors on their similarity to training and their overlap with it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from statsmodels.regression.linear_model import OLS

from tfbs_moe.numeric import varies
from tfbs_moe.statistics.hypothesis_tests.results import Result, as_table, interval_words, unsigned
from tfbs_moe.statistics.strata import GROUPS
from tfbs_moe.statistics.units import UNIT
from tfbs_moe.study import UNSEEN

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
