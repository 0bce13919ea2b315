"""The rank-based metrics of all bootstrap resamples of a test set at once, compiled by numba.

The examples are passed once, from the highest score down, for all resamples together: each step is a loop over
resamples that a processor's vector instructions run, and that is why the steps are functions of few arrays.
"""

import numba
import numpy as np

# Few fractions are exact in floating point; a threshold met exactly must not be missed by a bit.
TOLERANCE = 1e-9


@numba.njit(cache=True, nogil=True, error_model="numpy")
def measure_draws(
    order: np.ndarray,
    label: np.ndarray,
    last: np.ndarray,
    weights: np.ndarray,
    specificity: float,
    fraction: float,
) -> np.ndarray:
    """Return the metrics of ``metrics.ranking_metrics``, in its order: float (5, B).

    ``order`` is int (N,), the examples from the highest score down, in which bool ``label`` and ``last`` (last of a
    tie) are sorted; ``weights`` is uint8 (N, B), in the order of the dataset. Counts that are divided are floats,
    exact up to 2^53.
    """
    rows, draws = weights.shape
    positives, negatives = np.zeros(draws, np.int32), np.zeros(draws, np.int32)
    for at in range(rows):
        _add(weights[order[at]], positives if label[at] else negatives)
    total = positives + negatives
    allowed, top = (1 - specificity) * negatives * (1 + TOLERANCE), fraction * total
    # Bound examples above the present tie and in it; unbound ones above it, and down to its end.
    bound, gained, before, unbound = np.zeros(draws), np.zeros(draws), np.zeros(draws), np.zeros(draws)
    lost, precision, sensitive, in_top = np.zeros(draws), np.zeros(draws), np.zeros(draws), np.zeros(draws)
    tied, gains, filling = False, False, True
    for at in range(rows):
        if not (tied or last[at]):
            before[:] = unbound
            tied = True
        _add(weights[order[at]], gained if label[at] else unbound)
        gains |= label[at]
        # Unbound examples alone change no metric.
        if last[at] and gains:
            start = before if tied else unbound
            if filling:
                filling = _fill_top(gained, bound, start, unbound, top, in_top)
            _add_lost_pairs(gained, start, unbound, lost)
            _add_sensitive(gained, unbound, allowed, sensitive)
            _pass(gained, bound, unbound, precision)
            gains = False
        tied &= not last[at]
    found = np.full((5, draws), np.nan)
    for draw in range(draws):
        if total[draw]:
            found[2, draw] = positives[draw] / total[draw]
        if positives[draw]:
            found[1, draw] = precision[draw] / positives[draw]
            found[4, draw] = in_top[draw] / top[draw] * total[draw] / positives[draw]
            if negatives[draw]:
                twice_pairs = 2 * positives[draw] * negatives[draw]
                found[0, draw] = (twice_pairs - lost[draw]) / twice_pairs
                found[3, draw] = sensitive[draw] / positives[draw]
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add(more: np.ndarray, to: np.ndarray) -> None:
    for draw in range(len(to)):
        to[draw] += more[draw]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_lost_pairs(gained: np.ndarray, before: np.ndarray, unbound: np.ndarray, lost: np.ndarray) -> None:
    """Count, twice, the pairs in which the unbound example ranks higher; ties are half lost."""
    for draw in range(len(lost)):
        lost[draw] += gained[draw] * (before[draw] + unbound[draw])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pass(gained: np.ndarray, bound: np.ndarray, unbound: np.ndarray, precision: np.ndarray) -> None:
    """Count the bound examples of a tie among those above, and add the precision at each."""
    for draw in range(len(precision)):
        bound[draw] += gained[draw]
        precision[draw] += gained[draw] * bound[draw] / max(bound[draw] + unbound[draw], 1.0)
        gained[draw] = 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_sensitive(gained: np.ndarray, unbound: np.ndarray, allowed: np.ndarray, sensitive: np.ndarray) -> None:
    for draw in range(len(sensitive)):
        sensitive[draw] += gained[draw] * np.float64(unbound[draw] <= allowed[draw])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill_top(
    gained: np.ndarray, bound: np.ndarray, before: np.ndarray, unbound: np.ndarray, top: np.ndarray, in_top: np.ndarray
) -> bool:
    """Add the bound examples of a tie that are within ``top``, in proportion at its end; False once all are full."""
    filling = False
    for draw in range(len(top)):
        nearly_top = top[draw] * (1 - TOLERANCE)
        above, through = bound[draw] + before[draw], bound[draw] + gained[draw] + unbound[draw]
        if through < nearly_top:
            in_top[draw] += gained[draw]
            filling = True
        elif above < nearly_top:
            in_top[draw] += gained[draw] * (top[draw] - above) / (through - above)
    return filling
