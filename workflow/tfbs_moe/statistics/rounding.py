"""Numbers that differ by rounding error alone are equal.

Means over seeds and cells of the same AUROC differ in their last digits with the order of summation; no test may take
that for variance or a difference.
"""

import numpy as np

DIGITS = 12
# Relative to a sum of squares: differences in the DIGITS-th digit.
NOISE = 10.0 ** (-2 * DIGITS)


def settled(values: np.ndarray) -> np.ndarray:
    """Return values without rounding error and without negative zeros."""
    return np.asarray(np.round(values, DIGITS) + 0.0)


def varies(values: np.ndarray) -> bool:
    """Return whether numbers differ by more than rounding error."""
    return len(values) > 1 and bool(np.ptp(values) > 10.0**-DIGITS * np.abs(values).max())
