"""Effect sizes and their intervals."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special, stats
from statsmodels.stats.proportion import proportion_confint

from tfbs_moe.evaluation.intervals import newcombe_interval
from tfbs_moe.numeric import varies


@dataclass(frozen=True)
class Margin:
    """A t test of a mean difference against a margin."""

    statistic: float  # t; of two one-sided tests, that of the larger p
    df: int
    p: float  # one-sided
    effect: float  # mean difference
    lower: float  # of the interval that decides, by both ends (equivalence) or the lower (non-inferiority)
    upper: float


def equivalence(differences: np.ndarray, margin: float, alpha: float) -> Margin:
    """Two one-sided t tests that the mean lies within ±margin (Schuirmann 1987); the interval has level 1 − 2α."""
    above = stats.ttest_1samp(differences, -margin, alternative="greater")
    below = stats.ttest_1samp(differences, margin, alternative="less")
    found = max(above, below, key=lambda test: test.pvalue)
    bounds = (above.confidence_interval(1 - alpha).low, below.confidence_interval(1 - alpha).high)
    return _margin(found, differences, *bounds)


def non_inferiority(differences: np.ndarray, margin: float, alpha: float) -> Margin:
    """One-sided t test that the mean lies above −margin; the interval has no upper end."""
    found = stats.ttest_1samp(differences, -margin, alternative="greater")
    return _margin(found, differences, *found.confidence_interval(1 - alpha))


def _margin(test: Any, differences: np.ndarray, lower: float, upper: float) -> Margin:
    statistic, p, mean = float(test.statistic), float(test.pvalue), float(differences.mean())
    return Margin(statistic, int(test.df), p, mean, float(lower), float(upper))


# Above this many units the signed-rank sum is normal to four digits.
EXACT_RANKS = 50
# Above this t or F the noncentral distribution is that of its denominator, to the digits shown; well above it floating
# point cannot hold the noncentral functions.
LARGE = 1e4


def eta_interval(statistic: float, df: float, df_error: float, level: float) -> tuple[float, float]:
    """Return the interval of (partial) η² from an F statistic, by the noncentral F distribution (Steiger 2004).

    It is of the population's η². That of a sample is biased upwards, the more the more groups there are, and may
    lie above it.
    """
    if not math.isfinite(statistic):
        return math.nan, math.nan
    statistic = max(statistic, 0.0)

    def distance(value: float, probability: float) -> float:
        found = float(special.ncfdtr(df, df_error, value, statistic))
        return (found if math.isfinite(found) else float(value < statistic * df)) - probability

    def proportion(probability: float) -> float:
        if statistic > LARGE:
            # The numerator's variance is negligible beside the denominator's.
            noncentrality = statistic * df * float(stats.chi2.isf(probability, df_error)) / df_error
        else:
            noncentrality = _solve(lambda value: distance(value, probability), statistic * df)
        return noncentrality / (noncentrality + df + df_error + 1)

    return proportion((1 + level) / 2), proportion((1 - level) / 2)


def hedges(differences: np.ndarray, level: float) -> tuple[float, float, float]:
    """Return Hedges' g of paired differences (bias-corrected) and its interval; NaN where they do not vary.

    The interval is that of the population's mean over its standard deviation, by the noncentral t distribution; only g
    itself is corrected.
    """
    count = len(differences)
    if not varies(np.asarray(differences)):
        return math.nan, math.nan, math.nan
    spread, df = float(np.std(differences, ddof=1)), count - 1
    correction = (
        math.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) * math.sqrt(2 / df) if df > 1 else 1.0
    )
    root = math.sqrt(count)
    statistic = float(np.mean(differences)) / spread * root
    tail = (1 - level) / 2
    lower, upper = (_noncentrality(statistic, df, probability) for probability in (1 - tail, tail))
    return statistic / root * correction, lower / root, upper / root


def common_language(differences: np.ndarray, level: float) -> tuple[float, float, float]:
    """Return the fraction of units on which the first is higher (ties count half), with Clopper and Pearson's interval.

    With few units the coverage of any interval of a proportion departs from its level; this one never covers too
    little.
    """
    count = len(differences)
    if not count:
        return math.nan, math.nan, math.nan
    higher = float(((differences > 0) + 0.5 * (differences == 0)).sum())
    return higher / count, *proportion_confint(higher, count, 1 - level, method="beta")


def probability_of_superiority(first: np.ndarray, second: np.ndarray, level: float) -> tuple[float, float, float]:
    """Return P(a unit of one group exceeds one of another), where ties count half, with Newcombe's interval."""
    share = float((np.sign(first[:, None] - second[None, :]) + 1).mean() / 2)
    return share, *newcombe_interval(share, len(first), len(second), level)


def hodges_lehmann(differences: np.ndarray, level: float) -> tuple[float, float, float]:
    """Return the median of all pairwise means and the interval of the signed-rank test.

    Hollander, Wolfe and Chicken (2014), §3.2–3.3. The interval is NaN where no set of ranks is as improbable as 1 −
    ``level``: below six units at 95 %.
    """
    count = len(differences)
    first, second = np.triu_indices(count)
    means = np.sort((differences[first] + differences[second]) / 2)
    if not count:
        return math.nan, math.nan, math.nan
    below = _signed_rank_quantile(count, (1 - level) / 2)
    if below < 1:
        return float(np.median(means)), math.nan, math.nan
    return float(np.median(means)), float(means[below - 1]), float(means[len(means) - below])


def _signed_rank_quantile(count: int, tail: float) -> int:
    """Return the largest k with P(sum of positive ranks < k) ≤ ``tail``; 0 where there is none."""
    if count > EXACT_RANKS:
        mean, variance = count * (count + 1) / 4, count * (count + 1) * (2 * count + 1) / 24
        return math.floor(mean + stats.norm.ppf(tail) * math.sqrt(variance))
    ways = np.zeros(count * (count + 1) // 2 + 1)
    ways[0] = 1
    for rank in range(1, count + 1):
        ways[rank:] += ways[:-rank].copy()
    cumulative = np.cumsum(ways) / 2.0**count
    return int((cumulative <= tail).sum())


def _noncentrality(statistic: float, df: int, probability: float) -> float:
    """Return the noncentrality at which P(t ≤ ``statistic``) is ``probability``."""
    if statistic < 0:
        return -_noncentrality(-statistic, df, 1 - probability)
    if statistic > LARGE:
        # The numerator's variance is negligible.
        return statistic * math.sqrt(float(stats.chi2.isf(probability, df)) / df)

    def distance(value: float) -> float:
        found = float(special.nctdtr(df, value, statistic))
        # Where floating point fails, the function is all but 1 below the statistic and all but 0 above.
        return (found if math.isfinite(found) else float(value < statistic)) - probability

    width = 5.0
    while distance(statistic - width) < 0 or distance(statistic + width) > 0:
        width *= 2
    return float(optimize.brentq(distance, statistic - width, statistic + width))


def _solve(distance: Callable[[float], float], start: float) -> float:
    """Return the root of a decreasing function of a noncentrality; 0 where it starts at or below zero."""
    if distance(0.0) <= 0:
        return 0.0
    upper = max(start, 1.0)
    while distance(upper) > 0:
        upper *= 2
    return float(optimize.brentq(distance, 0.0, upper))
