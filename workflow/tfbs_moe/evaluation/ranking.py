"""Rank-based metrics compiled by numba, in one pass down the scores for each bootstrap resample."""

import numba
import numpy as np

# Few fractions are exact in floating point; a threshold met exactly must not be missed by a bit.
TOLERANCE = 1e-9


@numba.njit(cache=True, nogil=True)
def measure_draws(
    order: np.ndarray,
    positive: np.ndarray,
    last: np.ndarray,
    weights: np.ndarray,
    specificity: float,
    fraction: float,
) -> np.ndarray:
    """Return the metrics of ``metrics.ranking_metrics``, in its order: float (5, B).

    ``order`` is int (N,), the examples from the highest score down, in which ``positive`` and bool ``last`` (last of a
    tie) are sorted; ``weights`` is uint8 (B, N). ``positive`` is uint8 (N,), 255 for a positive: a bitwise and then
    selects the weight without a branch, which the processor would mispredict half of the time.
    """
    draws, rows = weights.shape
    found = np.full((5, draws), np.nan)
    zero = np.int64(0)
    for draw in range(draws):
        drawn = weights[draw]
        total, positives = zero, zero
        for at in range(rows):
            total += drawn[order[at]]
            positives += drawn[order[at]] & positive[at]
        if total == 0:
            continue
        negatives = total - positives
        allowed = (1 - specificity) * negatives * (1 + TOLERANCE)
        top = fraction * total
        nearly_top = top * (1 - TOLERANCE)
        tied, tied_positive, above, true_positive = zero, zero, zero, zero
        twice_pairs, sensitive = zero, zero
        precision, in_top = 0.0, 0.0
        for at in range(rows):
            tied += drawn[order[at]]
            tied_positive += drawn[order[at]] & positive[at]
            if not last[at]:
                continue
            twice_pairs += (tied - tied_positive) * (2 * true_positive + tied_positive)
            if above < nearly_top and nearly_top <= above + tied:
                in_top = true_positive + tied_positive * (top - above) / tied
            true_positive += tied_positive
            above += tied
            precision += tied_positive * true_positive / max(above, 1)
            if above - true_positive <= allowed:
                sensitive = true_positive
            tied, tied_positive = zero, zero
        found[2, draw] = positives / total
        if positives:
            found[1, draw] = precision / positives
            found[4, draw] = in_top / top * total / positives
            if negatives:
                found[0, draw] = twice_pairs / (2 * positives * negatives)
                found[3, draw] = sensitive / positives
    return found
