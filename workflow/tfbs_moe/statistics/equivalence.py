"""Tests of equivalence and non-inferiority against a margin that was set beforehand."""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit


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
    """Return P(T > ``statistic``)."""
    return float(stdtr(df, -statistic))
