"""One model against each of its rivals over factors: tests, effect sizes, margins.

``adjusted`` adjusts the tests of all rivals of one model together, whichever factors each was tested on, and writes the
sentences that the adjusted p support.
"""

import math
from dataclasses import replace

import numpy as np
from scipy import stats

from tfbs_moe.numeric import varies
from tfbs_moe.statistics.hypothesis_tests.assumptions import influence, normality, ranks_are_reported
from tfbs_moe.statistics.hypothesis_tests.effects import (
    common_language,
    equivalence,
    hedges,
    hodges_lehmann,
    non_inferiority,
)
from tfbs_moe.statistics.hypothesis_tests.linear_models import MixedFit
from tfbs_moe.statistics.hypothesis_tests.ranks import mean_ranks, nemenyi, wilcoxon
from tfbs_moe.statistics.hypothesis_tests.results import (
    BETWEEN,
    Result,
    adjusted_words,
    difference_sentence,
    holm,
    interval_words,
    p_words,
    signed,
    significant,
)
from tfbs_moe.statistics.omnibus import MIXED_DESIGN
from tfbs_moe.statistics.units import DESIGN, LOWER_IS_BETTER, UNIT, FactorTable, mean_interval, oriented

PAIRED = "paired t"
WILCOXON = "Wilcoxon signed-rank"
CONTRAST = "mixed model contrast"
EQUIVALENCE = "equivalence (TOST)"
NON_INFERIORITY = "non-inferiority"
CLAIMS = {EQUIVALENCE: "equivalent to", NON_INFERIORITY: "no worse than"}
NEMENYI = "Nemenyi"
SMALLEST = 2


def pairwise_results(table: FactorTable, mixed: MixedFit | None, metric: str, level: float) -> list[Result]:
    """Compare the first model with each other one: paired t, Wilcoxon, mixed-model contrast, Nemenyi, effect sizes.

    The first three are for ``adjusted``; ``mixed`` is the fit on the same factors, if any.
    """
    others = range(1, len(table.models))
    results = paired_results(table, metric, level)
    if mixed is not None:
        results += [_contrast(table, mixed, other, level) for other in others if table.models[other] in mixed.models]
    if len(table.values) >= SMALLEST:
        results += _nemenyi(table, metric)
        results += [effect for other in others for effect in _effects(table, other, level)]
    return results


def paired_results(table: FactorTable, metric: str, level: float) -> list[Result]:
    """Compare the first column with each other one by paired t and Wilcoxon tests, for ``adjusted``."""
    others = range(1, len(table.models))
    checked = [_checked(table, other) for other in others]
    parametric = [_paired_t(table, other, level, *checked[other - 1]) for other in others]
    return [*parametric, *(_wilcoxon(table, other, metric, level, *checked[other - 1]) for other in others)]


def margin_results(table: FactorTable, metric: str, level: float, margin: float) -> list[Result]:
    """Test whether the first model is equivalent and whether it is not inferior to each other one, for ``adjusted``.

    Effects are first − other, as in every comparison; where a lower metric is better, not inferior means at most
    ``margin`` higher.
    """
    results = []
    tests = ((EQUIVALENCE, equivalence, 2 * level - 1), (NON_INFERIORITY, non_inferiority, level))
    for test, function, covered in tests:
        for other in range(1, len(table.models)):
            differences = oriented(table.differences(other), metric)
            if not varies(differences):
                continue
            found = function(differences, margin, 1 - level)
            turned = metric in LOWER_IS_BETTER
            sign = -1 if turned else 1
            bounds = (-found.upper, -found.lower) if turned else (found.lower, found.upper)
            results.append(
                _common(test, table, other).completed(
                    ("t", sign * found.statistic, f"{found.df}"),
                    found.p,
                    (f"mean difference (margin {margin:g})", sign * found.effect, *bounds),
                    check="; ".join(filter(None, [f"one-sided, interval of level {covered:g}", table.note])),
                )
            )
    return results


def adjusted(results: list[Result], metric: str, level: float) -> list[Result]:
    """Adjust tests for multiple comparisons (Holm 1979), and write their sentences.

    Paired t, Wilcoxon, mixed-model, equivalence and non-inferiority tests are a family each; an undefined p is
    excluded.
    """
    found = list(results)
    for test in (PAIRED, WILCOXON, CONTRAST, *CLAIMS):
        family = [index for index, result in enumerate(found) if result.test == test]
        values = holm([found[index].p for index in family])
        words = f"Holm over {np.isfinite(values).sum()}"
        for index, value in zip(family, values, strict=True):
            one = replace(found[index], p_adjusted=float(value), adjustment="none" if math.isnan(value) else words)
            found[index] = replace(one, sentence=_sentence(one, metric, level))
    return found


def _sentence(result: Result, metric: str, level: float) -> str:
    first, second = result.comparison.split(BETWEEN)
    words = adjusted_words(result.p_adjusted, result.adjustment)
    bounds = (result.effect, result.effect_lower, result.effect_upper)
    if result.test == WILCOXON:
        # The sentence lacks only its p.
        return f"{result.sentence[:-1]} ({words})." if words else result.sentence
    if result.test in CLAIMS:
        verb = "is" if significant(result.p_adjusted, level) else "is not shown to be"
        margin = result.effect_name[result.effect_name.index("margin") :].rstrip(")").replace("margin", "margin of")
        claim = f"{first} {verb} {CLAIMS[result.test]} {second} in {metric} within a {margin}"
        return f"{claim}: {_bounded(*bounds)}, {words}."
    return difference_sentence(first, second, metric, *bounds, result.p_adjusted, result.adjustment, level)


def _paired_t(table: FactorTable, other: int, level: float, check: str, by_ranks: bool) -> Result:
    differences = table.differences(other)
    common = replace(_common(PAIRED, table, other), effect_name="mean difference", check=check, headline=not by_ranks)
    if len(differences) < SMALLEST:
        return replace(common, effect=float(differences.mean()) if len(differences) else math.nan)
    mean, lower, upper = mean_interval(differences, level)
    df = len(differences) - 1
    # Identical differences leave no error to hold their mean against.
    statistic = mean / float(stats.sem(differences)) if varies(differences) else math.nan
    p = float(2 * stats.t.sf(abs(statistic), df))
    return common.completed(("t", statistic, f"{df}"), p, (common.effect_name, mean, lower, upper))


def _wilcoxon(table: FactorTable, other: int, metric: str, level: float, check: str, by_ranks: bool) -> Result:
    differences = table.differences(other)
    first, second = table.models[0], table.models[other]
    common = replace(_common(WILCOXON, table, other), check=check, headline=by_ranks)
    if not (differences != 0).any():
        return replace(common, sentence=f"{first} and {second} are equal on every factor.")
    # Pratt's method keeps tied factors in the ranking.
    statistic, p = wilcoxon(differences, "pratt")
    effect, lower, upper = hodges_lehmann(differences, level)
    higher = int((differences > 0).sum())
    share = f"{first} has the higher {metric} on {higher} of {len(differences)} factors against {second}"
    if math.isnan(lower):
        ending = "; with so few factors ranks allow no interval."
    else:
        zero = "includes" if lower <= 0 <= upper else "excludes"
        ending = f"; typical difference {interval_words(effect, lower, upper)}, which {zero} zero."
    named = ("Hodges–Lehmann difference", effect, lower, upper)
    return common.completed(("W", statistic), p, named, sentence=share + ending)


def _contrast(table: FactorTable, fit: MixedFit, other: int, level: float) -> Result:
    effect = float(fit.differences[fit.models.index(table.models[other]) - 1])
    error = fit.error if fit.error > 0 else math.nan
    half = float(stats.t.ppf((1 + level) / 2, fit.df_error)) * error
    statistic = effect / error
    return _common(CONTRAST, table, other).completed(
        ("t", statistic, f"{fit.df_error:.3g}"),
        float(2 * stats.t.sf(abs(statistic), fit.df_error)),
        ("mean difference", effect, effect - half, effect + half),
        design=MIXED_DESIGN,
    )


def _nemenyi(table: FactorTable, metric: str) -> list[Result]:
    values = oriented(table.values, metric)
    ranks, p = mean_ranks(values), nemenyi(values)
    models, results = len(table.models), []
    for other in range(1, models):
        difference, adjusted = float(ranks[0] - ranks[other]), float(p[0, other])
        q = abs(difference) / math.sqrt(models * (models + 1) / (6 * len(values))) * math.sqrt(2)
        results.append(
            _common(NEMENYI, table, other).completed(
                ("q", q, f"{models}, ∞"),
                adjusted,
                ("difference in mean rank (1 is best)", difference),
                adjustment=f"Nemenyi over all pairs of {models} models",
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
    """Return the outcome of the checks of a comparison, and whether the rank test is reported first."""
    differences = table.differences(other)
    check = normality(differences, "differences")
    moved = influence(differences, table.factors)
    words = [check.words, moved.words if moved else "", table.note]
    return "; ".join(filter(None, words)), ranks_are_reported(check, len(differences))


def _common(test: str, table: FactorTable, other: int) -> Result:
    return Result(
        test=test,
        comparison=f"{table.models[0]}{BETWEEN}{table.models[other]}",
        design=DESIGN,
        unit=UNIT,
        n=len(table.values),
        check=table.note,
    )


def _bounded(effect: float, lower: float, upper: float) -> str:
    if math.isinf(upper):
        return f"{signed(effect)}, at least {signed(lower)}"
    if math.isinf(lower):
        return f"{signed(effect)}, at most {signed(upper)}"
    return interval_words(effect, lower, upper)
