"""Scores of JASPAR matrices on sequences, and what a gate is told of a factor that it is asked for."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from tfbs_moe.data.factor_knowledge import SMALLEST_P, FactorKnowledge
from tfbs_moe.data.jaspar import Matrix, matrix_by_id
from tfbs_moe.sequence import ALPHABET

# Added to the probability of each base: no site is impossible.
PSEUDO = 0.01
_ROWS_PER_PASS = 2048


def tell(known: FactorKnowledge, one_hot: np.ndarray, learnt: Sequence[Sequence[str]]) -> np.ndarray:
    """Return what a gate is told for sequences when a factor is asked for.

    Args:
        known: of the factor.
        one_hot: uint8 (N, 4, L).
        learnt: for each of K experts, the factors it was trained on.

    Returns:
        float32 (N, 1 + K): ``occupancy`` by the factor's matrices, and the likeness to the factor of each expert,
        from 0 to 1; NaN where the factor has no matrix, or an expert was trained on several factors.
    """
    told = np.full((len(one_hot), 1 + len(learnt)), np.nan, np.float32)
    if known.matrix_ids:
        told[:, 0] = occupancy(one_hot, [matrix_by_id(name) for name in known.matrix_ids])
        for place, factors in enumerate(learnt, start=1):
            if len(factors) == 1:
                told[:, place] = known.likeness.get(factors[0], np.nan) / -np.log10(SMALLEST_P)
    return told


def occupancy(one_hot: np.ndarray, of: Sequence[Matrix]) -> np.ndarray:
    """Return the evidence for a site anywhere in a sequence, in nats, float32 (N,).

    The logarithm of the mean, over places, strands and matrices, of the odds of a site against letters that are all as
    likely. A matrix that says little gives values near 0, so that it counts for little.
    """
    parts = [scores.logsumexp(1) - np.log(scores.shape[1]) for scores in _scores(one_hot, of)]
    return np.asarray(torch.cat(parts))


def best_hit(one_hot: np.ndarray, of: Sequence[Matrix]) -> np.ndarray:
    """Return the highest score of any matrix at any place on either strand, in nats, float32 (N,)."""
    return np.asarray(torch.cat([scores.amax(1) for scores in _scores(one_hot, of)]))


def _scores(one_hot: np.ndarray, of: Sequence[Matrix]) -> list[torch.Tensor]:
    """Return the log-odds of every place, strand and matrix, in parts of the rows: (n, places).

    A matrix wider than the rows is laid over them wherever it covers them whole; bases that are not there say nothing.
    """
    kernels = []
    for matrix in of:
        odds = np.log((matrix.probabilities + PSEUDO) / (1 + len(ALPHABET) * PSEUDO) * len(ALPHABET))
        both = np.stack([odds, odds[::-1, ::-1]]).astype(np.float32)
        kernels.append(torch.from_numpy(np.ascontiguousarray(both)))
    reach = [(kernel, max(0, kernel.shape[2] - one_hot.shape[2])) for kernel in kernels]
    return [
        torch.cat([F.conv1d(part.float(), kernel, padding=beyond).flatten(1) for kernel, beyond in reach], dim=1)
        for part in torch.from_numpy(np.ascontiguousarray(one_hot)).split(_ROWS_PER_PASS)
    ]
