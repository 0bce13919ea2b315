"""Validation rows that are kept for calibration: they neither teach a gate nor choose its epoch."""

import hashlib

import numpy as np

from tfbs_moe.data.dataset import Dataset, leaders

# The authors' choice of a gate's rows, all together, which keeps none.
POOLED_RANDOM = "pooled_random"
# One row in so many is kept.
SHARE = 4
# Windows that overlap lie in one block, but for the few across a border.
_BLOCK_BASES = 10_000


def is_reserved(dataset: Dataset) -> np.ndarray:
    """Return which rows of a validation set are kept for calibration, bool (N,): about a quarter.

    A negative goes with the bound row that it is paired with; a row with a place goes by its block of ten thousand
    bases, another by its sequence (either strand). It hangs on nothing else: overlapping rows of two experiments fall
    on one side, as does a bound row whatever its negatives are.
    """
    leader = leaders(dataset)
    kept = {row: _number(dataset, int(row)) % SHARE == 0 for row in np.unique(leader)}
    return np.array([kept[row] for row in leader], dtype=bool)


def _number(dataset: Dataset, row: int) -> int:
    if dataset.chrom[row]:
        middle = int(dataset.start[row] + dataset.end[row]) // 2
        key = f"{dataset.chrom[row]}:{middle // _BLOCK_BASES}".encode()
    else:
        one_hot = dataset.one_hot[row]
        key = min(one_hot.tobytes(), one_hot[::-1, ::-1].tobytes())
    return int.from_bytes(hashlib.blake2b(key, digest_size=8, person=b"calibration").digest(), "big")
