"""What is known of a factor without any of its peaks: its JASPAR matrices, and how like they are to those of others.

A model that may look at this is told nothing of what is bound; a report puts it in a column of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfbs_moe.data.jaspar import GROUP, Matrix, factor_matrices, matrices
from tfbs_moe.errors import InputError

# TOMTOM's p below this is rounding; −log10 of it is the greatest likeness.
SMALLEST_P = 1e-15


@dataclass(frozen=True)
class FactorKnowledge:
    """What is known of one factor.

    Attributes:
        factor: its name.
        matrix_ids: of its JASPAR matrices; empty where none is known.
        likeness: −log10 of TOMTOM's p of its matrices and those of other factors, by name; 0 to 15.
    """

    factor: str
    matrix_ids: tuple[str, ...]
    likeness: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self) | {"matrix_ids": list(self.matrix_ids), "likeness": dict(self.likeness)}


def known_of(factors: Sequence[str], others: Sequence[str], group: str = GROUP) -> dict[str, FactorKnowledge]:
    """Look up what is known of factors.

    Args:
        factors: their names.
        others: names of the factors that their matrices are compared with.
        group: JASPAR's taxonomic group that their matrices are looked for in.
    """
    known = matrices(group)
    of = {name: factor_matrices(name, known) for name in dict.fromkeys([*factors, *others])}
    queries = [matrix for name in dict.fromkeys(factors) for matrix in of[name]]
    p = tomtom_p(queries, known) if queries else np.empty((0, len(known)))
    row = {matrix.matrix_id: place for place, matrix in enumerate(queries)}
    column = {matrix.matrix_id: place for place, matrix in enumerate(known)}
    found = {}
    for name in dict.fromkeys(factors):
        likeness = {}
        for other in others:
            pairs = [p[row[own.matrix_id], column[its.matrix_id]] for own in of[name] for its in of[other]]
            if pairs:
                likeness[other] = float(-np.log10(max(min(pairs), SMALLEST_P)))
        found[name] = FactorKnowledge(name, tuple(matrix.matrix_id for matrix in of[name]), likeness)
    return found


def read_knowledge(given: Mapping[str, Mapping[str, Any]]) -> dict[str, FactorKnowledge]:
    """Read what ``as_json`` gave, by factor.

    Raises:
        InputError: it is not what ``as_json`` gives.
    """
    try:
        return {
            name: FactorKnowledge(name, tuple(one["matrix_ids"]), dict(one["likeness"])) for name, one in given.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"what is known of the factors cannot be read ({type(error).__name__}: {error}); "
            "delete knowledge.json and make it again"
        ) from None


def tomtom_p(queries: Sequence[Matrix], targets: Sequence[Matrix]) -> np.ndarray:
    """Return TOMTOM's p (Gupta et al. 2007) of each query against each target, on both strands: (queries, targets)."""
    from memelite import tomtom

    found = tomtom([m.probabilities for m in queries], [m.probabilities for m in targets], n_jobs=1)
    return np.asarray(found[0])
