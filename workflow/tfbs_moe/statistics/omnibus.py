"""Do several models differ at all over factors: ANOVA, ranks, and a mixed model.

Intervals of η² have level 2 × level − 1, as Steiger (2004) advises: they then leave zero out exactly where p says so.
"""

import math
from dataclasses import replace

import pandas as pd

from tfbs_moe.statistics.anova import repeated_measures
from tfbs_moe.statistics.assumptions import mauchly, normality, ranks_are_reported, residuals
from tfbs_moe.statistics.effects import eta_interval
from tfbs_moe.statistics.mixed import FEWEST_FACTORS, MixedFit, fit_mixed
from tfbs_moe.statistics.ranks import friedman
from tfbs_moe.statistics.results import Result, p_words, significant
from tfbs_moe.statistics.units import DESIGN, UNIT, FactorTable, oriented

MIXED_DESIGN = "mixed model: model fixed; factor, factor × model and training (model × seed) random"
SMALLEST = 2


def omnibus_results(
    table: FactorTable, metrics: pd.DataFrame, metric: str, level: float
) -> tuple[list[Result], MixedFit | None]:
    """Test whether the models differ at all.

    Args:
        table: one number per factor and model.
        metrics: the rows that the table was made from, seed by seed.
        metric: name of the metric.
        level: of intervals.

    Returns:
        The repeated-measures ANOVA, Friedman's test and the mixed model; and the latter's fit, if any.
    """
    count, common = len(table.values), _common(table)
    if count < SMALLEST:
        sentence = f"With {count} factor(s) models cannot be compared over factors."
        return [replace(common, test="repeated-measures ANOVA", headline=True, sentence=sentence)], None
    check = normality(residuals(table.values).ravel(), "residuals")
    by_ranks = ranks_are_reported(check, count)
    fit = fit_mixed(_per_seed(metrics, table), list(table.models))
    anova = replace(_anova(table, common, metric, level, check.words), headline=not by_ranks)
    ranks = replace(_friedman(table, common, metric, level, check.words), headline=by_ranks)
    return [anova, ranks, *_mixed(fit, common, metric, level)], fit


def anova_result(table: FactorTable, metric: str, level: float) -> Result:
    """Return the repeated-measures ANOVA alone, of two factors or more; arguments as for ``omnibus_results``."""
    normal = normality(residuals(table.values).ravel(), "residuals")
    return _anova(table, _common(table), metric, level, normal.words)


def _common(table: FactorTable) -> Result:
    models = " / ".join(table.models)
    return Result(test="", comparison=models, design=DESIGN, unit=UNIT, n=len(table.values), check=table.note)


def _anova(table: FactorTable, common: Result, metric: str, level: float, normal: str) -> Result:
    anova = repeated_measures(table.values)
    df, df_error = anova.df * anova.epsilon, anova.df_error * anova.epsilon
    words = f"{df:.3g}, {df_error:.3g}"
    lower, upper = eta_interval(anova.statistic, df, df_error, 2 * level - 1)
    many = len(table.models) > 2
    spherical = f"{mauchly(table.values).words}; Greenhouse–Geisser ε = {anova.epsilon:.3f}, applied in any case"
    check = spherical if many else "two models: sphericity holds"
    return replace(
        common,
        test="repeated-measures ANOVA",
        statistic_name="F",
        statistic=anova.statistic,
        df=words,
        p=anova.p_corrected,
        p_adjusted=anova.p_corrected,
        effect_name="partial eta squared",
        effect=anova.eta_squared,
        effect_lower=lower,
        effect_upper=upper,
        check="; ".join(filter(None, [normal, check, common.check])),
        sentence=_sentence(common, metric, anova.p_corrected, level, f"F({words}) = {anova.statistic:.2f}"),
    )


def _friedman(table: FactorTable, common: Result, metric: str, level: float, normal: str) -> Result:
    found = friedman(oriented(table.values, metric))
    words = f"{found.df}, {found.df_error}"
    asymptotic = f"χ²({found.df}) = {found.chi_squared:.2f}, {p_words(found.p_chi_squared)}"
    source = "p exact, over all orders" if found.exact else "p of F"
    value = "∞" if math.isinf(found.statistic) else f"{found.statistic:.2f}"
    return replace(
        common,
        test="Friedman (Iman–Davenport)",
        statistic_name="F",
        statistic=found.statistic,
        df=words,
        p=found.p,
        p_adjusted=found.p,
        effect_name="Kendall's W",
        effect=found.concordance,
        check="; ".join(filter(None, [normal, asymptotic, source, common.check])),
        sentence=_sentence(common, f"rank by {metric}", found.p, level, f"F({words}) = {value}"),
    )


def _mixed(fit: MixedFit | None, common: Result, metric: str, level: float) -> list[Result]:
    if fit is None and common.n < FEWEST_FACTORS:
        return []
    if fit is None:
        sentence = _sentence(common, metric, math.nan, level, "")
        return [replace(common, test="mixed model", design=MIXED_DESIGN, sentence=sentence)]
    df, df_error = len(fit.differences), fit.df_error
    words = f"{df}, {df_error:.3g}"
    lower, upper = eta_interval(fit.statistic, df, df_error, 2 * level - 1)
    shares = ", ".join(f"{name.replace('_', ' × ')} {value:.2g}" for name, value in fit.components.items())
    state = "converged" if fit.converged else "did not converge"
    return [
        replace(
            common,
            test="mixed model",
            design=MIXED_DESIGN,
            statistic_name="F",
            statistic=fit.statistic,
            df=words,
            p=fit.p,
            p_adjusted=fit.p,
            effect_name="partial eta squared",
            effect=df * fit.statistic / (df * fit.statistic + df_error),
            effect_lower=lower,
            effect_upper=upper,
            check="; ".join(filter(None, [f"REML {state}; variances: {shares}", common.check])),
            sentence=_sentence(common, metric, fit.p, level, f"F({words}) = {fit.statistic:.2f}"),
        )
    ]


def _sentence(common: Result, metric: str, p: float, level: float, statistic: str) -> str:
    models = common.comparison.count(" / ") + 1
    if math.isnan(p):
        return (
            f"Over {common.n} factors no test can compare the {models} models in {metric}: they are equal, or differ "
            "on every factor by the same amount."
        )
    verdict = "differ" if significant(p, level) else "are not shown to differ"
    return f"Over {common.n} factors the {models} models {verdict} in {metric}: {statistic}, {p_words(p)}."


def _per_seed(metrics: pd.DataFrame, table: FactorTable) -> pd.DataFrame:
    """Return one value per factor, model and seed, on the table's factors."""
    rows = metrics[metrics["factor"].astype(str).isin(table.factors) & metrics["model"].isin(table.models)]
    return rows.groupby(["factor", "model", "seed"], observed=True)["value"].mean().dropna().reset_index()
