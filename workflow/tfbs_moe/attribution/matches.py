"""Known sites in real sequence: where a factor's matrix matches, and where its shuffled matrix does."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tfbs_moe.attribution.jaspar import Matrix, factor_matrices, shuffled
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import check_one_hot

P_VALUE = 1e-4
COLUMNS = ("sequence", "start", "end", "strand", "matrix", "score", "p")


def matrix_matches(X: np.ndarray, matrices: Sequence[Matrix], *, p: float = P_VALUE) -> pd.DataFrame:
    """Find where matrices match, on both strands (FIMO, by memelite; Grant et al. 2011).

    Args:
        X: one-hot (N, 4, L).
        matrices: to look for; those wider than L match nowhere.
        p: largest p-value of a match, at a single place.

    Returns:
        One row per match, by sequence, start and matrix: ``sequence``, ``start`` (0-based), ``end``
        (exclusive), ``strand``, ``matrix``, ``score`` (bits), ``p``.

    Raises:
        InputError: X is not one-hot or ``p`` is out of range.
    """
    check_one_hot(X)
    if not 0 < p <= 1:
        raise InputError(f"the largest p-value of a match must lie between 0 and 1; it is {p}")
    fitting = {each.matrix_id: each.probabilities for each in matrices if each.probabilities.shape[1] <= X.shape[2]}
    if not len(X) or not fitting:
        return pd.DataFrame(columns=list(COLUMNS))
    # memelite and numba take seconds to import.
    from memelite import fimo

    found = pd.concat(fimo(fitting, np.ascontiguousarray(X, dtype=np.int8), threshold=p), ignore_index=True)
    named = found.rename(columns={"sequence_name": "sequence", "motif_name": "matrix", "p-value": "p"})
    return named[list(COLUMNS)].sort_values(["sequence", "start", "matrix", "strand"], ignore_index=True)


def match_mask(matches: pd.DataFrame, count: int, length: int) -> np.ndarray:
    """Mark the positions that matches cover, bool (count, length); see ``matrix_matches``."""
    mask = np.zeros((count, length), dtype=bool)
    for sequence, start, end in matches[["sequence", "start", "end"]].itertuples(index=False):
        mask[sequence, start:end] = True
    return mask


def judged_by_matrix(X: np.ndarray, matrices: Sequence[Matrix], *, p: float = P_VALUE) -> np.ndarray:
    """Return the truth that matrices give, bool (N, L): the best match of each sequence, and those as good.

    A sequence in which nothing matches has no known site and is not judged.
    """
    matches = matrix_matches(X, matrices, p=p)
    if len(matches):
        matches = matches[matches["p"] == matches.groupby("sequence")["p"].transform("min")]
    return match_mask(matches, len(X), X.shape[2])


def truth_by_matrix(X: np.ndarray, factor: str, *, seed: int, p: float = P_VALUE) -> dict[str, np.ndarray]:
    """Return what a factor's matrices say about real sequence, and their shuffled columns as a control.

    Args:
        X: one-hot (N, 4, L).
        factor: its name.
        seed: root seed of the shuffles.
        p: largest p-value of a match.

    Returns:
        ``matrix`` and ``shuffled_matrix``, bool (N, L) each (see ``judged_by_matrix``); empty where JASPAR
        has no matrix of the factor.
    """
    known = factor_matrices(factor)
    if not known:
        return {}
    control = [shuffled(matrix, seed) for matrix in known]
    return {"matrix": judged_by_matrix(X, known, p=p), "shuffled_matrix": judged_by_matrix(X, control, p=p)}
