"""Similarity of tested factors to training factors, by their JASPAR matrices.

TOMTOM (Gupta et al. 2007, Genome Biol. 8:R24) finds the nearest training factor, and structural classes are JASPAR's
own, so that strata need not be defined by hand.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tfbs_moe.data.jaspar import Matrix, factor_matrices, matrices
from tfbs_moe.data.motif_prior import SMALLEST_P, tomtom_p
from tfbs_moe.study import IN_DISTRIBUTION

SEPARATOR = "; "

WITHIN_FAMILY = "within_family"
CROSS_FAMILY = "cross_family"
NON_MOTIF = "non_motif"

SIMILARITY_COLUMNS = (
    "factor",
    "matrix",
    "class",
    "family",
    "nearest_factor",
    "nearest_matrix",
    "nearest_class",
    "nearest_family",
    "tomtom_p",
    "similarity",
    "nearest_stratum",
)


def nearest_training_factors(
    tested: Sequence[str], training: Sequence[str], known: Sequence[Matrix] | None = None
) -> pd.DataFrame:
    """Find the training factor with the most similar matrix for each tested factor, columns ``SIMILARITY_COLUMNS``.

    ``similarity`` is −log10 of TOMTOM's p. ``nearest_stratum`` is ``in_distribution`` for a training factor,
    ``within_family`` where the nearest training factor has a DNA-binding domain of the same class (bZIP, bHLH, …),
    ``cross_family`` where it has not, and ``non_motif`` for a factor without a matrix, whose other columns are missing.
    All ``known`` matrices (None for JASPAR's) serve TOMTOM as background.
    """
    known = matrices() if known is None else known
    targets = [(factor, matrix) for factor in training for matrix in factor_matrices(factor, known)]
    records = []
    for factor in dict.fromkeys(tested):
        own = factor_matrices(factor, known)
        if factor in training:
            records.append({"factor": factor, "nearest_stratum": IN_DISTRIBUTION, **_best(factor, own, targets, known)})
        elif not own or not targets:
            records.append({"factor": factor, "nearest_stratum": NON_MOTIF})
        else:
            found = _best(factor, own, targets, known)
            shared = set(str(found["class"]).split(SEPARATOR)) & set(str(found["nearest_class"]).split(SEPARATOR))
            stratum = WITHIN_FAMILY if shared - {""} else CROSS_FAMILY
            records.append({"factor": factor, "nearest_stratum": stratum, **found})
    return pd.DataFrame(records).reindex(columns=list(SIMILARITY_COLUMNS))


def _best(
    factor: str, own: Sequence[Matrix], targets: Sequence[tuple[str, Matrix]], background: Sequence[Matrix]
) -> dict[str, object]:
    """Return the best pair of matrices; a training factor's nearest is itself."""
    candidates = [pair for pair in targets if pair[0] == factor] or list(targets)
    if not own or not candidates:
        return {}
    p = tomtom_p(own, background)
    columns = {matrix.matrix_id: index for index, matrix in enumerate(background)}
    chosen = p[:, [columns[matrix.matrix_id] for _, matrix in candidates]]
    row, column = divmod(int(chosen.argmin()), chosen.shape[1])
    nearest, its_matrix = candidates[column]
    return {
        "matrix": own[row].matrix_id,
        "class": SEPARATOR.join(own[row].classes),
        "family": SEPARATOR.join(own[row].families),
        "nearest_factor": nearest,
        "nearest_matrix": its_matrix.matrix_id,
        "nearest_class": SEPARATOR.join(its_matrix.classes),
        "nearest_family": SEPARATOR.join(its_matrix.families),
        "tomtom_p": float(chosen[row, column]),
        "similarity": float(-np.log10(max(chosen[row, column], SMALLEST_P))),
    }
