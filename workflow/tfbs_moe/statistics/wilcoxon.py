"""Wilcoxon's signed-rank test with an exact p that is fast for tied and zero differences."""

import numpy as np
from scipy import stats

# Up to so many differences all signs are enumerated; above, scipy has its own table or a normal approximation.
FEW = 13


def wilcoxon(differences: np.ndarray, zero_method: str = "wilcox") -> tuple[float, float]:
    """Return the statistic and two-sided p of ``scipy.stats.wilcoxon`` of differences (N,), finite and not all 0.

    scipy tries all signs one by one where differences are tied or zero, which takes seconds per test. ``zero_method``
    ``wilcox`` drops differences of 0; with ``pratt`` they have ranks, which count for no side.
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
