"""Scores of JASPAR matrices on sequences."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from tfbs_moe.data.jaspar import Matrix, matrix_by_id
from tfbs_moe.data.motif_prior import MotifPrior
from tfbs_moe.sequence import ALPHABET

# Pseudocount of each base, so that no site is impossible.
PSEUDO = 0.01
_GC = [ALPHABET.index(base) for base in "CG"]
_ROWS_PER_PASS = 2048


def motif_occupancy(known: MotifPrior, one_hot: np.ndarray) -> np.ndarray:
    """Return the evidence for a site of a factor in sequences (N, 4, L), in nats, float32 (N,).

    It is the ``occupancy`` by the factor's matrices and those related to them; NaN where the factor has no matrix.
    """
    if not known.matrix_ids:
        return np.full(len(one_hot), np.nan, np.float32)
    return occupancy(one_hot, [matrix_by_id(name) for name in known.related_ids])


def occupancy(one_hot: np.ndarray, of: Sequence[Matrix], own_composition: bool = True) -> np.ndarray:
    """Return the evidence for a site anywhere in a sequence, in nats, float32 (N,).

    It is the log mean odds over positions, strands and matrices (Buske et al. 2010, Bioinformatics 26:860) against
    bases drawn with the sequence's ``own_composition``, that is its GC content, or uniform ones; about 0 if
    uninformative.
    """
    parts = [scores.logsumexp(1) - np.log(scores.shape[1]) for scores in _scores(one_hot, of, own_composition)]
    return np.asarray(torch.cat(parts))


def best_hit(one_hot: np.ndarray, of: Sequence[Matrix]) -> np.ndarray:
    """Return the highest score of any matrix at any position on either strand, in nats, float32 (N,).

    Scores are log-odds against uniform bases.
    """
    return np.asarray(torch.cat([scores.amax(1) for scores in _scores(one_hot, of)]))


def _scores(one_hot: np.ndarray, of: Sequence[Matrix], own_composition: bool = False) -> list[torch.Tensor]:
    """Return the log-odds of every position, strand and matrix for each batch of sequences, (n, positions).

    They are against uniform bases, or those of the sequence's ``own_composition``. A matrix wider than the sequences
    is placed wherever it covers them whole; its overhanging columns score 0, as unknown bases do.
    """
    # Matrices of one width are one convolution, of which a family's many would else be most of the time.
    kernels: dict[int, list[np.ndarray]] = {}
    for matrix in of:
        odds = np.log((matrix.probabilities + PSEUDO) / (1 + len(ALPHABET) * PSEUDO) * len(ALPHABET))
        kernels.setdefault(odds.shape[1], []).extend([odds, odds[::-1, ::-1]])
    reach = [
        (torch.from_numpy(np.stack(odds).astype(np.float32)), max(0, width - one_hot.shape[2]))
        for width, odds in kernels.items()
    ]
    found = []
    for part in torch.from_numpy(np.ascontiguousarray(one_hot)).split(_ROWS_PER_PASS):
        x = part.float()
        scores = [F.conv1d(x, kernel, padding=beyond) for kernel, beyond in reach]
        if own_composition:
            expected = _log_odds_of_composition(x)
            places = zip(scores, reach, strict=True)
            scores = [
                score - F.conv1d(expected, torch.ones(1, 1, kernel.shape[2]), padding=beyond)
                for score, (kernel, beyond) in places
            ]
        found.append(torch.cat([score.flatten(1) for score in scores], dim=1))
    return found


def _log_odds_of_composition(x: torch.Tensor) -> torch.Tensor:
    """Return the log-odds of each base by its sequence's GC content against uniform bases, (n, 1, L); 0 if unknown."""
    counts = x.sum(2)
    gc = (counts[:, _GC].sum(1) + 1) / (counts.sum(1) + 2)
    log_odds = torch.stack([1 - gc, gc, gc, 1 - gc], dim=1).mul(2).log()
    return torch.einsum("nbl,nb->nl", x, log_odds).unsqueeze(1)
