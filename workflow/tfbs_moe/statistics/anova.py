"""Analysis of variance: one-way, and with repeated measures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from tfbs_moe.errors import InputError
from tfbs_moe.statistics.rounding import NOISE

# All signs of up to 12 units; beyond, as many are drawn.
MOST_SIGNS = 2**12


@dataclass(frozen=True)
class Anova:
    """An F test and what it rests on.

    Attributes:
        statistic: F; missing where nothing varies within groups, so that there is no error to hold the effect against.
        df: numerator degrees of freedom.
        df_error: denominator degrees of freedom.
        p: of the F distribution with these degrees of freedom; missing where F is.
        sum_between: sum of squares of the effect.
        sum_error: sum of squares of the error.
        epsilon: Greenhouse–Geisser ε, 1 in a one-way design.
        p_signs: of repeated measures, p over the signs of units (``sign_p``).
    """

    statistic: float
    df: float
    df_error: float
    p: float
    sum_between: float
    sum_error: float
    epsilon: float = 1.0
    p_signs: float = math.nan

    @property
    def eta_squared(self) -> float:
        """η²: effect / (effect + error); partial where units were taken out as a factor of their own."""
        total = self.sum_between + self.sum_error
        return self.sum_between / total if total > 0 else math.nan

    @property
    def omega_squared(self) -> float:
        """ω²: η² less what chance alone would give."""
        mean_error = self.sum_error / self.df_error
        total = self.sum_between + self.sum_error + mean_error
        return (self.sum_between - self.df * mean_error) / total if total > 0 else math.nan


def one_way(groups: Sequence[np.ndarray]) -> Anova:
    """One-way analysis of variance.

    Args:
        groups: at least two groups of numbers, together more numbers than groups.

    Raises:
        InputError: there are too few groups or numbers.
    """
    values = [np.asarray(group, dtype=np.float64) for group in groups]
    count = sum(map(len, values))
    if len(values) < 2 or min(map(len, values)) < 1 or count <= len(values):
        raise InputError(f"a one-way ANOVA needs two groups and replicates in them; got {[len(v) for v in values]}")
    grand = np.concatenate(values).mean()
    between = float(sum(len(v) * (v.mean() - grand) ** 2 for v in values))
    within = float(sum(((v - v.mean()) ** 2).sum() for v in values))
    return _anova(between, within, len(values) - 1, count - len(values), np.concatenate(values))


def repeated_measures(values: np.ndarray) -> Anova:
    """Analysis of variance of treatments that every unit underwent.

    Args:
        values: float (n units, k treatments), n and k at least 2.

    Returns:
        The F test of treatments against treatments × units, Greenhouse and Geisser's (1959) ε, and the p that needs
        neither sphericity nor normal numbers: between two treatments that of F, among more that of all signs.

    Raises:
        InputError: fewer than two units or treatments.
    """
    units, treatments = values.shape
    if units < 2 or treatments < 2:
        raise InputError(f"repeated measures need two units and two treatments; got {units} and {treatments}")
    centred = values - values.mean(axis=1, keepdims=True)
    effect = centred.mean(axis=0)
    between = float(units * (effect**2).sum())
    error = float(((centred - effect) ** 2).sum())
    found = _anova(between, error, treatments - 1, (units - 1) * (treatments - 1), values, sphericity(values))
    if treatments == 2 or math.isnan(found.statistic):
        return replace(found, p_signs=found.p)
    return replace(found, p_signs=_sign_p(centred))


def _sign_p(centred: np.ndarray) -> float:
    """Return how often treatments differ as much if each unit's differences had come out the other way round by chance.

    Exact for differences that scatter alike on both sides, however unequally and together (Fisher 1935, §21); F with
    Greenhouse and Geisser's degrees of freedom rejects in 0 to 3 % of studies of few units (``benchmarks/levels.py``).

    Args:
        centred: float (n units, k treatments), each unit's mean taken out.
    """

    def between(signs: np.ndarray, axis: int) -> np.ndarray:
        """Return what F rises with, as the whole sum of squares stays; ``axis`` is the last."""
        return np.asarray(((signs @ centred) ** 2).sum(axis=-1))

    test = stats.permutation_test(
        (np.ones(len(centred)),),
        between,
        permutation_type="samples",
        vectorized=True,
        n_resamples=MOST_SIGNS,
        alternative="greater",
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


def sphericity(values: np.ndarray) -> float:
    """Return Greenhouse and Geisser's ε of units × treatments: 1 under sphericity, at least 1 / (k − 1)."""
    treatments = values.shape[1]
    if treatments == 2:
        return 1.0
    covariance = np.atleast_2d(np.cov(values, rowvar=False))
    centre = np.eye(treatments) - 1 / treatments
    centred = centre @ covariance @ centre
    squared = float((centred**2).sum())
    trace = float(np.trace(centred))
    if not trace > NOISE * float((values**2).sum()):
        return 1.0
    # Rounding may carry it past its bounds.
    return min(max(trace**2 / ((treatments - 1) * squared), 1 / (treatments - 1)), 1.0)


def _anova(between: float, error: float, df: int, df_error: int, values: np.ndarray, epsilon: float = 1.0) -> Anova:
    noise = NOISE * float((values**2).sum())
    between, error = (total if total > noise else 0.0 for total in (between, error))
    statistic = (between / df) / (error / df_error) if error > 0 else math.nan
    p = float(stats.f.sf(statistic, df, df_error))
    return Anova(statistic, df, df_error, p, between, error, epsilon)
