"""Equivalence and non-inferiority against a margin that was set beforehand."""

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Margin:
    """A test of a mean difference against a margin.

    Attributes:
        statistic: t; of the two one-sided tests, the one with the larger p.
        df: n − 1.
        p: one-sided.
        effect: mean difference.
        lower: end of the interval that decides: both ends for equivalence, the lower for non-inferiority.
        upper: its other end.
    """

    statistic: float
    df: int
    p: float
    effect: float
    lower: float
    upper: float


def equivalence(differences: np.ndarray, margin: float, alpha: float) -> Margin:
    """Two one-sided t tests that the mean lies within ±margin (Schuirmann 1987); the interval has level 1 − 2α."""
    above = stats.ttest_1samp(differences, -margin, alternative="greater")
    below = stats.ttest_1samp(differences, margin, alternative="less")
    decisive = above if above.pvalue >= below.pvalue else below
    lower, upper = _interval(differences, 1 - 2 * alpha)
    return Margin(
        float(decisive.statistic), len(differences) - 1, float(decisive.pvalue), float(differences.mean()), lower, upper
    )


def non_inferiority(differences: np.ndarray, margin: float, alpha: float) -> Margin:
    """One-sided t test that the mean lies above −margin; the interval has no upper end."""
    test = stats.ttest_1samp(differences, -margin, alternative="greater")
    lower, _ = _interval(differences, 1 - 2 * alpha)
    return Margin(
        float(test.statistic), len(differences) - 1, float(test.pvalue), float(differences.mean()), lower, np.inf
    )


def _interval(differences: np.ndarray, level: float) -> tuple[float, float]:
    interval = stats.ttest_1samp(differences, 0).confidence_interval(level)
    return float(interval.low), float(interval.high)
