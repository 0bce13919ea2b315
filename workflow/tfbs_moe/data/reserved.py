"""Validation rows that are kept for calibration: they neither teach a gate nor choose its epoch."""

import numpy as np

from tfbs_moe.data.dataset import Dataset
from tfbs_moe.data.folds import row_numbers

# The authors' choice of a gate's rows, all together, which keeps none.
POOLED_RANDOM = "pooled_random"
# One row in so many is drawn.
SHARE = 4
# Windows that overlap lie in one block, but for the few across a border.
_BLOCK_BASES = 10_000


def is_reserved(dataset: Dataset) -> np.ndarray:
    """Return which rows of a validation set are kept for calibration, bool (N,): about a quarter.

    A row goes by its place, or by its sequence (``folds.row_numbers``): overlapping rows of two experiments fall on
    one side, whatever they are paired with, and a shuffle goes with the bound row that it was made from.
    """
    return _are_drawn(dataset, "calibration")


def chooses(dataset: Dataset) -> np.ndarray:
    """Return which rows of a validation set choose the epoch of a gate that the others teach, as ``is_reserved``."""
    return _are_drawn(dataset, "choosing")


def _are_drawn(dataset: Dataset, purpose: str) -> np.ndarray:
    return row_numbers(dataset, _BLOCK_BASES, purpose) % SHARE == 0
