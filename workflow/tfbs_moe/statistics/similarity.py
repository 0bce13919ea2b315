"""How like the training factors a tested factor is, by their JASPAR matrices.

The nearest training factor is found by TOMTOM (Gupta et al. 2007, Genome Biol. 8:R24) over matrices, and structural
classes are JASPAR's own, so that strata need not be drawn by hand.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

RELEASE = "JASPAR2026"
COLLECTION = "CORE"
TAXON = "vertebrates"
HUMAN = "9606"
SEPARATOR = "; "
# TOMTOM's p below this is rounding; −log10 of it caps the similarity.
SMALLEST_P = 1e-15
PSEUDOCOUNT = 0.5

IN_DISTRIBUTION = "in_distribution"
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


@dataclass(frozen=True, eq=False)
class Matrix:
    """One JASPAR matrix.

    Attributes:
        name: identifier with its version, such as MA0139.2.
        factors: upper-case names of the factors it stands for; two for a dimer.
        classes: structural classes of their DNA-binding domains, such as bZIP.
        families: narrower families within the classes, such as Jun-related.
        human: whether it was measured on the human factor.
        probabilities: float (4, W), rows A C G T.
    """

    name: str
    factors: tuple[str, ...]
    classes: tuple[str, ...]
    families: tuple[str, ...]
    human: bool
    probabilities: np.ndarray


def jaspar_matrices(release: str = RELEASE) -> list[Matrix]:
    """Return every vertebrate CORE matrix of a JASPAR release, without a network."""
    from pyjaspar import jaspardb

    motifs = jaspardb(release=release).fetch_motifs(collection=COLLECTION, tax_group=[TAXON])
    return [
        Matrix(
            name=str(motif.matrix_id),
            factors=tuple(part.strip().upper() for part in str(motif.name).split("::")),
            classes=tuple(motif.tf_class or ()),
            families=tuple(motif.tf_family or ()),
            human=HUMAN in (motif.species or ()),
            probabilities=_probabilities(np.array([motif.counts[base] for base in "ACGT"], dtype=np.float64)),
        )
        for motif in motifs
    ]


def matrices_of(factor: str, matrices: Iterable[Matrix]) -> list[Matrix]:
    """Return the matrices of a factor: its own alone where there are such, else those of dimers it is part of.

    Human matrices are taken before those of other vertebrates.
    """
    name = factor.upper()
    own = [matrix for matrix in matrices if name in matrix.factors]
    for chosen in (
        [m for m in own if len(m.factors) == 1 and m.human],
        [m for m in own if len(m.factors) == 1],
        [m for m in own if m.human],
        own,
    ):
        if chosen:
            return chosen
    return []


def nearest_training_factors(
    tested: Sequence[str], training: Sequence[str], matrices: Sequence[Matrix] | None = None
) -> pd.DataFrame:
    """Find the training factor whose matrix is most like a tested factor's.

    Args:
        tested: names of factors.
        training: names of the factors that experts were trained on.
        matrices: what to look in; JASPAR's where none are given. All of them serve TOMTOM as background.

    Returns:
        One row per tested factor, columns ``SIMILARITY_COLUMNS``. ``similarity`` is −log10 of TOMTOM's p.
        ``nearest_stratum`` is ``in_distribution`` for a training factor, ``within_family`` where the nearest
        training factor has a DNA-binding domain of the same class (bZIP, bHLH, …), ``cross_family`` where it has
        not, and ``non_motif`` for a factor without a matrix, whose other columns are missing.
    """
    known = list(matrices) if matrices is not None else jaspar_matrices()
    targets = [(factor, matrix) for factor in training for matrix in matrices_of(factor, known)]
    records = []
    for factor in dict.fromkeys(tested):
        own = matrices_of(factor, known)
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
    p = _tomtom_p(own, background)
    columns = {matrix.name: index for index, matrix in enumerate(background)}
    chosen = p[:, [columns[matrix.name] for _, matrix in candidates]]
    row, column = divmod(int(chosen.argmin()), chosen.shape[1])
    nearest, its_matrix = candidates[column]
    return {
        "matrix": own[row].name,
        "class": SEPARATOR.join(own[row].classes),
        "family": SEPARATOR.join(own[row].families),
        "nearest_factor": nearest,
        "nearest_matrix": its_matrix.name,
        "nearest_class": SEPARATOR.join(its_matrix.classes),
        "nearest_family": SEPARATOR.join(its_matrix.families),
        "tomtom_p": float(chosen[row, column]),
        "similarity": float(-np.log10(max(chosen[row, column], SMALLEST_P))),
    }


def _tomtom_p(queries: Sequence[Matrix], targets: Sequence[Matrix]) -> np.ndarray:
    """Return TOMTOM's p of each query against each target, on both strands: (queries, targets)."""
    from memelite import tomtom

    found = tomtom([m.probabilities for m in queries], [m.probabilities for m in targets], n_jobs=1)
    return np.asarray(found[0])


def _probabilities(counts: np.ndarray) -> np.ndarray:
    padded = counts + PSEUDOCOUNT
    return padded / padded.sum(axis=0)
