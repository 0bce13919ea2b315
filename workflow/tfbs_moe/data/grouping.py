"""Group sequences that must stay together in a split or fold."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tfbs_moe.data.dataset import UNPAIRED
from tfbs_moe.data.overlap import sequence_ids


def row_groups(codes: np.ndarray, pair: np.ndarray) -> np.ndarray:
    """Number the groups of a positive, its negatives and all their repeats on either strand: int (N,), without gaps."""
    rows = np.arange(len(codes))
    sequence = sequence_ids(codes)
    partner = np.where(pair == UNPAIRED, rows, pair)
    # A graph of rows and sequences: each row is joined to its sequence and to its pair.
    size = 2 * len(codes)
    start, stop = np.concatenate([rows, rows]), np.concatenate([sequence + len(codes), partner])
    graph = coo_array((np.ones(len(start), dtype=np.int8), (start, stop)), shape=(size, size))
    _, number = connected_components(graph, directed=False)
    return np.asarray(np.unique(number[: len(codes)], return_inverse=True)[1])


def draw_groups(groups: np.ndarray, fraction: float, draw: np.random.Generator) -> np.ndarray:
    """Return bool (N,): whole groups, drawn at random until ``fraction`` of the sequences is reached."""
    _, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = draw.permutation(len(sizes))
    before = np.cumsum(sizes[order]) - sizes[order]
    taken = np.zeros(len(sizes), dtype=bool)
    taken[order[before < round(fraction * len(groups))]] = True
    return np.asarray(taken[number])
