"""JASPAR matrices, offline: of a factor, and all of a group to compare motifs with."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tfbs_moe.errors import InputError
from tfbs_moe.runtime import rng as named_rng
from tfbs_moe.sequence import ALPHABET

RELEASE = "JASPAR2026"
GROUP = "vertebrates"
DIMER = "::"


@dataclass(frozen=True, eq=False)
class Matrix:
    """A position frequency matrix.

    Attributes:
        matrix_id: with its version, such as MA0139.2.
        name: the factor, or the factors of a dimer joined by ``::``.
        probabilities: float64 (4, W), rows A, C, G, T; columns add up to 1.
    """

    matrix_id: str
    name: str
    probabilities: np.ndarray


def matrices(group: str = GROUP, release: str = RELEASE) -> tuple[Matrix, ...]:
    """Return the latest version of every CORE matrix of a taxonomic group, by identifier.

    Raises:
        InputError: there is no such release or group.
    """
    return _read(group, release)


# Reading a thousand matrices takes seconds.
@cache
def _read(group: str, release: str) -> tuple[Matrix, ...]:
    # pyjaspar opens a database on import of its class; only those who need a matrix pay for it.
    from pyjaspar import jaspardb

    try:
        found = jaspardb(release=release).fetch_motifs(collection="CORE", tax_group=[group])
    # An unknown release gives an object without its database.
    except (AttributeError, ValueError) as error:
        raise InputError(f"JASPAR release {release!r} cannot be read: {error}") from None
    if not found:
        raise InputError(f"{release} has no matrix of the group {group!r}; one of its groups is {GROUP!r}")
    made = (Matrix(str(motif.matrix_id), str(motif.name), _probabilities(motif)) for motif in found)
    return tuple(sorted(made, key=lambda matrix: matrix.matrix_id))


def factor_matrices(factor: str, group: str = GROUP, release: str = RELEASE) -> tuple[Matrix, ...]:
    """Return the matrices of a factor by its name in either case, those of its dimers where it has none alone.

    Empty where JASPAR knows no motif of the factor (POLR2A, EP300).
    """
    wanted = factor.casefold()
    known = matrices(group, release)
    alone = tuple(matrix for matrix in known if matrix.name.casefold() == wanted)
    return alone or tuple(matrix for matrix in known if wanted in matrix.name.casefold().split(DIMER))


def shuffled(matrix: Matrix, seed: int) -> Matrix:
    """Return a matrix with its columns in another order: as informative, but not the factor's.

    Of the orders that are drawn, the one that is least like the matrix on either strand is taken, so that
    a palindrome does not come back.
    """
    stream = named_rng(seed, "shuffled matrix", matrix.matrix_id)
    original = matrix.probabilities
    orders = [stream.permutation(original.shape[1]) for _ in range(20)]
    likeness = [
        max(np.abs(original[:, order] * own).sum() for own in (original, original[::-1, ::-1])) for order in orders
    ]
    chosen = orders[int(np.argmin(likeness))]
    return Matrix(f"{matrix.matrix_id} shuffled", f"{matrix.name} shuffled", original[:, chosen])


def _probabilities(motif: Any) -> np.ndarray:
    counts = np.array([motif.counts[base] for base in ALPHABET], dtype=float)
    return np.asarray(counts / counts.sum(axis=0))
