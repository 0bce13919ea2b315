"""JASPAR matrices, read offline through pyjaspar."""

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
# Tables and columns in which pyjaspar looks matrices up.
_LOOKED_UP = (
    ("MATRIX", "BASE_ID"),
    ("MATRIX_ANNOTATION", "ID"),
    ("MATRIX_PROTEIN", "ID"),
    ("MATRIX_SPECIES", "ID"),
)


@dataclass(frozen=True, eq=False)
class Matrix:
    """A position frequency matrix."""

    matrix_id: str  # with its version, such as MA0139.2
    name: str  # the factor, or the factors of a dimer joined by ``::``
    probabilities: np.ndarray  # float64 (4, W), rows A, C, G, T; columns sum to 1
    classes: tuple[str, ...] = ()  # structural classes of the DNA-binding domains, such as bZIP
    families: tuple[str, ...] = ()  # within the classes, such as Jun-related

    @property
    def factors(self) -> tuple[str, ...]:
        """The upper-case names of its factors: one, or two for a dimer."""
        return tuple(part.strip().upper() for part in self.name.split(DIMER))


def matrices(group: str = GROUP, release: str = RELEASE) -> tuple[Matrix, ...]:
    """Return the latest version of every CORE matrix of a taxonomic group; InputError where there are none."""
    return _read(group, release)


# Cached because reading a thousand matrices takes most of a second.
@cache
def _read(group: str, release: str) -> tuple[Matrix, ...]:
    database = _database(release)
    # Without an index, every look-up of a matrix scans whole tables, which is seven times as slow.
    indexed = sqlite3.connect(":memory:")
    database.conn.backup(indexed)
    for table, column in _LOOKED_UP:
        indexed.execute(f"CREATE INDEX by_{column}_of_{table} ON {table} ({column})")
    database.conn = indexed
    found = database.fetch_motifs(collection=_COLLECTION, tax_group=[group])
    if not found:
        raise InputError(f"{release} has no matrix of the group {group!r}; one of its groups is {GROUP!r}")
    return tuple(sorted(map(_matrix, found), key=lambda matrix: matrix.matrix_id))


@cache
def matrix_by_id(matrix_id: str, release: str = RELEASE) -> Matrix:
    """Return one matrix of any group by its identifier with version; InputError where JASPAR has none."""
    with warnings.catch_warnings():
        # pyjaspar warns twice of an unknown matrix; the error below says it once.
        warnings.simplefilter("ignore")
        motif = _database(release).fetch_motif_by_id(matrix_id)
    if motif is None:
        raise InputError(f"JASPAR has no matrix {matrix_id!r}; name one with its version, such as MA0491.3")
    return _matrix(motif)


def factor_matrices(factor: str, known: Iterable[Matrix] | None = None) -> tuple[Matrix, ...]:
    """Return the matrices of a factor, in either case: its own, or those of its dimers where it has none of its own.

    Looks in JASPAR's vertebrates where ``known`` is None; empty where no motif of the factor is known (POLR2A, EP300).
    Matrices of every vertebrate species count: DNA-binding domains hardly differ between vertebrates, and some modes of
    binding were measured in only one species (JUN's AP-1 site in mouse).
    """
    name = factor.upper()
    of_factor = [matrix for matrix in (matrices() if known is None else known) if name in matrix.factors]
    return tuple([matrix for matrix in of_factor if len(matrix.factors) == 1] or of_factor)


def shuffled(matrix: Matrix, seed: int) -> Matrix:
    """Return a matrix with its columns permuted: as informative, but not the factor's motif.

    Takes the least similar of 20 random orders, on either strand, so that a palindrome does not come back.
    """
    stream = named_rng(seed, "shuffled matrix", matrix.matrix_id)
    original = matrix.probabilities
    orders = [stream.permutation(original.shape[1]) for _ in range(20)]
    similarity = [
        max(np.abs(original[:, order] * own).sum() for own in (original, original[::-1, ::-1])) for order in orders
    ]
    chosen = original[:, orders[int(np.argmin(similarity))]]
    return replace(
        matrix, matrix_id=f"{matrix.matrix_id} shuffled", name=f"{matrix.name} shuffled", probabilities=chosen
    )


def _database(release: str) -> Any:
    # Imported here because importing it opens a database.
    from pyjaspar import jaspardb

    database = jaspardb(release=release)
    # For an unknown release pyjaspar prints a line and returns an object without a connection.
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
