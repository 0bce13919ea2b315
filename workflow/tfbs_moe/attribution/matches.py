"""Known sites in real sequence: where a factor's matrix matches, and where its shuffled matrix does."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tfbs_moe.data.jaspar import GROUP, Matrix, factor_matrices, matrices, shuffled
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import check_one_hot

P_VALUE = 1e-4
COLUMNS = ("sequence", "start", "end", "strand", "matrix", "score", "p")
SOURCES = ("matrix", "shuffled_matrix")


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


def best_matches(X: np.ndarray, matrices: Sequence[Matrix], *, p: float = P_VALUE) -> pd.DataFrame:
    """Return the best match of each sequence, and those as good: the sites by which attributions are judged.

    A sequence in which nothing matches has no known site and is not judged. See ``matrix_matches``.
    """
    matches = matrix_matches(X, matrices, p=p)
    if not len(matches):
        return matches
    return matches[matches["p"] == matches.groupby("sequence")["p"].transform("min")].reset_index(drop=True)


def factor_matches(X: np.ndarray, factor: str, *, seed: int, group: str = GROUP, p: float = P_VALUE) -> pd.DataFrame:
    """Return the best matches of a factor's matrices in each sequence, and those of their shuffled columns.

    Args:
        X: one-hot (N, 4, L).
        factor: its name.
        seed: root seed of the shuffles.
        group: JASPAR's taxonomic group that its matrices are looked for in.
        p: largest p-value of a match.

    Returns:
        ``source`` (``matrix`` or ``shuffled_matrix``) and the columns of ``matrix_matches``; no rows where JASPAR
        has no matrix of the factor.
    """
    known = factor_matrices(factor, matrices(group))
    control = [shuffled(matrix, seed) for matrix in known]
    tables = [best_matches(X, these, p=p) for these in (known, control)]
    named = [table.assign(source=source) for source, table in zip(SOURCES, tables, strict=True)]
    return pd.concat(named, ignore_index=True)[["source", *COLUMNS]]


def matches_in_rows(X: np.ndarray, rows: np.ndarray, factor: str, *, seed: int, group: str = GROUP) -> pd.DataFrame:
    """Return ``factor_matches`` with the ``row`` of the test set in place of the sequence.

    Args:
        X: one-hot (N, 4, L), some rows of a test set.
        rows: int (N,), which.
        factor: its name.
        seed: root seed of the shuffles.
        group: JASPAR's taxonomic group that its matrices are looked for in.
    """
    found = factor_matches(X, factor, seed=seed, group=group)
    row = rows[found["sequence"].to_numpy(dtype=int)]
    return found.assign(sequence=row).rename(columns={"sequence": "row"})


def known_matches(matches: pd.DataFrame, rows: np.ndarray, length: int) -> dict[str, np.ndarray]:
    """Return the truth about some rows of a test set that a table of matches gives.

    Args:
        matches: ``source``, ``row`` (of the test set), ``start``, ``end`` of one experiment.
        rows: int (N,), the rows.
        length: bases per sequence.

    Returns:
        By source, bool (rows, length): what its matches cover; no entry for a source that matches nowhere.
    """
    here = matches_by_place(matches, rows)
    return {str(source): match_mask(found, len(rows), length) for source, found in here.groupby("source", sort=True)}


def matches_by_place(matches: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """Return the matches within some rows of a test set, with the place among those rows as ``sequence``."""
    place = {int(row): index for index, row in enumerate(rows)}
    here = matches[matches["row"].isin(place)]
    return here.assign(sequence=here["row"].map(place).astype(int))
