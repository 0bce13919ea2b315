"""AUROC without scikit-learn, whose import takes seconds in each of many jobs, and comparisons up to rounding error.

Means over seeds and cells of the same AUROC differ in their last digits with the order of summation; no test may take
that for variance or a difference.
"""

import numpy as np


def auroc(label: np.ndarray, score: np.ndarray) -> float:
    """Return the AUROC as the Mann-Whitney statistic, ties counting half (1947, Ann. Math. Stat. 18:50).

    ``label`` (N,) is 1 for bound and holds both classes; ``score`` (N,) is finite.
    """
    bound = np.asarray(label).astype(bool)
    ranked, unbound = score[bound], np.sort(score[~bound])
    below, not_above = (np.searchsorted(unbound, ranked, side).sum() for side in ("left", "right"))
    return float((below + not_above) / (2 * len(ranked) * len(unbound)))


DIGITS = 12
# Relative to a sum of squares: differences in the DIGITS-th digit.
NOISE = 10.0 ** (-2 * DIGITS)


def settled(values: np.ndarray) -> np.ndarray:
    """Return values without rounding error and without negative zeros."""
    return np.asarray(np.round(values, DIGITS) + 0.0)


def varies(values: np.ndarray) -> bool:
    """Return whether numbers differ by more than rounding error."""
    return len(values) > 1 and bool(np.ptp(values) > 10.0**-DIGITS * np.abs(values).max())
