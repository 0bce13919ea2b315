"""Agreement between two attributions of the same sequences."""

from typing import Literal

import numpy as np
import pandas as pd

from tfbs_moe.errors import InputError

SAME = 0.999
"""Rank correlation with the gradient above which an attribution counts as the same."""


def ranks(values: np.ndarray, ties: Literal["average", "max"] = "average") -> np.ndarray:
    """Return the ranks (N, M), from 1, of each row of values (N, M)."""
    # Importing scipy.stats, whose ``rankdata`` does the same, takes a second in each of many jobs.
    return pd.DataFrame(values).rank(axis=1, method=ties).to_numpy()


def rank_correlation(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Return Spearman's correlation (N,) over each sequence's values where ``mask``; NaN if one side is constant."""
    left, right, kept = _flattened(a, b, mask)
    if kept is None:
        return _correlation(ranks(left), ranks(right))
    result = np.full(len(left), np.nan)
    counts = kept.sum(axis=1)
    for count in np.unique(counts[counts > 1]):
        rows = counts == count
        own = (side[rows][kept[rows]].reshape(-1, count) for side in (left, right))
        result[rows] = _correlation(*map(ranks, own))
    return result


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cosine (N,) between two attributions, sequence by sequence; NaN where one is zero."""
    left, right, _ = _flattened(a, b, None)
    return _cosine(left, right)


def top_overlap(a: np.ndarray, b: np.ndarray, count: int = 10) -> np.ndarray:
    """Return the fraction (N,) of the ``count`` highest positions (N, L) that two scores share, ties to the left."""
    left, right, _ = _flattened(a, b, None)
    if not 1 <= count <= left.shape[1]:
        raise InputError(f"the number of strongest positions must lie between 1 and {left.shape[1]}; it is {count}")
    chosen = np.zeros((2, *left.shape), dtype=bool)
    for picked, scores in zip(chosen, (left, right), strict=True):
        np.put_along_axis(picked, np.argsort(-scores, axis=1, kind="stable")[:, :count], True, axis=1)
    return (chosen[0] & chosen[1]).sum(axis=1) / count


def _flattened(
    a: np.ndarray, b: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    if a.shape != b.shape:
        raise InputError(f"attributions of different shapes cannot be compared: {a.shape} and {b.shape}")
    count = len(a)
    width = int(np.prod(a.shape[1:]))
    kept = None if mask is None else np.broadcast_to(mask, a.shape).reshape(count, width)
    return a.reshape(count, width).astype(np.float64), b.reshape(count, width).astype(np.float64), kept


def _correlation(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return _cosine(left - left.mean(axis=1, keepdims=True), right - right.mean(axis=1, keepdims=True))


def _cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(size > 0, np.einsum("nl,nl->n", left, right) / size, np.nan)
