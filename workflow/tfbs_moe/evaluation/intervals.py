"""Confidence intervals that hold their level for statistics that are skewed or close to a bound."""

import re

import numpy as np
from scipy.special import expit, logit, ndtri, stdtrit

from tfbs_moe.numeric import varies

EDGE = 1e-9
# Skewness below which a mean counts as symmetric.
_EVEN = 1e-6


# How the names of metrics, of models and of attributions, begin or end that are bounded by 0 and 1.
_FRACTION = re.compile(
    r"(auroc|auprc|brier|calibration_error|sensitivity_at|infidelity).*"
    r"|.*_(average_precision|auroc|peak_hit|share|overlap|same)"
)


def bounds(metric: str) -> tuple[float, float]:
    """Return the least and the largest value that an interval of a metric may end at: 0 and 1 for fractions."""
    return (0.0, 1.0) if _FRACTION.fullmatch(metric) else (-np.inf, np.inf)


def logit_interval(value: np.ndarray, error: np.ndarray, rows: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the t interval of fractions (K,) on the logit scale (Pepe 2003, §5.2), NaN at 0 and 1.

    ``error`` (K,) is the standard error; ``rows`` is the size of the smaller class, which causes most of the error.
    """
    inside = (value > 0) & (value < 1)
    share = np.where(inside, value, np.nan)
    half = stdtrit(rows - 1, (1 + level) / 2) * error / (share * (1 - share))
    return expit(logit(share) - half), expit(logit(share) + half)


def mean_interval_of_draws(drawn: np.ndarray, rows: int, level: float) -> tuple[float, float]:
    """Return the t interval of a skewed mean from its bootstrap resamples (Hall 1992, J. R. Stat. Soc. B 54:221).

    A long tail of losses makes a mean too low more often than too high; Hall's cubic corrects both ends with the
    skewness of the resampled means. ``drawn`` is float (1 + draws,), the observed mean first; ``rows``, the size of the
    smaller class, sets the degrees of freedom. NaN where the resamples do not vary.
    """
    if rows < 2 or not varies(drawn[1:]):
        return np.nan, np.nan
    value, centred = float(drawn[0]), drawn[1:] - drawn[1:].mean()
    error = float(np.sqrt((centred**2).mean()))
    skewness = float((centred**3).mean()) / error**3
    t = stdtrit(rows - 1, (1 + level) / 2) * np.array([1, -1])
    turned = t if abs(skewness) < _EVEN else 3 / skewness * (np.cbrt(1 + skewness * (t - skewness / 6)) - 1)
    lower, upper = value - error * np.sqrt(rows / (rows - 1)) * turned
    return float(lower), float(upper)


def auroc_interval(
    value: np.ndarray, error: np.ndarray, positives: int, negatives: int, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of AUROCs (K,): on the logit scale, but Newcombe's at 0 and 1, where the error is 0."""
    lower, upper = logit_interval(value, error, min(positives, negatives), level)
    for index in np.flatnonzero((value <= 0) | (value >= 1)):
        lower[index], upper[index] = newcombe_interval(float(value[index]), positives, negatives, level)
    return lower, upper


def newcombe_interval(share: float, first: int, second: int, level: float) -> tuple[float, float]:
    """Return the interval of the probability that one of ``first`` exceeds one of ``second``.

    Newcombe's (2006) method 5, Stat. Med. 25:559: a score interval, which keeps its width where the groups do not
    overlap.
    """
    # A slow import that few test sets need.
    from scipy.optimize import brentq

    z = float(ndtri((1 + level) / 2))
    half = (first + second) / 2 - 1

    def outside(value: float) -> float:
        spread = 1 + half * (1 - value) / (2 - value) + half * value / (1 + value)
        return (value - share) ** 2 - z**2 * value * (1 - value) * spread / (first * second)

    # The equation also has a root at ``share`` 0 or 1 itself, which is not an end of the interval.
    lower = float(brentq(outside, 0.0, share - EDGE)) if share > EDGE else 0.0
    upper = float(brentq(outside, share + EDGE, 1.0)) if share < 1 - EDGE else 1.0
    return lower, upper
