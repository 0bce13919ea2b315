"""Numbers that differ by rounding alone are equal.

Means over seeds and cells of one and the same AUROC differ in their last digits with the order of the sums; no test may
take that for a spread or a difference.
"""

import numpy as np

DIGITS = 12
# Of a sum of squares: what differences of a DIGITS-th digit amount to.
NOISE = 10.0 ** (-2 * DIGITS)


def settled(values: np.ndarray) -> np.ndarray:
    """Return values without the digits that rounding makes, and zero without its sign."""
    return np.asarray(np.round(values, DIGITS) + 0.0)


def varies(values: np.ndarray) -> bool:
    """Say whether numbers differ by more than rounding."""
    return len(values) > 1 and bool(np.ptp(values) > 10.0**-DIGITS * np.abs(values).max())
