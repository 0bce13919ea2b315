"""Analysis of variance: one-way, and with repeated measures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from tfbs_moe.errors import InputError
from tfbs_moe.numeric import NOISE

# All sign flips of up to 12 units; of more units as many random ones.
MOST_SIGNS = 2**12


@dataclass(frozen=True)
class Anova:
    """An F test and its components."""

    statistic: float  # F; NaN without error variance
    df: float  # numerator
    df_error: float  # denominator
    p: float  # of the F distribution; NaN where F is
    sum_between: float  # sum of squares of the effect
    sum_error: float  # sum of squares of the error
    epsilon: float = 1.0  # Greenhouse–Geisser; 1 in a one-way design
    p_signs: float = math.nan  # of repeated measures: p over sign flips of units (``_sign_p``)

    @property
    def eta_squared(self) -> float:
        """η² = effect / (effect + error); partial η² under repeated measures."""
        total = self.sum_between + self.sum_error
        return self.sum_between / total if total > 0 else math.nan


def one_way(groups: Sequence[np.ndarray]) -> Anova:
    """One-way analysis of variance of two groups or more; InputError without replicates."""
    values = [np.asarray(group, dtype=np.float64) for group in groups]
    count = sum(map(len, values))
    if len(values) < 2 or min(map(len, values)) < 1 or count <= len(values):
        raise InputError(f"a one-way ANOVA needs two groups and replicates in them; got {[len(v) for v in values]}")
    grand = np.concatenate(values).mean()
    between = float(sum(len(v) * (v.mean() - grand) ** 2 for v in values))
    within = float(sum(((v - v.mean()) ** 2).sum() for v in values))
    return _anova(between, within, len(values) - 1, count - len(values), np.concatenate(values))


def repeated_measures(values: np.ndarray) -> Anova:
    """Repeated-measures ANOVA of values (n units, k treatments); InputError where n or k is below 2.

    ε is Greenhouse and Geisser's (1959). ``p_signs`` needs neither sphericity nor normality: with two treatments it is
    that of F, with more that of sign flips.
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
    """Return p over sign flips of whole units of centred values (n units, k treatments), each unit's mean removed.

    Exact for differences with symmetric distributions, whatever their variances and correlations (Fisher 1935, §21); F
    with Greenhouse and Geisser's degrees of freedom rejects in 0 to 3 % of studies of few units
    (``benchmarks/levels.py``).
    """

    def between(signs: np.ndarray, axis: int) -> np.ndarray:
        """Return a statistic that F increases with, since the total sum of squares is fixed; ``axis`` is the last."""
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
    """Return Greenhouse and Geisser's ε of values (units, treatments): 1 under sphericity, at least 1 / (k − 1)."""
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
    # Rounding may exceed the bounds.
    return min(max(trace**2 / ((treatments - 1) * squared), 1 / (treatments - 1)), 1.0)


def _anova(between: float, error: float, df: int, df_error: int, values: np.ndarray, epsilon: float = 1.0) -> Anova:
    noise = NOISE * float((values**2).sum())
    between, error = (total if total > noise else 0.0 for total in (between, error))
    statistic = (between / df) / (error / df_error) if error > 0 else math.nan
    p = float(stats.f.sf(statistic, df, df_error))
    return Anova(statistic, df, df_error, p, between, error, epsilon)
