"""Omnibus tests of models over factors: ANOVA, Friedman's test and a mixed model.

Intervals of η² have level 2 × level − 1 (Steiger 2004): they then exclude zero exactly where p does.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from tfbs_moe.statistics.hypothesis_tests.assumptions import mauchly, normality_of_residuals, ranks_are_reported
from tfbs_moe.statistics.hypothesis_tests.effects import eta_interval
from tfbs_moe.statistics.hypothesis_tests.linear_models import (
    FEWEST_FACTORS,
    MixedFit,
    fit_mixed,
    repeated_measures,
    trained_alike,
)
from tfbs_moe.statistics.hypothesis_tests.ranks import friedman
from tfbs_moe.statistics.hypothesis_tests.results import Result, p_words, significant
from tfbs_moe.statistics.units import DESIGN, UNIT, FactorTable, oriented

MIXED_DESIGN = "mixed model: model fixed; factor, factor × model and training (model × seed) random"
SMALLEST = 2
# Where p of more than two models comes from: not from the distribution of F.
OVER_SIGNS = "over signs of factors"


def omnibus_results(
    table: FactorTable, metrics: pd.DataFrame, metric: str, level: float
) -> tuple[list[Result], MixedFit | None]:
    """Run the repeated-measures ANOVA, Friedman's test and the mixed model; return the results, and the fit if any.

    ``metrics`` are the rows of ``table``, seed by seed.
    """
    count, common = len(table.values), _common(table)
    if count < SMALLEST:
        sentence = f"With {count} factor(s) models cannot be compared over factors."
        return [replace(common, test="repeated-measures ANOVA", headline=True, sentence=sentence)], None
    check = normality_of_residuals(table.values)
    by_ranks = ranks_are_reported(check, count)
    rows = metrics[metrics["factor"].astype(str).isin(table.factors) & metrics["model"].isin(table.models)]
    per_seed = rows.groupby(["factor", "model", "seed"], observed=True)["value"].mean().dropna().reset_index()
    alike = list(trained_alike(per_seed, list(table.models)))
    fit = fit_mixed(per_seed, list(table.models))
    anova = replace(_anova(table, common, metric, level, check.words), headline=not by_ranks)
    ranks = replace(_friedman(table, common, metric, level, check.words), headline=by_ranks)
    return [anova, ranks, *_mixed(fit, common, metric, level, alike)], fit


def anova_result(table: FactorTable, metric: str, level: float) -> Result:
    """Return the repeated-measures ANOVA alone, of two factors or more."""
    normal = normality_of_residuals(table.values)
    return _anova(table, _common(table), metric, level, normal.words)


def _common(table: FactorTable) -> Result:
    models = " / ".join(table.models)
    return Result(test="", comparison=models, design=DESIGN, unit=UNIT, n=len(table.values), check=table.note)


def _anova(table: FactorTable, common: Result, metric: str, level: float, normal: str) -> Result:
    anova = repeated_measures(table.values)
    words, many = f"{anova.df}, {anova.df_error}", len(table.models) > 2
    # With more than two models F, and so its interval, follows its distribution only under sphericity.
    bounds = (math.nan, math.nan) if many else eta_interval(anova.statistic, anova.df, anova.df_error, 2 * level - 1)
    signs = f"p {OVER_SIGNS}; {mauchly(table.values).words}; Greenhouse–Geisser ε = {anova.epsilon:.3f}"
    check = signs if many else "two models: sphericity holds"
    shown, source = f"F({words}) = {anova.statistic:.2f}", f" {OVER_SIGNS}" if many else ""
    return common.completed(
        ("F", anova.statistic, words),
        anova.p_signs,
        ("partial eta squared", anova.eta_squared, *bounds),
        test="repeated-measures ANOVA",
        check="; ".join(filter(None, [normal, check, common.check])),
        sentence=_sentence(common, metric, anova.p_signs, level, shown, source),
    )


def _friedman(table: FactorTable, common: Result, metric: str, level: float, normal: str) -> Result:
    found = friedman(oriented(table.values, metric))
    words = f"{found.df}, {found.df_error}"
    asymptotic = f"χ²({found.df}) = {found.chi_squared:.2f}, {p_words(found.p_chi_squared)}"
    source = "p exact, over all orders" if found.exact else "p of F"
    source = f"p over {found.drawn:,} drawn orders" if found.drawn else source
    value = "∞" if math.isinf(found.statistic) else f"{found.statistic:.2f}"
    return common.completed(
        ("F", found.statistic, words),
        found.p,
        ("Kendall's W", found.concordance),
        test="Friedman (Iman–Davenport)",
        check="; ".join(filter(None, [normal, asymptotic, source, common.check])),
        sentence=_sentence(common, f"rank by {metric}", found.p, level, f"F({words}) = {value}"),
    )


def _mixed(fit: MixedFit | None, common: Result, metric: str, level: float, alike: Sequence[str]) -> list[Result]:
    if common.n < FEWEST_FACTORS:
        return []
    models = common.comparison.split(" / ")
    others = ", ".join(model for model in models if model not in alike)
    left_out = f"left out, with fewer trainings or none: {others}" if others else ""
    common = replace(common, test="mixed model", design=MIXED_DESIGN)
    if len(alike) < SMALLEST:
        sentence = (
            f"No other model has as many trainings on every factor as {models[0]}: there is no mixed model of them."
        )
        return [replace(common, check=left_out, sentence=sentence)]
    common = replace(common, comparison=" / ".join(alike))
    if fit is None:
        return [replace(common, sentence=_sentence(common, metric, math.nan, level, ""))]
    df, df_error = len(fit.differences), fit.df_error
    words = f"{df}, {df_error:.3g}"
    shares = ", ".join(f"{name.replace('_', ' × ')} {value:.2g}" for name, value in fit.components.items())
    # No interval: the denominator's degrees of freedom are estimates.
    effect = ("partial eta squared", df * fit.statistic / (df * fit.statistic + df_error))
    check = "; ".join(filter(None, [f"variances: {shares}", left_out, common.check]))
    sentence = _sentence(common, metric, fit.p, level, f"F({words}) = {fit.statistic:.2f}")
    return [common.completed(("F", fit.statistic, words), fit.p, effect, check=check, sentence=sentence)]


def _sentence(common: Result, metric: str, p: float, level: float, statistic: str, source: str = "") -> str:
    models = common.comparison.count(" / ") + 1
    if math.isnan(p):
        return (
            f"Over {common.n} factors no test can compare the {models} models in {metric}: they are equal, or differ "
            "on every factor by the same amount."
        )
    verdict = "differ" if significant(p, level) else "are not shown to differ"
    return f"Over {common.n} factors the {models} models {verdict} in {metric}: {statistic}, {p_words(p)}{source}."
