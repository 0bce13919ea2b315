"""One model against each of its rivals over factors: tests, effect sizes, margins."""

import math
from dataclasses import replace

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tfbs_moe.statistics.assumptions import influence, normality, ranks_are_reported
from tfbs_moe.statistics.bayes import signed_rank
from tfbs_moe.statistics.effects import common_language, hedges, hodges_lehmann
from tfbs_moe.statistics.equivalence import equivalence, non_inferiority
from tfbs_moe.statistics.mixed import MixedFit
from tfbs_moe.statistics.omnibus import MIXED_DESIGN
from tfbs_moe.statistics.ranks import critical_difference, mean_ranks, nemenyi
from tfbs_moe.statistics.results import Result, difference_sentence, interval_words, p_words, signed
from tfbs_moe.statistics.rounding import varies
from tfbs_moe.statistics.units import DESIGN, UNIT, FactorTable, oriented

PAIRED = "paired t"
WILCOXON = "Wilcoxon signed-rank"
SMALLEST = 2


def pairwise_results(table: FactorTable, mixed: MixedFit | None, metric: str, level: float) -> list[Result]:
    """Compare the first model with each other one.

    Args:
        table: one number per factor and model.
        mixed: the mixed model of the same factors and models, if it was fitted.
        metric: name of the metric.
        level: of intervals.

    Returns:
        Paired t tests, Wilcoxon tests and contrasts of the mixed model, each family Holm-adjusted; Nemenyi's
        test; Hedges' g and the common-language effect size.
    """
    others = range(1, len(table.models))
    results = paired_results(table, metric, level)
    if mixed is not None:
        results += holm([_contrast(table, mixed, other, metric, level) for other in others])
    if len(table.values) >= SMALLEST:
        results += _nemenyi(table, metric, level)
        results += [effect for other in others for effect in _effects(table, other, level)]
    return results


def paired_results(table: FactorTable, metric: str, level: float) -> list[Result]:
    """Compare the first column with each other one by paired t and Wilcoxon tests, each family Holm-adjusted."""
    others = range(1, len(table.models))
    checked = [_checked(table, other) for other in others]
    parametric = [_paired_t(table, other, metric, level, *checked[other - 1]) for other in others]
    by_ranks = [_wilcoxon(table, other, metric, level, *checked[other - 1]) for other in others]
    return [*holm(parametric), *holm(by_ranks)]


def margin_results(table: FactorTable, metric: str, level: float, margin: float) -> list[Result]:
    """Test whether the first model is equivalent to each other one, and whether it is not inferior."""
    results = []
    for test, function in (("equivalence (TOST)", equivalence), ("non-inferiority", non_inferiority)):
        family = []
        for other in range(1, len(table.models)):
            differences = _oriented(table, other, metric)
            if not varies(differences):
                continue
            found = function(differences, margin, 1 - level)
            first, second = table.models[0], table.models[other]
            shown = found.p < 1 - level
            claim = "equivalent to" if function is equivalence else "no worse than"
            verb = "is" if shown else "is not shown to be"
            family.append(
                replace(
                    _common(test, table, other),
                    statistic_name="t",
                    statistic=found.statistic,
                    df=f"{found.df}",
                    p=found.p,
                    effect_name=f"mean difference (margin {margin:g})",
                    effect=found.effect,
                    effect_lower=found.lower,
                    effect_upper=found.upper,
                    check="; ".join(filter(None, [f"one-sided, interval of level {2 * level - 1:g}", table.note])),
                    sentence=(
                        f"{first} {verb} {claim} {second} in {metric} within a margin of {margin:g}: "
                        f"{_bounded(found.effect, found.lower, found.upper)}, {p_words(found.p)}."
                    ),
                )
            )
        results += holm(family)
    return results


def bayesian_results(
    table: FactorTable, metric: str, level: float, margin: float, stream: np.random.Generator
) -> list[Result]:
    """Say how probable it is that the first model is better than each other one by more than a margin."""
    results = []
    for other in range(1, len(table.models)):
        differences = _oriented(table, other, metric)
        if not len(differences):
            continue
        found = signed_rank(differences, margin, level, stream)
        first, second = table.models[0], table.models[other]
        results.append(
            replace(
                _common("Bayesian signed-rank", table, other),
                statistic_name="P(better)",
                statistic=found.better,
                effect_name=f"posterior share better by more than {margin:g}",
                effect=found.share_better,
                effect_lower=found.lower,
                effect_upper=found.upper,
                check="; ".join(filter(None, ["no p: posterior probabilities", table.note])),
                sentence=(
                    f"By more than {margin:g} in {metric}, {first} is better than {second} with probability "
                    f"{found.better:.2f} and worse with {found.worse:.2f}; neither has {found.equivalent:.2f}."
                ),
            )
        )
    return results


def holm(results: list[Result]) -> list[Result]:
    """Adjust the p values of comparisons made together (Holm 1979); an undefined one is left out."""
    defined = [index for index, result in enumerate(results) if not np.isnan(result.p)]
    if not defined:
        return results
    adjusted = multipletests([results[index].p for index in defined], method="holm")[1]
    found = list(results)
    for index, value in zip(defined, adjusted, strict=True):
        found[index] = replace(found[index], p_adjusted=float(value), adjustment=f"Holm over {len(defined)}")
    return found


def _paired_t(table: FactorTable, other: int, metric: str, level: float, check: str, by_ranks: bool) -> Result:
    differences = table.differences(other)
    first, second = table.models[0], table.models[other]
    common = replace(_common(PAIRED, table, other), effect_name="mean difference", check=check, headline=not by_ranks)
    if len(differences) < SMALLEST:
        effect = float(differences.mean()) if len(differences) else math.nan
        sentence = difference_sentence(first, second, metric, effect, math.nan, math.nan)
        return replace(common, effect=effect, sentence=sentence)
    mean, spread = float(differences.mean()), float(differences.std(ddof=1)) if varies(differences) else 0.0
    df = len(differences) - 1
    error = spread / math.sqrt(len(differences))
    half = float(stats.t.ppf((1 + level) / 2, df)) * error
    # Differences that are all the same leave no error to hold their mean against.
    statistic = mean / error if error > 0 else math.nan
    return replace(
        common,
        statistic_name="t",
        statistic=statistic,
        df=f"{df}",
        p=float(2 * stats.t.sf(abs(statistic), df)),
        effect=mean,
        effect_lower=mean - half,
        effect_upper=mean + half,
        sentence=difference_sentence(first, second, metric, mean, mean - half, mean + half),
    )


def _wilcoxon(table: FactorTable, other: int, metric: str, level: float, check: str, by_ranks: bool) -> Result:
    differences = table.differences(other)
    first, second = table.models[0], table.models[other]
    common = replace(_common(WILCOXON, table, other), check=check, headline=by_ranks)
    if not (differences != 0).any():
        return replace(common, sentence=f"{first} and {second} are equal on every factor.")
    # Pratt's treatment keeps factors on which the models are equal in the ranking.
    test = stats.wilcoxon(differences, zero_method="pratt")
    effect, lower, upper = hodges_lehmann(differences, level)
    higher = int((differences > 0).sum())
    share = f"{first} has the higher {metric} on {higher} of {len(differences)} factors against {second}"
    if math.isnan(lower):
        ending = "; with so few factors ranks allow no interval."
    else:
        zero = "includes" if lower <= 0 <= upper else "excludes"
        ending = f"; typical difference {interval_words(effect, lower, upper)}, which {zero} zero."
    return replace(
        common,
        statistic_name="W",
        statistic=float(test.statistic),
        p=float(test.pvalue),
        effect_name="Hodges–Lehmann difference",
        effect=effect,
        effect_lower=lower,
        effect_upper=upper,
        sentence=share + ending,
    )


def _contrast(table: FactorTable, fit: MixedFit, other: int, metric: str, level: float) -> Result:
    effect, error = float(fit.differences[other - 1]), float(fit.errors[other - 1])
    half = float(stats.t.ppf((1 + level) / 2, fit.df_error)) * error
    statistic = effect / error if error > 0 else math.nan
    return replace(
        _common("mixed model contrast", table, other),
        design=MIXED_DESIGN,
        statistic_name="t",
        statistic=statistic,
        df=f"{fit.df_error:.3g}",
        p=float(2 * stats.t.sf(abs(statistic), fit.df_error)),
        effect_name="mean difference",
        effect=effect,
        effect_lower=effect - half,
        effect_upper=effect + half,
        sentence=difference_sentence(
            table.models[0], table.models[other], metric, effect, effect - half, effect + half
        ),
    )


def _nemenyi(table: FactorTable, metric: str, level: float) -> list[Result]:
    values = oriented(table.values, metric)
    ranks, p = mean_ranks(values), nemenyi(values)
    models = len(table.models)
    width = critical_difference(models, len(values), level)
    results = []
    for other in range(1, models):
        difference = float(ranks[0] - ranks[other])
        adjusted = float(p[0, other])
        results.append(
            replace(
                _common("Nemenyi", table, other),
                statistic_name="q",
                statistic=abs(difference) / math.sqrt(models * (models + 1) / (6 * len(values))) * math.sqrt(2),
                df=f"{models}, ∞",
                p=adjusted,
                p_adjusted=adjusted,
                adjustment=f"Nemenyi over all pairs of {models} models",
                effect_name="difference in mean rank (1 is best)",
                effect=difference,
                effect_lower=difference - width,
                effect_upper=difference + width,
                sentence=(
                    f"{table.models[0]} and {table.models[other]} rank {ranks[0]:.2f} and {ranks[other]:.2f} "
                    f"by {metric} among {models} models ({p_words(adjusted)})."
                ),
            )
        )
    return results


def _effects(table: FactorTable, other: int, level: float) -> list[Result]:
    differences = table.differences(other)
    first, second = table.models[0], table.models[other]
    g, share = hedges(differences, level), common_language(differences, level)
    results = []
    for name, (effect, lower, upper) in (("Hedges' g", g), ("common-language effect size", share)):
        if math.isnan(effect):
            continue
        words = f"{signed(effect, 2)} [{signed(lower, 2)}, {signed(upper, 2)}]"
        of = (
            "of the differences between"
            if name == "Hedges' g"
            else "(share of factors on which the first is higher) of"
        )
        results.append(
            replace(
                _common("effect size", table, other),
                effect_name=name,
                effect=effect,
                effect_lower=lower,
                effect_upper=upper,
                sentence=f"{name} {of} {first} and {second}: {words}.",
            )
        )
    return results


def _checked(table: FactorTable, other: int) -> tuple[str, bool]:
    """Return what was checked of a comparison, in words, and whether the rank test is reported first."""
    differences = table.differences(other)
    check = normality(differences, "differences")
    moved = influence(differences, table.factors)
    words = [check.words, moved.words if moved else "", table.note]
    return "; ".join(filter(None, words)), ranks_are_reported(check, len(differences))


def _oriented(table: FactorTable, other: int, metric: str) -> np.ndarray:
    return oriented(table.differences(other), metric)


def _common(test: str, table: FactorTable, other: int) -> Result:
    return Result(
        test=test,
        comparison=f"{table.models[0]} − {table.models[other]}",
        design=DESIGN,
        unit=UNIT,
        n=len(table.values),
        check=table.note,
    )


def _bounded(effect: float, lower: float, upper: float) -> str:
    if math.isinf(upper):
        return f"{signed(effect)}, at least {signed(lower)}"
    return interval_words(effect, lower, upper)
