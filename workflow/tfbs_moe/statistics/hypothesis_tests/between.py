"""Tests of whether groups that hold different factors, such as strata, differ."""

import math
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

from tfbs_moe.numeric import varies
from tfbs_moe.statistics.hypothesis_tests import studentized_range
from tfbs_moe.statistics.hypothesis_tests.assumptions import homogeneity, normality_within, ranks_are_reported
from tfbs_moe.statistics.hypothesis_tests.effects import eta_interval, probability_of_superiority
from tfbs_moe.statistics.hypothesis_tests.results import (
    BETWEEN,
    Result,
    difference_sentence,
    holm,
    p_words,
    significant,
)
from tfbs_moe.statistics.units import UNIT

DESIGN = "between factors: strata hold different factors, seeds and cells averaged within the factor"
SMALLEST_STRATUM = 2
# With fewer in a stratum Welch's degrees of freedom do not compensate for unequal variances: it rejects in up to 7 %.
FEWEST_FOR_MEANS = 5
# Kruskal and Wallis's p, and Mann and Whitney's of ties, is over all assignments of factors to strata if there are no
# more than _MOST_DRAWN, else over so many random ones; with more than _MOST_FACTORS factors it is that of χ².
_MOST_DRAWN, _MOST_FACTORS = 4_999, 20


def between_groups(parts: dict[str, np.ndarray], metric: str, level: float, again: str = "") -> list[Result]:
    """Test whether independent groups, float (n,) by name, differ; ``again`` says in words what was excluded before."""
    small = [name for name, values in parts.items() if len(values) < SMALLEST_STRATUM]
    usable = {name: values for name, values in parts.items() if name not in small}
    alone = f"left out, with one factor: {', '.join(small)}" if small else ""
    left_out = "; ".join(filter(None, [alone, again]))
    count = sum(map(len, usable.values()))
    common = Result(test="", comparison=" / ".join(usable), design=DESIGN, unit=UNIT, n=count, check=left_out)
    everything = np.concatenate(list(usable.values())) if usable else np.empty(0)
    if len(usable) < 2 or not varies(everything):
        sentence = "Fewer than two strata have two factors, so none can be compared."
        return [replace(common, test="Welch's ANOVA", headline=True, sentence=sentence)]
    groups = list(usable.values())
    normal, alike = normality_within(groups), homogeneity(groups)
    few = [name for name, values in usable.items() if len(values) < FEWEST_FOR_MEANS]
    many = {name: values for name, values in usable.items() if name not in few}
    by_ranks = ranks_are_reported(normal, count) or len(many) < 2
    common = replace(common, check="; ".join(filter(None, [normal.words, alike.words, left_out])))
    too_few = f"left out, with fewer than {FEWEST_FOR_MEANS} factors: {', '.join(few)}" if few else ""
    means = replace(
        common,
        comparison=" / ".join(many),
        n=sum(map(len, many.values())),
        check="; ".join(filter(None, [common.check, too_few])),
        headline=not by_ranks,
    )
    results = [*_welch(list(many.values()), means, metric, level), *_games_howell(many, means, metric, level)]
    results += _kruskal(groups, replace(common, headline=by_ranks), metric, level)
    return results + _mann_whitney(usable, replace(common, headline=by_ranks), metric, level)


def _welch(groups: list[np.ndarray], common: Result, metric: str, level: float) -> list[Result]:
    if len(groups) < 2 or not all(map(varies, groups)):
        return []
    found = anova_oneway(groups, use_var="unequal", welch_correction=True)
    statistic, p, (df, df_error) = float(found.statistic), float(found.pvalue), (float(value) for value in found.df)
    eta = df * statistic / (df * statistic + df_error)
    effect = ("eta squared", eta, *eta_interval(statistic, df, df_error, 2 * level - 1))
    words = f"{df:g}, {df_error:.3g}"
    verdict = "differs" if significant(p, level) else "is not shown to differ"
    sentence = f"The {metric} {verdict} between strata: F({words}) = {statistic:.2f}, {p_words(p)}."
    return [common.completed(("F", statistic, words), p, effect, test="Welch's ANOVA", sentence=sentence)]


def _games_howell(parts: dict[str, np.ndarray], common: Result, metric: str, level: float) -> list[Result]:
    """Compare all pairs of strata of unequal variances (Games and Howell 1976)."""
    results, count = [], len(parts)
    common = replace(common, test="Games–Howell", adjustment=f"Games–Howell over all pairs of {count} strata")
    for first, second in combinations(parts, 2):
        a, b = parts[first], parts[second]
        errors = np.array([group.var(ddof=1) / len(group) if varies(group) else 0.0 for group in (a, b)])
        if errors.sum() == 0:
            continue
        df = float(errors.sum() ** 2 / (errors**2 / [len(a) - 1, len(b) - 1]).sum())
        difference = float(a.mean() - b.mean())
        scale = math.sqrt(errors.sum() / 2)
        q = abs(difference) / scale
        half = studentized_range.quantile(level, count, df) * scale
        p = float(studentized_range.sf(q, count, df)[0])
        bounds = (difference, difference - half, difference + half)
        results.append(
            common.completed(
                ("q", q, f"{count}, {df:.3g}"),
                p,
                ("difference of means", *bounds),
                comparison=f"{first}{BETWEEN}{second}",
                n=len(a) + len(b),
                sentence=difference_sentence(first, second, metric, *bounds, p, level=level),
            )
        )
    return results


def _kruskal(groups: list[np.ndarray], common: Result, metric: str, level: float) -> list[Result]:
    found = stats.kruskal(*groups)
    h, df = float(found.statistic), len(groups) - 1
    p = _kruskal_p(groups) if common.n <= _MOST_FACTORS else float(found.pvalue)
    verdict = "differs" if significant(p, level) else "is not shown to differ"
    sentence = f"The rank of the {metric} {verdict} between strata: H({df}) = {h:.2f}, {p_words(p)}."
    # No interval: bootstrap resamples of factors vary more than factors do, most of all where strata are alike.
    effect = ("epsilon squared", h / (common.n - 1))
    return [common.completed(("H", h, f"{df}"), p, effect, test="Kruskal–Wallis", sentence=sentence)]


def _kruskal_p(groups: list[np.ndarray]) -> float:
    """Return the permutation p of H, over assignments of all factors to strata."""
    ranks = np.split(stats.rankdata(np.concatenate(groups)), np.cumsum([len(group) for group in groups])[:-1])

    def between(*drawn: np.ndarray, axis: int) -> np.ndarray:
        """Return a statistic that H increases with, since the ranks are fixed."""
        return np.asarray(sum(part.sum(axis=axis) ** 2 / part.shape[axis] for part in drawn))

    test = stats.permutation_test(
        ranks,
        between,
        vectorized=True,
        n_resamples=_MOST_DRAWN,
        alternative="greater",
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


def _mann_whitney(parts: dict[str, np.ndarray], common: Result, metric: str, level: float) -> list[Result]:
    """Compare all pairs of strata.

    P is exact where one of the two has up to eight factors; with ties it is over assignments of factors, as Kruskal and
    Wallis's, since the normal approximation is not even near it: .005 for .044 with two factors against eight.
    """
    pairs = list(combinations(parts, 2))
    common = replace(common, test="Mann–Whitney", adjustment=f"Holm over {len(pairs)}")
    tests = [_rank_sum_test(parts[first], parts[second]) for first, second in pairs]
    results = []
    for (first, second), test, adjusted_p in zip(pairs, tests, holm([test.pvalue for test in tests]), strict=True):
        a, b = parts[first], parts[second]
        higher, lower, upper = probability_of_superiority(a, b, level)
        few = min(len(a), len(b)) < FEWEST_FOR_MEANS
        probability = f"{higher:.2f}" if few else f"{higher:.2f} [{lower:.2f}, {upper:.2f}]"
        name = "common-language effect size"
        results.append(
            common.completed(
                ("U", float(test.statistic)),
                float(test.pvalue),
                (name, higher) if few else (name, higher, lower, upper),
                comparison=f"{first}{BETWEEN}{second}",
                n=len(a) + len(b),
                p_adjusted=float(adjusted_p),
                sentence=(
                    f"A factor of {first} has a higher {metric} than one of {second} with probability "
                    f"{probability} ({p_words(float(adjusted_p))})."
                ),
            )
        )
    return results


def _rank_sum_test(first: np.ndarray, second: np.ndarray) -> Any:
    both = np.concatenate([first, second])
    if len(np.unique(both)) == len(both) or len(both) > _MOST_FACTORS:
        return stats.mannwhitneyu(first, second)
    orders = stats.PermutationMethod(n_resamples=_MOST_DRAWN, rng=np.random.default_rng(0))
    return stats.mannwhitneyu(first, second, method=orders)
