"""Rank tests of several models over factors, after Demšar (2006), J. Mach. Learn. Res. 7:1."""

import math
from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np
import pandas as pd
from scipy import stats

from tfbs_moe.statistics.hypothesis_tests import studentized_range

# Up to so many differences other than 0 all signs are counted; above, p is scipy's, of a normal approximation.
EXACT = 50


def wilcoxon(differences: np.ndarray, zero_method: str = "wilcox") -> tuple[float, float]:
    """Return the statistic and two-sided p of ``scipy.stats.wilcoxon`` of differences (N,), finite and not all 0.

    The p is over all signs, whatever the ties. scipy tries signs one by one, which takes seconds, and from 14
    differences on approximates where some are tied or 0: .026 for .0625 where five of 14 differ, all to one side.
    ``zero_method`` ``wilcox`` drops differences of 0; with ``pratt`` they have ranks, which count for no side.
    """
    if np.count_nonzero(differences) > EXACT:
        test = stats.wilcoxon(differences, zero_method=zero_method)
        return float(test.statistic), float(test.pvalue)
    ranked = differences if zero_method == "pratt" else differences[differences != 0]
    # Doubled midranks are integers.
    rank = np.where(ranked == 0, 0, 2 * stats.rankdata(np.abs(ranked))).astype(np.int64)
    above, total = int(rank[ranked > 0].sum()), int(rank.sum())
    share = np.zeros(total + 1)
    share[0] = 1.0
    for each in rank[rank > 0]:
        share[each:] += share[:-each].copy()
        share /= 2
    p = 2 * min(share[: above + 1].sum(), share[above:].sum())
    return min(above, total - above) / 2, float(min(p, 1.0))


# Beyond these, about a tenth of a second, orders are not enumerated.
_MOST_MODELS, _MOST_ORDERS = 7, 100_000
# Up to _FEW factors F rejects too often; where orders cannot be enumerated, _DRAWN random ones are used.
_FEW, _DRAWN = 5, 20_000
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Friedman:
    """Friedman's test of k models over n factors."""

    chi_squared: float  # corrected for ties, k − 1 degrees of freedom
    p_chi_squared: float
    statistic: float  # Iman and Davenport's F, which holds its level better
    df: int  # k − 1
    df_error: int  # (k − 1)(n − 1)
    # P over all orders in which factors could rank the models if they can be enumerated, over random ones where factors
    # are few, else of F
    p: float
    # Kendall's W, 0 to 1. No interval: resamples of factors agree more than factors do, and near 0 no interval from
    # them holds its level.
    concordance: float
    exact: bool = False  # whether p is over orders, all or random ones
    drawn: int = 0  # random orders behind p; 0 where it is over all or of F


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Return each model's mean rank over factors, (k,): 1 is best, where higher values are better."""
    return np.asarray(stats.rankdata(-values, axis=1).mean(axis=0))


def friedman(values: np.ndarray) -> Friedman:
    """Test whether models rank differently, on values (n factors, k models) with n and k at least 2."""
    count, models = values.shape
    ranks = stats.rankdata(values, axis=1)
    spread = float(((ranks - (models + 1) / 2) ** 2).sum())
    df, df_error = models - 1, (models - 1) * (count - 1)
    if spread == 0:
        return Friedman(math.nan, math.nan, math.nan, df, df_error, math.nan, math.nan)
    between = float(count * ((ranks.mean(axis=0) - (models + 1) / 2) ** 2).sum())
    chi_squared = df * count * between / spread
    concordance = between / spread
    # F is unbounded where all factors agree.
    agree = bool((ranks == ranks[0]).all())
    statistic = math.inf if agree else (count - 1) * concordance / (1 - concordance)
    p_chi_squared, p = float(stats.chi2.sf(chi_squared, df)), float(stats.f.sf(statistic, df, df_error))
    chance = _by_chance(ranks)
    if agree:
        p = _least_p(ranks)
    elif chance is not None:
        p = chance.at_least((chance.sums**2).sum(axis=1), float(((2 * ranks).sum(axis=0) ** 2).sum()))
    return Friedman(
        chi_squared,
        p_chi_squared,
        statistic,
        df,
        df_error,
        max(p, _least_p(ranks)),
        min(concordance, 1.0),
        chance is not None,
        chance.drawn if chance is not None and not agree else 0,
    )


@dataclass(frozen=True, eq=False)
class _Chance:
    """Distribution of rank sums if each factor orders the models at random."""

    sums: np.ndarray  # int (S, k), twice the sums of midranks, ascending within each row
    share: np.ndarray  # (S,), probability of each row
    drawn: int = 0  # random orders behind it; 0 where all were enumerated

    def at_least(self, statistics: np.ndarray, observed: float) -> float:
        """Return the probability that statistics (S,) of the sums reach the observed one."""
        share = float(self.share[statistics >= observed - 0.5].sum())
        # The observed order counts as one more random one (Phipson and Smyth 2010).
        return min((share * self.drawn + 1) / (self.drawn + 1) if self.drawn else share, 1.0)


def _by_chance(ranks: np.ndarray) -> _Chance | None:
    """Return the null distribution of midranks (n, k) within rows; None where factors are many and orders too many."""
    # Doubled midranks are integers.
    doubled = np.sort((2 * ranks).astype(np.int64), axis=1)
    # Sorted, since the order of factors does not matter.
    return _orders(tuple(map(tuple, sorted(doubled.tolist()))))


@cache
def _orders(rows: tuple[tuple[int, ...], ...]) -> _Chance | None:
    """Enumerate all orders of every factor's midranks (doubled, ascending), or sample them where factors are few."""
    models = len(rows[0])
    sums: np.ndarray = np.array(rows[:1])
    ways: np.ndarray = np.ones(1)
    for row in rows[1:] if models <= _MOST_MODELS else ():
        every_order = np.unique(list(permutations(row)), axis=0)
        if len(sums) * len(every_order) > _MOST_ORDERS:
            break
        # Models are exchangeable, so sums that are permutations of one another count as one.
        every = np.sort((sums[:, None] + every_order[None]).reshape(-1, models), axis=1)
        sums, place = np.unique(every, axis=0, return_inverse=True)
        ways = np.bincount(place.ravel(), weights=np.repeat(ways / len(every_order), len(every_order)))
    else:
        if models <= _MOST_MODELS:
            return _Chance(sums, ways)
    if len(rows) > _FEW:
        return None
    stream = np.random.default_rng(0)
    drawn = sum(stream.permuted(np.tile(row, (_DRAWN, 1)), axis=1) for row in rows)
    return _Chance(np.sort(drawn, axis=1), np.full(_DRAWN, 1 / _DRAWN), _DRAWN)


def _least_p(ranks: np.ndarray) -> float:
    """Return the least possible p: the probability that every factor orders the models as one of them does."""
    whole = math.factorial(ranks.shape[1])
    ties = (np.unique(row, return_counts=True)[1].tolist() for row in ranks)
    orders = [whole // math.prod(map(math.factorial, counts)) for counts in ties]
    return max(orders) / math.prod(orders)


def critical_difference(ranks: np.ndarray, level: float) -> float:
    """Return the difference in mean rank that Nemenyi's test requires of ranks (n factors, k models).

    Infinite where none is improbable enough.
    """
    count, models = ranks.shape
    if _by_chance(ranks) is None:
        return studentized_range.quantile(level, models, np.inf) * math.sqrt(models * (models + 1) / (12 * count))
    # Ties halve the steps between mean ranks.
    steps = count * (1 if (ranks == np.round(ranks)).all() else 2)
    possible = np.arange(1, steps * (models - 1) + 1) / steps
    shown = possible[_nemenyi_p(possible, ranks) <= 1 - level]
    return float(shown[0]) if len(shown) else math.inf


def nemenyi(values: np.ndarray) -> np.ndarray:
    """Return Nemenyi's p for every pair of models, (k, k), adjusted for all pairs."""
    models, ranks, means = values.shape[1], stats.rankdata(-values, axis=1), mean_ranks(values)
    first, second = np.triu_indices(models, 1)
    p = np.ones((models, models))
    p[first, second] = p[second, first] = _nemenyi_p(np.abs(means[first] - means[second]), ranks)
    return p


def _nemenyi_p(differences: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return the probability that any two models' mean ranks differ as much by chance, with the ties of ``ranks``.

    Over all orders, or random ones, where factors are few (see ``Friedman``); else of the studentised range.
    """
    count, models = ranks.shape
    chance = _by_chance(ranks)
    if chance is None:
        scale = math.sqrt(models * (models + 1) / (12 * count))
        return studentized_range.sf(differences / scale, models, np.inf)
    widths = chance.sums[:, -1] - chance.sums[:, 0]
    return np.array([chance.at_least(widths, 2 * count * difference) for difference in differences])


def rank_table(values: np.ndarray, models: tuple[str, ...], level: float) -> pd.DataFrame:
    """Return what a critical-difference diagram shows, one row per model, the best first.

    ``groups`` numbers the bars, separated by commas, that join a model to those from which Nemenyi's test does not
    separate it.
    """
    ranks = mean_ranks(values)
    order = np.argsort(ranks, kind="stable")
    width = critical_difference(stats.rankdata(-values, axis=1), level)
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
    """Number the widest runs of models whose ranks differ by less than ``width``; runs of one have none."""
    runs: list[range] = []
    for first in range(len(ranks)):
        last = int(np.flatnonzero(ranks < ranks[first] + width - _ROUNDING)[-1])
        if last > first and not (runs and runs[-1].stop > last):
            runs.append(range(first, last + 1))
    return [",".join(str(number + 1) for number, run in enumerate(runs) if index in run) for index in range(len(ranks))]
