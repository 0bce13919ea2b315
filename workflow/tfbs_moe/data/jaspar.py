"""JASPAR's matrices, offline (pyjaspar): one by its identifier, those of a factor, and all of a taxonomic group."""

import sqlite3
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from tfbs_moe.errors import InputError
from tfbs_moe.runtime import rng as named_rng
from tfbs_moe.sequence import ALPHABET

RELEASE = "JASPAR2026"
GROUP = "vertebrates"
DIMER = "::"
_COLLECTION = "CORE"
# Tables of its database, and what pyjaspar looks up in them.
_LOOKED_UP = (
    ("MATRIX", "BASE_ID"),
    ("MATRIX_ANNOTATION", "ID"),
    ("MATRIX_PROTEIN", "ID"),
    ("MATRIX_SPECIES", "ID"),
)


@dataclass(frozen=True, eq=False)
class Matrix:
    """A position frequency matrix.

    Attributes:
        matrix_id: with its version, such as MA0139.2.
        name: the factor, or the factors of a dimer joined by ``::``.
        probabilities: float64 (4, W), rows A, C, G, T; columns add up to 1.
        classes: structural classes of the DNA-binding domains, such as bZIP.
        families: narrower families within the classes, such as Jun-related.
    """

    matrix_id: str
    name: str
    probabilities: np.ndarray
    classes: tuple[str, ...] = ()
    families: tuple[str, ...] = ()

    @property
    def factors(self) -> tuple[str, ...]:
        """Upper-case names of the factors it stands for; two for a dimer."""
        return tuple(part.strip().upper() for part in self.name.split(DIMER))


def matrices(group: str = GROUP, release: str = RELEASE) -> tuple[Matrix, ...]:
    """Return the latest version of every CORE matrix of a taxonomic group, by identifier.

    Raises:
        InputError: there is no such release or group.
    """
    return _read(group, release)


# Reading a thousand matrices takes most of a second.
@cache
def _read(group: str, release: str) -> tuple[Matrix, ...]:
    database = _database(release)
    # Its tables have no index and are read from end to end for every matrix, which takes seven times as long.
    indexed = sqlite3.connect(":memory:")
    database.conn.backup(indexed)
    for table, column in _LOOKED_UP:
        indexed.execute(f"CREATE INDEX by_{column}_of_{table} ON {table} ({column})")
    database.conn = indexed
    found = database.fetch_motifs(collection=_COLLECTION, tax_group=[group])
    if not found:
        raise InputError(f"{release} has no matrix of the group {group!r}; one of its groups is {GROUP!r}")
    return tuple(sorted(map(_matrix, found), key=lambda matrix: matrix.matrix_id))


def matrix_by_id(matrix_id: str, release: str = RELEASE) -> Matrix:
    """Return one matrix by its identifier with the version, of any group.

    Raises:
        InputError: there is no such release or matrix.
    """
    with warnings.catch_warnings():
        # It warns of an unknown matrix in two sentences of its own; the error below says it once.
        warnings.simplefilter("ignore")
        motif = _database(release).fetch_motif_by_id(matrix_id)
    if motif is None:
        raise InputError(f"JASPAR has no matrix {matrix_id!r}; name one with its version, such as MA0491.3")
    return _matrix(motif)


def factor_matrices(factor: str, known: Iterable[Matrix] | None = None) -> tuple[Matrix, ...]:
    """Return the matrices of a factor by its name in either case.

    Its own alone are taken before those of dimers that it is part of. Those of every species of the group count:
    DNA-binding domains hardly differ between vertebrates, and some ways of binding were measured in one alone (JUN's
    AP-1 site in mouse).

    Args:
        factor: its name.
        known: what to look in; JASPAR's vertebrates where none are given.

    Returns:
        Empty where no motif of the factor is known (POLR2A, EP300).
    """
    name = factor.upper()
    of_factor = [matrix for matrix in (matrices() if known is None else known) if name in matrix.factors]
    return tuple([matrix for matrix in of_factor if len(matrix.factors) == 1] or of_factor)


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
    chosen = original[:, orders[int(np.argmin(likeness))]]
    return replace(
        matrix, matrix_id=f"{matrix.matrix_id} shuffled", name=f"{matrix.name} shuffled", probabilities=chosen
    )


def _database(release: str) -> Any:
    # pyjaspar opens a database on import of its class; only those who need a matrix pay for it.
    from pyjaspar import jaspardb

    database = jaspardb(release=release)
    # An unknown release gives an object without a connection, and a line on the screen.
    if not hasattr(database, "conn"):
        raise InputError(f"pyjaspar holds no release {release!r}; it holds {', '.join(database.get_releases())}")
    return database


def _matrix(motif: Any) -> Matrix:
    counts = np.array([motif.counts[base] for base in ALPHABET], dtype=float)
    return Matrix(
        matrix_id=str(motif.matrix_id),
        name=str(motif.name),
        probabilities=np.asarray(counts / counts.sum(axis=0)),
        classes=tuple(motif.tf_class or ()),
        families=tuple(motif.tf_family or ()),
    )
