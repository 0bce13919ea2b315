"""Bootstrap resamples of a test set, and intervals that hold their level where a statistic is skewed or near a bound.

All models of a dataset share the resamples, so that they are compared resample by resample.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtri, stdtrit

from tfbs_moe.evaluation.scores import UNPAIRED
from tfbs_moe.numeric import varies

PAIRS = "pairs"
ROWS = "rows within class"
BOTH = "pairs, and unpaired rows within class"

# Resamples × examples per call of the random generator; with another number, results change.
BLOCK = 262_144
# Fewest resamples that are measured at once, for loops over them that are worth a processor's vector instructions.
TOGETHER = 64


@dataclass(frozen=True, eq=False)
class Units:
    """Units to resample with replacement, each of one or more examples, within strata."""

    unit: np.ndarray  # int (N,), the unit of each example, numbered stratum by stratum
    sizes: tuple[int, ...]  # units per stratum
    resampled: str  # what a unit is, in words


def resampling_units(label: np.ndarray, pair: np.ndarray) -> Units:
    """Group examples ``label`` (N,), bool, into the units of a bootstrap by ``pair`` (N,), int; -1 has no partner.

    Shuffled negatives depend on their positives, so a pair is resampled as one, among pairs with as many negatives; the
    others are resampled within class. Every resample has the classes' sizes.
    """
    # A separate number for each unpaired example.
    key = np.where(pair == UNPAIRED, -2 - np.arange(len(pair)), pair)
    _, group, members = np.unique(key, return_inverse=True, return_counts=True)
    paired = members[group] > 1
    # Pairs first, then rows without a partner: bound, unbound.
    traits = np.stack([~paired, ~(paired | label), members[group], np.bincount(group, label)[group]], axis=1)
    _, stratum = np.unique(traits, axis=0, return_inverse=True)
    unit = np.empty(len(pair), dtype=np.int64)
    sizes: list[int] = []
    for value in range(stratum.max(initial=-1) + 1):
        rows = stratum == value
        names, numbers = np.unique(group[rows], return_inverse=True)
        unit[rows] = numbers + sum(sizes)
        sizes.append(len(names))
    resampled = ROWS if not paired.any() else PAIRS if paired.all() else BOTH
    return Units(unit, tuple(sizes), resampled)


def draw_counts(units: Units, draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield how often each of the N examples is drawn, uint8 (B, N), for ``draws`` resamples in all.

    A count above 255 has a probability below 10⁻⁵⁰⁰. In memory, the resamples of one example lie side by side.
    """
    rows = max(len(units.unit), 1)
    done, blocks = 0, []
    while done < draws:
        block = min(max(BLOCK // rows, 1), draws - done)
        blocks.append(np.concatenate([_multinomial(size, block, rng) for size in units.sizes], axis=1))
        done += block
        if done == draws or sum(map(len, blocks)) >= TOGETHER:
            by_unit = np.ascontiguousarray(np.concatenate(blocks).T)
            yield by_unit[units.unit].T
            blocks = []


def percentile_interval(values: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval over the last axis; NaN where a resample has no value."""
    tail = (1 - level) / 2
    lower, upper = np.quantile(values, [tail, 1 - tail], axis=-1)
    return lower, upper


def _multinomial(size: int, block: int, rng: np.random.Generator) -> np.ndarray:
    """Count ``size`` draws with replacement from ``size`` units, ``block`` times: uint8 (block, size)."""
    if not size:
        return np.zeros((block, 0), dtype=np.uint8)
    drawn = rng.integers(0, size, (block, size), dtype=np.int64)
    drawn += np.arange(block)[:, None] * size
    return np.bincount(drawn.ravel(), minlength=block * size).reshape(block, size).astype(np.uint8)


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
    """Return the t interval of a skewed mean (``_hall``) from its bootstrap resamples.

    ``drawn`` is float (1 + draws,), the observed mean first; ``rows``, the size of the smaller class, sets the degrees
    of freedom. NaN where the resamples do not vary.
    """
    if rows < 2 or not varies(drawn[1:]):
        return np.nan, np.nan
    centred = drawn[1:] - drawn[1:].mean()
    return _hall(float(drawn[0]), float((centred**2).mean()), float((centred**3).mean()), rows, level)


def mean_interval_of_values(values: np.ndarray, level: float) -> tuple[float, float]:
    """Return the t interval of the mean (``_hall``) of independent values (N,); NaN where they do not vary.

    It is that of ``mean_interval_of_draws`` with resamples without number.
    """
    if not varies(values):
        return np.nan, np.nan
    count, mean = len(values), float(values.mean())
    centred = values - mean
    return _hall(mean, float((centred**2).mean()) / count, float((centred**3).mean()) / count**2, count, level)


def _hall(value: float, variance: float, third: float, rows: int, level: float) -> tuple[float, float]:
    """Return the t interval of a mean from its second and third moments (Hall 1992, J. R. Stat. Soc. B 54:221).

    A long tail of losses makes a mean too low more often than too high; the cubic corrects both ends with its skewness.
    """
    error = float(np.sqrt(variance))
    skewness = third / error**3
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
