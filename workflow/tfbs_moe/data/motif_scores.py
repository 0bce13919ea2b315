"""Scores of JASPAR matrices on sequences, and a factor's motif prior for a gate."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from tfbs_moe.data.jaspar import Matrix, matrix_by_id
from tfbs_moe.data.motif_prior import SMALLEST_P, MotifPrior
from tfbs_moe.sequence import ALPHABET

# Pseudocount of each base, so that no site is impossible.
PSEUDO = 0.01
_ROWS_PER_PASS = 2048


def motif_prior_scores(known: MotifPrior, one_hot: np.ndarray, trained_on: Sequence[Sequence[str]]) -> np.ndarray:
    """Return the motif prior of a factor for sequences (N, 4, L), float32 (N, 1 + K).

    The columns are the ``occupancy`` of the factor's matrices, and the similarity to the factor, from 0 to 1, of each
    of K experts; ``trained_on`` lists the factors that each expert was trained on. NaN where the factor has no matrix,
    or the expert was trained on several factors.
    """
    motif_scores = np.full((len(one_hot), 1 + len(trained_on)), np.nan, np.float32)
    if known.matrix_ids:
        motif_scores[:, 0] = occupancy(one_hot, [matrix_by_id(name) for name in known.matrix_ids])
        for place, factors in enumerate(trained_on, start=1):
            if len(factors) == 1:
                motif_scores[:, place] = known.similarity.get(factors[0], np.nan) / -np.log10(SMALLEST_P)
    return motif_scores


def occupancy(one_hot: np.ndarray, of: Sequence[Matrix]) -> np.ndarray:
    """Return the evidence for a site anywhere in a sequence, in nats, float32 (N,).

    It is the log mean odds over positions, strands and matrices against uniform bases; about 0 if uninformative.
    """
    parts = [scores.logsumexp(1) - np.log(scores.shape[1]) for scores in _scores(one_hot, of)]
    return np.asarray(torch.cat(parts))


def best_hit(one_hot: np.ndarray, of: Sequence[Matrix]) -> np.ndarray:
    """Return the highest score of any matrix at any position on either strand, in nats, float32 (N,)."""
    return np.asarray(torch.cat([scores.amax(1) for scores in _scores(one_hot, of)]))


def _scores(one_hot: np.ndarray, of: Sequence[Matrix]) -> list[torch.Tensor]:
    """Return the log-odds of every position, strand and matrix for each batch of sequences, (n, positions).

    A matrix wider than the sequences is placed wherever it covers them whole; its overhanging columns score 0.
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
