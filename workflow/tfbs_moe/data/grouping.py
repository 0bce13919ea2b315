"""Rows that belong together and must not be parted by a split or a fold."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tfbs_moe.data.dataset import UNPAIRED
from tfbs_moe.data.overlap import sequence_ids


def row_groups(codes: np.ndarray, pair: np.ndarray) -> np.ndarray:
    """Number rows so that a positive, its negatives and every repeat of any of them have one number.

    Args:
        codes: uint8 (N, L), 0 to 4; a repeat is the same sequence on either strand.
        pair: int32 (N,), as ``Dataset.pair``.

    Returns:
        int (N,), from 0 without gaps.
    """
    rows = np.arange(len(codes))
    sequence = sequence_ids(codes)
    partner = np.where(pair == UNPAIRED, rows, pair)
    # A graph of rows and sequences: a row hangs on its sequence and on the row it is paired with.
    size = 2 * len(codes)
    start, stop = np.concatenate([rows, rows]), np.concatenate([sequence + len(codes), partner])
    graph = coo_array((np.ones(len(start), dtype=np.int8), (start, stop)), shape=(size, size))
    _, number = connected_components(graph, directed=False)
    return np.asarray(np.unique(number[: len(codes)], return_inverse=True)[1])


def draw_groups(groups: np.ndarray, fraction: float, draw: np.random.Generator) -> np.ndarray:
    """Return bool (N,): whole groups, in random order, until ``fraction`` of the rows is reached."""
    _, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = draw.permutation(len(sizes))
    before = np.cumsum(sizes[order]) - sizes[order]
    taken = np.zeros(len(sizes), dtype=bool)
    taken[order[before < round(fraction * len(groups))]] = True
    return np.asarray(taken[number])
