"""Wilcoxon's signed-rank test, whose exact p-value takes no time where differences are tied or zero."""

import numpy as np
from scipy import stats

# So many differences have few enough signs to try them all; beyond, scipy has its own table, or a normal approximation.
FEW = 13


def wilcoxon(differences: np.ndarray, zero_method: str = "wilcox") -> tuple[float, float]:
    """Return the statistic and the two-sided p-value of ``scipy.stats.wilcoxon``.

    That one tries all signs of up to ``FEW`` differences one by one where some are tied or zero: seconds for each test.

    Args:
        differences: finite (N,), not all 0.
        zero_method: ``wilcox`` leaves differences of 0 out; with ``pratt`` they have ranks, which count for no side.
    """
    if len(differences) > FEW:
        test = stats.wilcoxon(differences, zero_method=zero_method)
        return float(test.statistic), float(test.pvalue)
    ranked = differences if zero_method == "pratt" else differences[differences != 0]
    rank = np.where(ranked == 0, 0.0, stats.rankdata(np.abs(ranked)))
    above = rank[ranked > 0].sum()
    sums = (np.arange(2 ** len(rank))[:, None] >> np.arange(len(rank)) & 1) @ rank
    p = 2 * min((sums <= above).mean(), (sums >= above).mean())
    return float(min(above, rank.sum() - above)), float(min(p, 1.0))
