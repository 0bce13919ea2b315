"""Which sequences train a gate, and which choose its epoch."""

import logging
from typing import Literal, get_args

import numpy as np

from tfbs_moe.data.folds import POOLED_RANDOM
from tfbs_moe.errors import InputError
from tfbs_moe.runtime import rng

log = logging.getLogger(__name__)

# Training and validation examples of a gate, by choice:
#   expert_split: the experts' training sequences train, their validation sequences choose.
#   pooled_random: all sequences, split 80/20 at random as the authors do: some of those that choose trained experts.
#   held_out: validation sequences only; by position (``data.folds``) three quarters train and one chooses.
#   out_of_fold: as expert_split, but a training sequence is embedded by fold networks trained on neither it nor a
#     related sequence (``data.related``) of any experiment; a linear map, fitted on validation sequences, brings
#     their embeddings to those of the full expert. Sequences with related ones in several folds are excluded.
# Except for pooled_random, validation sequences in the calibration split (``data.folds``), or related to training
# sequences of an expert, are excluded. Pairs stay together.
RowChoice = Literal["expert_split", "pooled_random", "held_out", "out_of_fold"]
OUT_OF_FOLD = "out_of_fold"
_TRAINING_SHARE = 0.8


def choose_rows(
    training: int, selecting: np.ndarray, excluded: np.ndarray, choice: RowChoice, max_rows: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of a gate's training and validation examples; see ``RowChoice``.

    They index the sequences of all datasets, the first ``training`` of them the experts' training sequences.
    ``selecting``, bool (rows,), marks those that choose with ``held_out``; those ``excluded``, bool (rows,), are in
    neither part, except with ``pooled_random``.
    """
    total = len(excluded)
    free = training + np.flatnonzero(~excluded[training:])
    if choice == POOLED_RANDOM:
        order = rng(seed, "gate_rows").permutation(total)
        cut = int(_TRAINING_SHARE * total)
        learning, validation = order[:cut], order[cut:]
    elif choice == "held_out":
        learning, validation = free[~selecting[free]], free[selecting[free]]
    elif choice in ("expert_split", OUT_OF_FOLD):
        learning, validation = np.flatnonzero(~excluded[:training]), free
    else:
        known = ", ".join(repr(name) for name in get_args(RowChoice))
        raise InputError(f"rows of the gate are {choice!r}; known are {known}")
    if max_rows is None:
        return learning, validation
    draw = rng(seed, "max_rows")
    drawn = [
        np.sort(draw.choice(part, min(len(part), most), replace=False))
        for part, most in ((learning, max_rows), (validation, max(1, max_rows // 4)))
    ]
    log.info("max_rows: %d of %d training rows, %d of %d validation rows are used",
             len(drawn[0]), len(learning), len(drawn[1]), len(validation))  # fmt: skip
    return drawn[0], drawn[1]
