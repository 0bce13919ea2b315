"""Folds of a training split: rows that an expert of the fold does not see.

The datasets of all training factors agree on the fold of a place in the genome, so that a network that is trained on
several factors has not seen a fold's places in another factor's rows.
"""

import hashlib

import numpy as np

from tfbs_moe.data.dataset import UNPAIRED, Dataset
from tfbs_moe.errors import InputError

# Windows that overlap lie in one block, but for the few across a border.
BLOCK_BASES = 1_000_000
SMALLEST_NUMBER = 2


def deal_folds(dataset: Dataset, folds: int) -> np.ndarray:
    """Return the fold of every row, int64 (N,), 0 to ``folds`` - 1.

    Rows with a place go by their block of a million bases, also negatives that are paired with a positive elsewhere. Of
    those without one, a negative that was made from a positive goes with it, and others go by their sequence (either
    strand). The fold of a row hangs on nothing else, so it is the same in every dataset. A fold may be empty.

    Args:
        dataset: rows to deal out.
        folds: how many, at least 2.

    Raises:
        InputError: fewer than 2 folds were asked for.
    """
    if folds < SMALLEST_NUMBER:
        raise InputError(f"{folds} fold(s) were asked for; at least {SMALLEST_NUMBER} are needed")
    return (row_numbers(dataset, BLOCK_BASES) % folds).astype(np.int64)


def row_numbers(dataset: Dataset, block_bases: int, purpose: str = "") -> np.ndarray:
    """Return a number of each row, uint64 (N,), evenly spread, that is the same in every dataset.

    Args:
        dataset: rows with a place go by its block of the genome, others as ``deal_folds`` says.
        block_bases: bases in a block.
        purpose: what the numbers are for; those for different purposes have nothing to do with each other.
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
