"""Which sequences train a gate and which choose its epoch, and their out-of-fold embeddings."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
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


# A sequence that the expert itself can embed without bias, and one that none of its fold networks can.
ITSELF, NOBODY = -1, -2
_RIDGE = 1e-3

# Embeddings (n, E) of sequences, uint8 (n, 4, L).
Embed = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Outsider:
    """A network trained without one fold, and the linear map from its embeddings to those of the full expert."""

    embed: Embed
    centre: np.ndarray  # float (E,), mean of its embeddings of the sequences that the map was fitted to
    weights: np.ndarray  # float (E, E)
    aim: np.ndarray  # float (E,), mean of the full expert's embeddings of the same

    def __call__(self, one_hot: np.ndarray) -> np.ndarray:
        """Embed sequences in the coordinates of the full expert: float32 (n, E)."""
        moved: np.ndarray = ((self.embed(one_hot) - self.centre) @ self.weights + self.aim).astype(np.float32)
        return moved


def align(embed: Embed, one_hot: np.ndarray, target: np.ndarray) -> tuple[Outsider, float]:
    """Fit the map to sequences that neither network was trained on; return also the fraction of unexplained variance.

    Networks with the same output have embeddings that differ by more than noise; if trained on nearly the same data, a
    linear map takes one to the other. ``target``, float (n, E), are the full expert's embeddings of ``one_hot``.
    """
    source = embed(one_hot).astype(np.float64)
    centre, aim = source.mean(axis=0), target.mean(axis=0)
    design = source - centre
    gram = design.T @ design
    # An untrained network may give every sequence the same embedding: keep the system solvable.
    gram += np.eye(len(gram)) * (_RIDGE * np.trace(gram) / len(gram) or 1.0)
    weights = np.linalg.solve(gram, design.T @ (target - aim))
    total = np.square(target - aim).sum()
    left = np.square(target - aim - design @ weights).sum() / total if total else 0.0
    return Outsider(embed, centre, weights, aim), float(left)


def who_looks(met: np.ndarray) -> np.ndarray:
    """Return which network of each expert saw neither a sequence nor related ones in training, int (n, K).

    ``met``, bool (n, K, F), marks the folds of each expert that hold the sequence or a related one. The result is the
    fold whose network can embed it, ``ITSELF`` if none holds it, and ``NOBODY`` if several do.
    """
    times = met.sum(axis=2)
    return np.where(times > 1, NOBODY, np.where(times == 1, met.argmax(axis=2), ITSELF))
