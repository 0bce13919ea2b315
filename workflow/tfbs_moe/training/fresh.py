"""Shuffled negatives, drawn anew for each epoch."""

from collections.abc import Callable

import numpy as np
import torch

from tfbs_moe.data.dataset import UNPAIRED, Dataset
from tfbs_moe.data.shuffles import block_shuffle, dinucleotide_shuffle
from tfbs_moe.errors import InputError
from tfbs_moe.runtime import rng
from tfbs_moe.sequence import codes_from_one_hot, one_hot_from_codes
from tfbs_moe.training.rows import Rows, make_rows

SHUFFLES = {"dinucleotide_shuffle": dinucleotide_shuffle, "block_shuffle": block_shuffle}


def fresh_negatives(train: Dataset, device: torch.device, seed: int) -> Callable[[int], Rows]:
    """Return a function from epoch to training examples; raise InputError if the negatives are not shuffles.

    After the first epoch, which uses the dataset's own, each negative is replaced by another shuffle of its positive,
    so that a network cannot memorise negatives.
    """
    kind = str(train.attributes.get("negatives", ""))
    remade = np.flatnonzero((train.label == 0) & (train.pair != UNPAIRED))
    if kind not in SHUFFLES or not len(remade):
        raise InputError(
            f"fresh_negatives draws shuffles anew, and the negatives of this training set are {kind or 'not named'}; "
            f"take one of {', '.join(SHUFFLES)} as training_negatives, or set it to false"
        )
    codes = codes_from_one_hot(train.one_hot[train.pair[remade]])

    def rows(epoch: int) -> Rows:
        one_hot = train.one_hot
        if epoch:
            one_hot = one_hot.copy()
            one_hot[remade] = one_hot_from_codes(SHUFFLES[kind](codes, rng(seed, "negatives", epoch)))
        return make_rows(torch.from_numpy(one_hot), train.label, device, "training")

    return rows
