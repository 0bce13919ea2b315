"""Stability of attributions under changes of the sequence that should not matter."""

from collections.abc import Callable

import numpy as np

from tfbs_moe.attribution.evaluation.agreement import rank_correlation
from tfbs_moe.attribution.methods.shiftsmooth import shifted, unshifted
from tfbs_moe.errors import InputError
from tfbs_moe.runtime import rng as named_rng

Explain = Callable[[np.ndarray], np.ndarray]


def substituted(
    X: np.ndarray, count: int, *, seed: int, protected: np.ndarray | None = None, name: object = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Substitute ``count`` random positions of each one-hot sequence (N, 4, L), or as many as may change.

    Returns the sequences, still on the simplex, and the changed positions, bool (N, L). Unknown bases and ``protected``
    positions, bool (N, L), do not change; draws of different ``name`` are independent.
    """
    if count < 1:
        raise InputError(f"the number of substitutions must be at least 1; it is {count}")
    stream = named_rng(seed, "attribution substitutions", name)
    known = X.sum(axis=1) == 1
    free = known if protected is None else known & ~protected
    # The positions of the largest independent uniform draws are a uniform sample without replacement.
    order = np.argsort(-np.where(free, stream.random(free.shape), -1), axis=1, kind="stable")[:, :count]
    changed = np.zeros(free.shape, dtype=bool)
    np.put_along_axis(changed, order, True, axis=1)
    changed &= free
    step = stream.integers(1, 4, size=free.shape)
    old = X.argmax(axis=1)
    new = np.where(changed, (old + step) % 4, old)
    result = X.copy()
    sequence, position = np.nonzero(changed)
    result[sequence, :, position] = np.eye(4, dtype=X.dtype)[new[sequence, position]]
    return result, changed


def substitution_stability(
    explain: Explain,
    X: np.ndarray,
    attribution: np.ndarray,
    *,
    seed: int,
    count: int = 3,
    protected: np.ndarray | None = None,
) -> np.ndarray:
    """Return the rank correlation (N,) at unchanged positions after substitutions outside known sites."""
    changed_X, changed = substituted(X, count, seed=seed, protected=protected)
    return rank_correlation(attribution, explain(changed_X), mask=~changed[:, None, :])


def shift_stability(explain: Explain, X: np.ndarray, attribution: np.ndarray, *, shift: int = 1) -> np.ndarray:
    """Return the rank correlation (N,) after a shift, moved back, at positions that stay; mean of both directions."""
    both = []
    for step in (-shift, shift):
        back, kept = unshifted(explain(shifted(X, step, "neutral")), step)
        both.append(rank_correlation(attribution[..., kept], back[..., kept]))
    return np.mean(both, axis=0)
