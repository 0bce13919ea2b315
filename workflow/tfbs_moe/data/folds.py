"""Folds of a training split and the calibration split of a validation split: by position, the same in every dataset.

The datasets of all training factors agree on the fold of a locus, so that a network trained on several factors has not
seen a fold's loci in another factor's dataset.
"""

import hashlib

import numpy as np

from tfbs_moe.data.dataset import UNPAIRED, Dataset
from tfbs_moe.errors import InputError

BLOCK_BASES = 1_000_000  # overlapping windows share a block, but for the few across a border
SMALLEST_NUMBER = 2


def deal_folds(dataset: Dataset, folds: int) -> np.ndarray:
    """Return the fold of each sequence, int64 (N,), 0 to ``folds`` - 1, the same in every dataset; a fold may be empty.

    A sequence with a position goes by its block of a million bases, even a negative paired with a positive elsewhere.
    Of those without one, a negative made from a positive goes with it, and others go by their sequence (either strand).
    Raises InputError for fewer than 2 folds.
    """
    if folds < SMALLEST_NUMBER:
        raise InputError(f"{folds} fold(s) were requested; at least {SMALLEST_NUMBER} are needed")
    return (row_numbers(dataset, BLOCK_BASES) % folds).astype(np.int64)


def row_numbers(dataset: Dataset, block_bases: int, purpose: str = "") -> np.ndarray:
    """Return a uniform hash of each sequence, uint64 (N,), the same in every dataset, of what ``deal_folds`` goes by.

    Hashes for different values of ``purpose`` are unrelated.
    """
    alone = (dataset.pair == UNPAIRED) | (dataset.chrom != "")
    leader = np.where(alone, np.arange(len(dataset)), dataset.pair)
    rows, places = np.unique(leader, return_inverse=True)
    person = purpose.encode()
    keys = [hashlib.blake2b(_key(dataset, int(row), block_bases), digest_size=8, person=person) for row in rows]
    return np.array([int.from_bytes(key.digest(), "big") for key in keys], dtype=np.uint64)[places]


def _key(dataset: Dataset, row: int, block_bases: int) -> bytes:
    if dataset.chrom[row]:
        middle = int(dataset.start[row] + dataset.end[row]) // 2
        return f"{dataset.chrom[row]}:{middle // block_bases}".encode()
    one_hot = dataset.one_hot[row]
    return min(one_hot.tobytes(), one_hot[::-1, ::-1].tobytes())


# The authors' choice of a gate's rows: all pooled, with no calibration split.
POOLED_RANDOM = "pooled_random"
# One in so many rows is drawn.
SHARE = 4
# Overlapping windows share a block, but for the few across a border.
_BLOCK_BASES = 10_000


def in_calibration_split(dataset: Dataset) -> np.ndarray:
    """Return bool (N,): which rows of a validation set belong to the calibration split, about a quarter.

    Rows are drawn by position or by sequence (``folds.row_numbers``): overlapping rows of two experiments fall on one
    side, whatever they are paired with, and a shuffle goes with the bound row it was made from.
    """
    return _are_drawn(dataset, "calibration")


def selects_epoch(dataset: Dataset) -> np.ndarray:
    """Return bool (N,), drawn like ``in_calibration_split``: the rows that choose the epoch of a gate."""
    return _are_drawn(dataset, "choosing")


def _are_drawn(dataset: Dataset, purpose: str) -> np.ndarray:
    return row_numbers(dataset, _BLOCK_BASES, purpose) % SHARE == 0
