"""Rank tests of several models over factors, as Demšar (2006), J. Mach. Learn. Res. 7:1, sets them out."""

import math
from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np
import pandas as pd
from scipy import stats

# Beyond these, orders are not counted: a tenth of a second.
_MOST_MODELS, _MOST_ORDERS = 7, 300_000


@dataclass(frozen=True)
class Friedman:
    """Friedman's test of k models over n factors.

    Attributes:
        chi_squared: Friedman's statistic, corrected for ties, with k − 1 degrees of freedom.
        p_chi_squared: its p.
        statistic: Iman and Davenport's F of it, which holds its level better.
        df: k − 1.
        df_error: (k − 1)(n − 1).
        p: exact, over all ways in which the factors could have ranked the models, where these can be counted; else of
            F, but never below what full agreement has, which no order can go below.
        exact: whether it is.
        concordance: Kendall's W, 0 to 1: how alike the factors rank the models. It has no interval: draws of factors
            with replacement agree more than factors do, and next to 0 no interval from them holds its level.
    """

    chi_squared: float
    p_chi_squared: float
    statistic: float
    df: int
    df_error: int
    p: float
    concordance: float
    exact: bool = False


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Return each model's mean rank over factors, (k,): 1 is best, where higher values are better."""
    return np.asarray(stats.rankdata(-values, axis=1).mean(axis=0))


def friedman(values: np.ndarray) -> Friedman:
    """Test whether models rank differently.

    Args:
        values: float (n factors, k models), n at least 2 and k at least 2.
    """
    count, models = values.shape
    ranks = stats.rankdata(values, axis=1)
    spread = float(((ranks - (models + 1) / 2) ** 2).sum())
    df, df_error = models - 1, (models - 1) * (count - 1)
    if spread == 0:
        return Friedman(math.nan, math.nan, math.nan, df, df_error, math.nan, math.nan)
    exact = _exact_p(ranks)
    between = float(count * ((ranks.mean(axis=0) - (models + 1) / 2) ** 2).sum())
    chi_squared = df * count * between / spread
    concordance = between / spread
    # All factors agree: F grows without bound.
    agree = bool((ranks == ranks[0]).all())
    statistic = math.inf if agree else (count - 1) * concordance / (1 - concordance)
    p_chi_squared, p = float(stats.chi2.sf(chi_squared, df)), float(stats.f.sf(statistic, df, df_error))
    return Friedman(
        chi_squared,
        p_chi_squared,
        statistic,
        df,
        df_error,
        max(p, _least_p(ranks)) if exact is None else exact,
        min(concordance, 1.0),
        exact is not None,
    )


def _exact_p(ranks: np.ndarray) -> float | None:
    """Return how probable rank sums that spread as much are, if each factor's order is by chance; None if too many.

    Args:
        ranks: float (n, k), midranks within rows.
    """
    # Whole numbers: midranks are halves.
    doubled = np.sort((2 * ranks).astype(np.int64), axis=1)
    observed = int(((2 * ranks).sum(axis=0).round().astype(np.int64) ** 2).sum())
    if (ranks == ranks[0]).all():
        return _least_p(ranks)
    if ranks.shape[1] > _MOST_MODELS:
        return None
    sums: np.ndarray = doubled[:1]
    ways: np.ndarray = np.ones(1)
    for row in doubled[1:]:
        every_order = np.unique(list(permutations(row.tolist())), axis=0)
        if len(sums) * len(every_order) > _MOST_ORDERS:
            return None
        # Which model has which sum does not matter, so sums that are permutations of one another are counted as one.
        every = np.sort((sums[:, None] + every_order[None]).reshape(-1, len(row)), axis=1)
        sums, place = np.unique(every, axis=0, return_inverse=True)
        ways = np.bincount(place.ravel(), weights=np.repeat(ways / len(every_order), len(every_order)))
    return float(ways[(sums**2).sum(axis=1) >= observed].sum().clip(0, 1))


def _least_p(ranks: np.ndarray) -> float:
    """Return how probable it is that every factor orders the models as one of them does: no p can be below."""
    whole = math.factorial(ranks.shape[1])
    ties = (np.unique(row, return_counts=True)[1].tolist() for row in ranks)
    orders = [whole // math.prod(map(math.factorial, counts)) for counts in ties]
    return max(orders) / math.prod(orders)


@cache
def critical_difference(models: int, count: int, level: float) -> float:
    """Return the difference in mean rank that Nemenyi's test asks for."""
    quantile = float(stats.studentized_range.ppf(level, models, np.inf))
    return quantile / math.sqrt(2) * math.sqrt(models * (models + 1) / (6 * count))


def nemenyi(values: np.ndarray) -> np.ndarray:
    """Return Nemenyi's p for every pair of models, (k, k), adjusted for all pairs."""
    count, models = values.shape
    ranks = mean_ranks(values)
    scale = math.sqrt(models * (models + 1) / (6 * count))
    first, second = np.triu_indices(models, 1)
    q = np.abs(ranks[first] - ranks[second]) / scale * math.sqrt(2)
    p = np.ones((models, models))
    p[first, second] = p[second, first] = stats.studentized_range.sf(q, models, np.inf)
    return p


def rank_table(values: np.ndarray, models: tuple[str, ...], level: float) -> pd.DataFrame:
    """Return what a critical-difference diagram draws, the best model first.

    Returns:
        One row per model: ``model``, ``mean_rank``, ``n`` factors, ``critical_difference``, and
        ``groups``: numbers, separated by commas, of the bars that join it to models Nemenyi's test does not
        tell it from.
    """
    ranks = mean_ranks(values)
    order = np.argsort(ranks, kind="stable")
    width = critical_difference(len(models), len(values), level)
    return pd.DataFrame(
        {
            "model": [models[index] for index in order],
            "mean_rank": ranks[order],
            "n": len(values),
            "critical_difference": width,
            "groups": _groups(ranks[order], width),
        }
    )


def _groups(ranks: np.ndarray, width: float) -> list[str]:
    """Number the widest runs of models whose ranks differ by at most ``width``; runs of one have none."""
    runs: list[range] = []
    for first in range(len(ranks)):
        last = int(np.flatnonzero(ranks <= ranks[first] + width)[-1])
        if last > first and not (runs and runs[-1].stop > last):
            runs.append(range(first, last + 1))
    return [",".join(str(number + 1) for number, run in enumerate(runs) if index in run) for index in range(len(ranks))]
