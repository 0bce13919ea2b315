"""Known sites in real sequences: matches of a factor's matrix, and of its shuffled matrix as a baseline."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tfbs_moe.data.jaspar import GROUP, Matrix, factor_matrices, matrices, shuffled
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import check_one_hot

P_VALUE = 1e-4
_ROUNDING = 1e-9
COLUMNS = ("sequence", "start", "end", "strand", "matrix", "score", "p")
SOURCES = ("matrix", "shuffled_matrix")


def matrix_matches(X: np.ndarray, matrices: Sequence[Matrix], *, p: float = P_VALUE) -> pd.DataFrame:
    """Find matches on both strands of one-hot sequences (N, 4, L) (FIMO, by memelite; Grant et al. 2011).

    ``p`` is the largest p-value of a match at a single position. Returns a row per match, sorted, with 0-based
    ``start``, exclusive ``end`` and ``score`` in bits; matrices wider than L match nowhere.
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
    """Mark the positions that ``matrix_matches`` cover, bool (count, length)."""
    mask = np.zeros((count, length), dtype=bool)
    for sequence, start, end in matches[["sequence", "start", "end"]].itertuples(index=False):
        mask[sequence, start:end] = True
    return mask


def best_matches(X: np.ndarray, matrices: Sequence[Matrix], *, p: float = P_VALUE) -> pd.DataFrame:
    """Return the best of ``matrix_matches`` in each sequence, ties included: the sites to evaluate attributions by."""
    matches = matrix_matches(X, matrices, p=p)
    if not len(matches):
        return matches
    # The p-values of a matrix and its reverse complement are sums in different orders, and differ by rounding.
    least = matches.groupby("sequence")["p"].transform("min") * (1 + _ROUNDING)
    return matches[matches["p"] <= least].reset_index(drop=True)


def factor_matches(X: np.ndarray, factor: str, *, seed: int, group: str = GROUP, p: float = P_VALUE) -> pd.DataFrame:
    """Return, by ``source``, the best matches of a factor's JASPAR matrices and of their shuffled columns."""
    known = factor_matrices(factor, matrices(group))
    control = [shuffled(matrix, seed) for matrix in known]
    tables = [best_matches(X, these, p=p) for these in (known, control)]
    named = [table.assign(source=source) for source, table in zip(SOURCES, tables, strict=True)]
    return pd.concat(named, ignore_index=True)[["source", *COLUMNS]]


def matches_in_rows(X: np.ndarray, rows: np.ndarray, factor: str, *, seed: int, group: str = GROUP) -> pd.DataFrame:
    """Return ``factor_matches`` in some rows of a test set, with that ``row`` in place of ``sequence``."""
    found = factor_matches(X, factor, seed=seed, group=group)
    row = rows[found["sequence"].to_numpy(dtype=int)]
    return found.assign(sequence=row).rename(columns={"sequence": "row"})


def known_matches(matches: pd.DataFrame, rows: np.ndarray, length: int) -> dict[str, np.ndarray]:
    """Return the positions, bool (len(rows), length), that matches cover in ``rows``, by source that has any."""
    here = matches_by_place(matches, rows)
    return {str(source): match_mask(found, len(rows), length) for source, found in here.groupby("source", sort=True)}


def matches_by_place(matches: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """Return the matches within some rows of a test set, with the index into ``rows`` as ``sequence``."""
    place = {int(row): index for index, row in enumerate(rows)}
    here = matches[matches["row"].isin(place)]
    return here.assign(sequence=here["row"].map(place).astype(int))
