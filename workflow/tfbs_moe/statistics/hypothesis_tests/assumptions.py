"""Checks of what tests over factors assume, and the rule that picks the test to report first.

The rule was fixed before any result was seen:

1. Sphericity is never assumed: p of a repeated-measures F of more than two models is over sign flips of factors.
2. A comparison of two models is reported by the paired t test. Where Shapiro and Wilk's test rejects normality of the
   differences (p < .05) and there are at least six factors, the Wilcoxon test is reported instead; with fewer, ranks
   cannot reach p < .05.
3. Many models are reported by the repeated-measures ANOVA, and by Friedman's test (Iman and Davenport's F) where the
   residuals are not normal.
4. Strata hold different factors, and equal variances are not assumed: Welch's ANOVA with Games and Howell's
   comparisons; Kruskal and Wallis's test with Mann and Whitney's where the residuals are not normal, or where fewer
   than two strata have enough factors for Welch's.
5. Influence is reported and changes no choice.

The table holds every test, so that a reader may choose otherwise.

Residuals of few factors are dependent, which breaks the approximations to the checks' null distributions
(``benchmarks/levels.py``): p is simulated from normal values of the same design instead.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy import stats

from tfbs_moe.numeric import settled, varies
from tfbs_moe.statistics.hypothesis_tests.results import Result, p_words, signed
from tfbs_moe.statistics.units import DESIGN, UNIT, FactorTable

ALPHA = 0.05
FEWEST_FOR_SHAPIRO = 3
FEWEST_FOR_RANKS = 6
# A contrast with less than this fraction of the variance of all contrasts has none.
_SINGULAR = 1e-12
# Simulated tables of normal values behind the p of a check.
_DRAWN = 2_999
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Check:
    """One test of an assumption."""

    statistic: float  # NaN where it cannot be computed
    p: float
    words: str  # the outcome, for the column ``check``

    @property
    def fails(self) -> bool:
        """Whether the assumption is rejected."""
        return self.p < ALPHA


_NO_RESIDUALS = Check(math.nan, math.nan, "normality of residuals cannot be tested")
_NO_SPREAD = Check(math.nan, math.nan, "homogeneity of variances cannot be tested")


def normality(values: np.ndarray, of: str) -> Check:
    """Test independent values (n,) for normality (Shapiro and Wilk 1965)."""
    if len(values) < FEWEST_FOR_SHAPIRO or not varies(values):
        return Check(math.nan, math.nan, f"normality of {of} cannot be tested")
    test = stats.shapiro(values)
    return _normality(float(test.statistic), float(test.pvalue), of)


def normality_of_residuals(values: np.ndarray) -> Check:
    """Test the residuals of values (n units, k treatments) for normality (Shapiro and Wilk)."""
    left = residuals(values)
    if left.size < FEWEST_FOR_SHAPIRO or not varies(left.ravel()):
        return _NO_RESIDUALS
    observed, p = _against_chance(_shapiro_twoway, values)
    return _normality(-observed, p, "residuals")


def normality_within(groups: Sequence[np.ndarray]) -> Check:
    """Test the residuals of groups about their means for normality (Shapiro and Wilk)."""
    values, sizes = np.concatenate(groups), tuple(map(len, groups))
    left = settled(_centred(values, sizes))
    if left.size < FEWEST_FOR_SHAPIRO or not varies(left):
        return _NO_RESIDUALS
    observed, p = _against_chance(_shapiro_within, values, sizes)
    return _normality(-observed, p, "residuals")


def _normality(w: float, p: float, of: str) -> Check:
    verdict = "not normal" if p < ALPHA else "no sign of non-normality"
    return Check(w, p, f"{of}: {verdict} (Shapiro–Wilk W = {w:.3f}, {p_words(p)})")


def _against_chance(
    statistic: Callable[..., np.ndarray], values: np.ndarray, *sizes: tuple[int, ...]
) -> tuple[float, float]:
    """Return a statistic and its p among normal values of the same design, the observed ones included."""
    observed = float(statistic(values[None], *sizes)[0])
    drawn = _by_chance(statistic, values.shape, *sizes)
    above = len(drawn) - np.searchsorted(drawn, observed - _ROUNDING)
    return observed, float((above + 1) / (len(drawn) + 1))


@cache
def _by_chance(statistic: Callable[..., np.ndarray], shape: tuple[int, ...], *sizes: tuple[int, ...]) -> np.ndarray:
    """Return the null distribution (_DRAWN,), ascending, of a statistic that ignores location and scale."""
    return np.sort(statistic(np.random.default_rng(0).normal(size=(_DRAWN, *shape)), *sizes))


def _shapiro_twoway(values: np.ndarray) -> np.ndarray:
    return -np.asarray(stats.shapiro(_twoway(values).reshape(len(values), -1), axis=1).statistic)


def _shapiro_within(values: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    return -np.asarray(stats.shapiro(_centred(values, sizes), axis=1).statistic)


def _twoway(values: np.ndarray) -> np.ndarray:
    """Remove unit and treatment means from values (…, n, k)."""
    centred = values - values.mean(axis=-2, keepdims=True) - values.mean(axis=-1, keepdims=True)
    return np.asarray(centred + values.mean(axis=(-2, -1), keepdims=True))


def _centred(values: np.ndarray, sizes: tuple[int, ...], middle: Callable[..., np.ndarray] = np.mean) -> np.ndarray:
    """Remove each group's middle from groups that are concatenated in values (…, n)."""
    parts = np.split(values, np.cumsum(sizes)[:-1], axis=-1)
    return np.concatenate([part - middle(part, axis=-1, keepdims=True) for part in parts], axis=-1)


def ranks_are_reported(check: Check, count: int) -> bool:
    """Return whether a rank test is reported first (rules 2 to 4)."""
    return check.fails and count >= FEWEST_FOR_RANKS


def residuals(values: np.ndarray) -> np.ndarray:
    """Return the residuals of values (n units, k treatments) about unit and treatment means, (n, k)."""
    return settled(_twoway(values))


def mauchly(values: np.ndarray) -> Check:
    """Test values (n units, k treatments) for sphericity (Mauchly 1940)."""
    count, treatments = values.shape
    if treatments < 3 or count <= treatments:
        return Check(math.nan, math.nan, "sphericity cannot be tested")
    covariance = _contrasts(values)
    # The determinant of linearly dependent contrasts is rounding error.
    if np.linalg.matrix_rank(covariance, tol=_SINGULAR * np.trace(covariance), hermitian=True) < treatments - 1:
        return Check(math.nan, math.nan, "sphericity cannot be tested")
    observed, p = _against_chance(_unlike_sphere, values)
    return Check(math.exp(-observed), p, f"Mauchly's W = {math.exp(-observed):.3f}, {p_words(p)}")


def _contrasts(values: np.ndarray) -> np.ndarray:
    """Return the covariance (…, k − 1, k − 1) of orthonormal contrasts of treatments (…, n, k)."""
    treatments = values.shape[-1]
    basis = np.linalg.svd(np.eye(treatments) - 1 / treatments)[2][: treatments - 1]
    seen = (values - values.mean(axis=-2, keepdims=True)) @ basis.T
    return np.asarray(np.swapaxes(seen, -1, -2) @ seen / (values.shape[-2] - 1))


def _unlike_sphere(values: np.ndarray) -> np.ndarray:
    """Return −log of Mauchly's W."""
    covariance = _contrasts(values)
    size = covariance.shape[-1]
    mean = np.trace(covariance, axis1=-2, axis2=-1) / size
    return np.asarray(size * np.log(mean) - np.linalg.slogdet(covariance)[1])


def homogeneity(groups: Sequence[np.ndarray]) -> Check:
    """Test independent groups for equal variances (Brown and Forsythe 1974)."""
    usable = [group for group in groups if len(group) > 1]
    # Two values are always equally far from their median.
    if len(usable) < 2 or not any(_uneven(group) for group in usable):
        return _NO_SPREAD
    return _homogeneity(_unlike_spread, np.concatenate(usable), tuple(map(len, usable)))


def homogeneity_of_residuals(values: np.ndarray) -> Check:
    """Test the residuals of values (n units, k treatments) for equal variances over treatments (Brown and Forsythe)."""
    if values.shape[0] < 2 or values.shape[1] < 3 or not any(_uneven(column) for column in residuals(values).T):
        return _NO_SPREAD
    return _homogeneity(_unlike_spread_twoway, values)


def _uneven(group: np.ndarray) -> bool:
    return varies(settled(np.abs(group - np.median(group))))


def _homogeneity(statistic: Callable[..., np.ndarray], values: np.ndarray, *sizes: tuple[int, ...]) -> Check:
    observed, p = _against_chance(statistic, values, *sizes)
    return Check(observed, p, f"Brown–Forsythe F = {observed:.2f}, {p_words(p)}")


def _unlike_spread(values: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Return F of the absolute deviations of values (B, n) from the median of their group."""
    apart = np.abs(_centred(values, sizes, np.median))
    within = (_centred(apart, sizes) ** 2).sum(axis=-1)
    whole = (_centred(apart, (apart.shape[-1],)) ** 2).sum(axis=-1)
    return np.asarray((whole - within) / (len(sizes) - 1) / (within / (sum(sizes) - len(sizes))))


def _unlike_spread_twoway(values: np.ndarray) -> np.ndarray:
    columns = np.swapaxes(_twoway(values), -1, -2)
    return _unlike_spread(columns.reshape(len(values), -1), (values.shape[-2],) * values.shape[-1])


@dataclass(frozen=True)
class Influence:
    """The unit whose removal changes a mean difference most."""

    unit: str
    without: float  # mean of the others
    words: str  # for the column ``check``


def influence(differences: np.ndarray, names: tuple[str, ...]) -> Influence | None:
    """Leave each unit out in turn and return the most influential one; None with fewer than three."""
    count = len(differences)
    if count < 3:
        return None
    without = (differences.sum() - differences) / (count - 1)
    index = int(np.abs(without - differences.mean()).argmax())
    moved = f"{signed(float(differences.mean()))} to {signed(float(without[index]))}"
    words = f"most influential: {names[index]}, without which the mean goes from {moved}"
    return Influence(names[index], float(without[index]), words)


def assumption_results(table: FactorTable, metric: str) -> list[Result]:
    """Return the checks of one comparison over factors, with the mixture first in ``table``."""
    everyone = " / ".join(table.models)

    def result(test: str, comparison: str, **found: Any) -> Result:
        return Result(test, comparison, DESIGN, UNIT, len(table.values), check=table.note, **found)

    def checked(test: str, comparison: str, name: str, check: Check) -> Result:
        numbers: dict[str, Any] = {"statistic": check.statistic, "p": check.p, "p_adjusted": check.p}
        return result(test, comparison, statistic_name=name, sentence=f"{comparison}: {check.words}.", **numbers)

    found = [
        checked("Shapiro–Wilk", everyone, "W", normality_of_residuals(table.values)),
        checked("Mauchly", everyone, "W", mauchly(table.values)),
        checked("Brown–Forsythe", everyone, "F", homogeneity_of_residuals(table.values)),
    ]
    for other in range(1, len(table.models)):
        comparison, differences = f"{table.models[0]} − {table.models[other]}", table.differences(other)
        found.append(checked("Shapiro–Wilk", comparison, "W", normality(differences, "differences")))
        if moved := influence(differences, table.factors):
            sentence = f"{comparison} in {metric}: {moved.words}."
            effect: dict[str, Any] = {"effect_name": f"mean difference without {moved.unit}", "effect": moved.without}
            found.append(result("leave one factor out", comparison, sentence=sentence, **effect))
    return found
