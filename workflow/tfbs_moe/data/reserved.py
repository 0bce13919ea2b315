"""The calibration split: validation rows that neither train a gate nor choose its epoch."""

import numpy as np

from tfbs_moe.data.dataset import Dataset
from tfbs_moe.data.folds import row_numbers

# The authors' choice of a gate's rows: all pooled, with no calibration split.
POOLED_RANDOM = "pooled_random"
# One in so many rows is drawn.
SHARE = 4
# Overlapping windows share a block, but for the few across a border.
_BLOCK_BASES = 10_000


def is_reserved(dataset: Dataset) -> np.ndarray:
    """Return bool (N,): which rows of a validation set belong to the calibration split, about a quarter.

    Rows are drawn by position or by sequence (``folds.row_numbers``): overlapping rows of two experiments fall on one
    side, whatever they are paired with, and a shuffle goes with the bound row it was made from.
    """
    return _are_drawn(dataset, "calibration")


def chooses(dataset: Dataset) -> np.ndarray:
    """Return bool (N,), drawn like ``is_reserved``: which rows choose the epoch of a gate that the others train."""
    return _are_drawn(dataset, "choosing")


def _are_drawn(dataset: Dataset, purpose: str) -> np.ndarray:
    return row_numbers(dataset, _BLOCK_BASES, purpose) % SHARE == 0
