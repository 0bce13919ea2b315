"""Over factors: what calibration gains, and whether the out-of-distribution score predicts how well a mixture does."""

import math

import numpy as np
import pandas as pd
from scipy import stats

from tfbs_moe.numeric import settled, varies
from tfbs_moe.statistics.hypothesis_tests.between import FEWEST_FOR_MEANS
from tfbs_moe.statistics.units import UNIT, apart, by_factor, mean_interval
from tfbs_moe.study import IN_DISTRIBUTION, OTHER_CELL, UNSEEN

_GROUPS = ["protocol", "model", "negatives"]
CALIBRATION_COLUMNS = (
    *_GROUPS, "set", "calibrated_on", "log_loss", "log_loss_calibrated", "gain", "lower", "upper", "calibration_error",
    "calibration_error_calibrated", "n", "unit",
)  # fmt: skip
OOD_COLUMNS = (
    *_GROUPS, "ood_known", "ood_other_cell", "ood_unseen", "difference", "lower", "upper", "n_known", "n_other_cell",
    "n_unseen", "rank_correlation", "p", "n", "unit",
)  # fmt: skip
# With fewer factors a rank correlation is meaningless.
LEAST_FACTORS = 4
# Up to so many factors p is over orders, as many as eight factors have; above, it is Student's t.
MOST_ORDERED = 9
_MOST_ORDERS = math.factorial(8)


def calibration_gains(calibration: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return how much calibration lowers the log loss, over the factors of each set; columns ``CALIBRATION_COLUMNS``.

    ``calibration`` is ``evaluation/calibration.tsv``; ``gain`` is uncalibrated minus calibrated log loss, with a t
    interval over factors, seeds and cells averaged within a factor.
    """
    table = calibration.assign(gain=calibration["log_loss"] - calibration["log_loss_calibrated"])
    values = ["log_loss", "log_loss_calibrated", "gain", "calibration_error", "calibration_error_calibrated"]
    factors = by_factor(table, [*_GROUPS, "set", "calibrated_on"], values)
    records = []
    for names, group in factors.groupby([*_GROUPS, "set", "calibrated_on"], sort=False):
        mean = group[values].mean()
        _, lower, upper = mean_interval(group["gain"].to_numpy(), level)
        first = (*names, mean["log_loss"], mean["log_loss_calibrated"], mean["gain"], lower, upper)
        errors = (mean["calibration_error"], mean["calibration_error_calibrated"])
        records.append((*first, *errors, len(group), UNIT))
    return pd.DataFrame(records, columns=list(CALIBRATION_COLUMNS))


def ood_evidence(calibration: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Test whether out-of-distribution sequences are those of unseen factors, and whether mixtures do worse on them.

    One row per protocol × mixture × negatives, columns ``OOD_COLUMNS``: the mean fraction of bound sequences
    that are out of distribution, over training factors in their own cell, in another cell, and over unseen factors; the
    difference of unseen and training factors with Welch's interval (missing with fewer than ``FEWEST_FOR_MEANS``
    factors on a side); and Spearman's correlation of the mean score with AUROC over all factors, each of them once: a
    training factor in its own cell.
    """
    factors = by_factor(calibration, [*_GROUPS, "set"], ["ood_bound", "ood_p_bound", "auroc"])
    records = []
    for names, group in factors.groupby(_GROUPS, sort=False):
        known, elsewhere, unseen = (
            group.loc[group["set"] == which, "ood_bound"].to_numpy() for which in (IN_DISTRIBUTION, OTHER_CELL, UNSEEN)
        )
        difference, lower, upper = _welch(unseen, known, level)
        group, _ = apart(group, "set")
        rho, p = np.nan, np.nan
        pairs = [settled(column) for column in group[["ood_p_bound", "auroc"]].dropna().to_numpy(dtype=float).T]
        if len(pairs[0]) >= LEAST_FACTORS and all(map(varies, pairs)):
            rho, p = _spearman(*pairs)
        sets = (known, elsewhere, unseen)
        means, counts = (part.mean() if len(part) else np.nan for part in sets), map(len, sets)
        records.append((*names, *means, difference, lower, upper, *counts, rho, p, len(pairs[0]), UNIT))
    return pd.DataFrame(records, columns=list(OOD_COLUMNS))


def _spearman(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return Spearman's correlation and its p: over orders for few factors, by Student's t for more."""
    found = stats.spearmanr(first, second)
    if len(first) > MOST_ORDERED:
        return float(found.statistic), float(found.pvalue)
    ranks, other = stats.zscore(stats.rankdata(first)), stats.zscore(stats.rankdata(second))
    test = stats.permutation_test(
        (ranks,),
        lambda ordered, axis: np.abs((ordered * other).mean(axis=axis)),
        permutation_type="pairings",
        vectorized=True,
        n_resamples=_MOST_ORDERS,
        alternative="greater",
        rng=np.random.default_rng(0),
    )
    return float(found.statistic), float(test.pvalue)


def _welch(first: np.ndarray, second: np.ndarray, level: float) -> tuple[float, float, float]:
    """Return the difference of two means with Welch's interval, which is NaN where a side has too few."""
    if not len(first) or not len(second):
        return np.nan, np.nan, np.nan
    difference = float(first.mean() - second.mean())
    if min(len(first), len(second)) < FEWEST_FOR_MEANS or not (varies(first) or varies(second)):
        return difference, np.nan, np.nan
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(level)
    return difference, float(interval.low), float(interval.high)
