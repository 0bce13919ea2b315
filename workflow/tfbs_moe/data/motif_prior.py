"""The motif prior of a factor, known without its peaks: JASPAR matrices and their similarity to those of others.

A model that uses it sees no binding data of the factor; reports still give it a column of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfbs_moe.data.jaspar import GROUP, Matrix, factor_matrices, matrices
from tfbs_moe.errors import InputError

# A matrix is one experiment's estimate of what a factor binds; those of its family are others (Lambert et al. 2018,
# Cell 172:650). The bound was chosen on training rows (benchmarks/evidence.py).
RELATED_P = 1e-4
SMALLEST_P = 1e-15  # TOMTOM's p below this is rounding error; −log10 of it is the greatest similarity


@dataclass(frozen=True)
class MotifPrior:
    """The motif prior of one factor."""

    factor: str
    matrix_ids: tuple[str, ...]  # of its JASPAR matrices; may be empty
    # Of these and of all that TOMTOM finds related to one of them, whichever their factor.
    related_ids: tuple[str, ...]
    similarity: Mapping[str, float]  # −log10 of TOMTOM's p against the matrices of other factors, by name; 0 to 15

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        ids = {"matrix_ids": list(self.matrix_ids), "related_ids": list(self.related_ids)}
        return asdict(self) | ids | {"similarity": dict(self.similarity)}


def motif_priors_of(factors: Sequence[str], others: Sequence[str], group: str = GROUP) -> dict[str, MotifPrior]:
    """Return factors' motif priors, with similarities to ``others``; ``group`` is JASPAR's taxonomic group."""
    known = matrices(group)
    of = {name: factor_matrices(name, known) for name in dict.fromkeys([*factors, *others])}
    queries = [matrix for name in dict.fromkeys(factors) for matrix in of[name]]
    p = tomtom_p(queries, known) if queries else np.empty((0, len(known)))
    row = {matrix.matrix_id: place for place, matrix in enumerate(queries)}
    column = {matrix.matrix_id: place for place, matrix in enumerate(known)}
    found = {}
    for name in dict.fromkeys(factors):
        similarity = {}
        for other in others:
            pairs = [p[row[own.matrix_id], column[its.matrix_id]] for own in of[name] for its in of[other]]
            if pairs:
                similarity[other] = float(-np.log10(max(min(pairs), SMALLEST_P)))
        own = [matrix.matrix_id for matrix in of[name]]
        near = (p[np.array([row[one] for one in own], dtype=int)] < RELATED_P).any(axis=0)
        related = dict.fromkeys([*own, *(known[place].matrix_id for place in np.flatnonzero(near))])
        found[name] = MotifPrior(name, tuple(own), tuple(related), similarity)
    return found


def read_motif_priors(given: Mapping[str, Mapping[str, Any]]) -> dict[str, MotifPrior]:
    """Read what ``as_json`` gave, by factor; raise InputError where it is something else."""
    try:
        return {
            name: MotifPrior(name, tuple(one["matrix_ids"]), tuple(one["related_ids"]), dict(one["similarity"]))
            for name, one in given.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the motif priors cannot be read ({type(error).__name__}: {error}); "
            "delete motif_priors.json and rebuild it"
        ) from None


def tomtom_p(queries: Sequence[Matrix], targets: Sequence[Matrix]) -> np.ndarray:
    """Return TOMTOM's p-values (Gupta et al. 2007), on both strands: (queries, targets)."""
    from memelite import tomtom

    found = tomtom([m.probabilities for m in queries], [m.probabilities for m in targets], n_jobs=1)
    return np.asarray(found[0])
