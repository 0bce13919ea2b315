"""Equivalence and non-inferiority against a margin that was set beforehand."""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit


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
    mean, error, df = _mean(differences)
    above, below = (mean + margin) / error, (mean - margin) / error
    statistic, p = max((above, _above(above, df)), (below, _above(-below, df)), key=lambda test: test[1])
    half = float(stdtrit(df, 1 - alpha) * error)
    return Margin(float(statistic), df, p, mean, mean - half, mean + half)


def non_inferiority(differences: np.ndarray, margin: float, alpha: float) -> Margin:
    """One-sided t test that the mean lies above −margin; the interval has no upper end."""
    mean, error, df = _mean(differences)
    statistic = float((mean + margin) / error)
    return Margin(statistic, df, _above(statistic, df), mean, float(mean - stdtrit(df, 1 - alpha) * error), np.inf)


def _mean(differences: np.ndarray) -> tuple[float, np.float64, int]:
    """Return the mean, its standard error and its degrees of freedom."""
    count = len(differences)
    return float(differences.mean()), np.sqrt(differences.var(ddof=1) / count), count - 1


def _above(statistic: float, df: int) -> float:
    """Return how probable a higher t is."""
    return float(stdtr(df, -statistic))
