"""Intervals of statistics that cannot be below 0 or above 1, where a value ± its error would cross the bound."""

import numpy as np
from scipy.special import expit, logit, ndtri

EDGE = 1e-9


def logit_interval(value: np.ndarray, error: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the normal interval of shares on the logit scale (Pepe 2003, §5.2); missing at 0 and at 1.

    Args:
        value: float (K,), 0 to 1.
        error: float (K,), standard errors.
        level: of the interval.
    """
    inside = (value > 0) & (value < 1)
    share = np.where(inside, value, np.nan)
    half = ndtri((1 + level) / 2) * error / (share * (1 - share))
    return expit(logit(share) - half), expit(logit(share) + half)


def log_interval(value: np.ndarray, error: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the normal interval of positive numbers on the log scale; missing at 0. Arguments as above."""
    positive = np.where(value > 0, value, np.nan)
    factor = np.exp(ndtri((1 + level) / 2) * error / positive)
    return positive / factor, positive * factor


def auroc_interval(
    value: np.ndarray, error: np.ndarray, positives: int, negatives: int, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of AUROCs (K,): on the logit scale, and at 0 and 1, where no error is seen, Newcombe's."""
    lower, upper = logit_interval(value, error, level)
    for index in np.flatnonzero((value <= 0) | (value >= 1)):
        lower[index], upper[index] = newcombe_interval(float(value[index]), positives, negatives, level)
    return lower, upper


def newcombe_interval(share: float, first: int, second: int, level: float) -> tuple[float, float]:
    """Return the interval of how probable one of ``first`` is to be above one of ``second``.

    Newcombe's (2006) method 5, Stat. Med. 25:559: a score interval, which keeps its width where the groups do not
    overlap at all.
    """
    # It takes most of a second to import, for what few test sets need.
    from scipy.optimize import brentq

    z = float(ndtri((1 + level) / 2))
    half = (first + second) / 2 - 1

    def outside(value: float) -> float:
        spread = 1 + half * (1 - value) / (2 - value) + half * value / (1 + value)
        return (value - share) ** 2 - z**2 * value * (1 - value) * spread / (first * second)

    # At 0 and at 1 the equation has a root of its own, which is no end of the interval.
    lower = float(brentq(outside, 0.0, share - EDGE)) if share > EDGE else 0.0
    upper = float(brentq(outside, share + EDGE, 1.0)) if share < 1 - EDGE else 1.0
    return lower, upper
