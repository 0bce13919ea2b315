"""Motifs: base counts of aligned sequences, and their comparison with known matrices."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from tfbs_moe.data.jaspar import Matrix
from tfbs_moe.sequence import ALPHABET

PSEUDOCOUNT = 1.0
# Columns at the ends of a motif with less information than this, in bits, are trimmed.
SILENT = 0.3
LEAST_WIDTH = 4
# Largest q-value of a match.
FALSE_DISCOVERIES = 0.05


@dataclass(frozen=True, eq=False)
class Motif:
    """A motif found in attributions or in a filter."""

    name: str  # unique within its source
    counts: np.ndarray  # float (4, W), bases at each position
    contribution: np.ndarray  # float (4, W), mean attribution × input; zeros where there is none
    members: int  # sequences it is built from

    @property
    def probabilities(self) -> np.ndarray:
        """Base probabilities (4, W), with a pseudocount of one base per position."""
        counts = self.counts + PSEUDOCOUNT / len(ALPHABET)
        return np.asarray(counts / counts.sum(axis=0))

    @property
    def consensus(self) -> str:
        """The most frequent base at each position, in lower case where its probability is below half."""
        best = self.probabilities.argmax(axis=0)
        share = self.probabilities.max(axis=0)
        letters = (ALPHABET[base] for base in best)
        return "".join(each if value >= 0.5 else each.lower() for each, value in zip(letters, share, strict=True))


def information(probabilities: np.ndarray) -> np.ndarray:
    """Return the information content (W,) of base probabilities (4, W), in bits over uniform bases."""
    safe = np.clip(probabilities, np.finfo(float).tiny, None)
    return np.asarray(2 + (probabilities * np.log2(safe)).sum(axis=0))


def trimmed(motif: Motif) -> Motif | None:
    """Trim uninformative columns from both ends of a motif; None where too few columns remain."""
    loud = np.flatnonzero(information(motif.probabilities) >= SILENT)
    if not len(loud) or loud[-1] - loud[0] + 1 < LEAST_WIDTH:
        return None
    span = slice(int(loud[0]), int(loud[-1]) + 1)
    return Motif(motif.name, motif.counts[:, span], motif.contribution[:, span], motif.members)


def match_motifs(motifs: Sequence[Motif], known: Sequence[Matrix], *, best: int = 3) -> pd.DataFrame:
    """Compare motifs with known matrices (TOMTOM, by memelite; Gupta et al. 2007).

    Returns the ``best`` matrices per motif, nearest first. The p-values depend on ``known``, which needs at least some
    dozens of matrices. ``q`` is Benjamini-Hochberg's over all pairs, ``matched`` is q at most 0.05.
    """
    columns = ["motif", "consensus", "members", "rank", "matrix_id", "matrix_name", "p", "q", "offset", "strand"]
    if not motifs or not known:
        return pd.DataFrame(columns=[*columns, "matched"])
    # memelite and numba take seconds to import.
    from memelite import tomtom

    p, _, offset, _, strand = tomtom(
        [motif.probabilities for motif in motifs], [matrix.probabilities for matrix in known], n_jobs=1
    )[:5]
    q = false_discovery_control(np.clip(p, 0, 1).ravel()).reshape(p.shape)
    rows = []
    for place, motif in enumerate(motifs):
        for rank, nearest in enumerate(np.argsort(p[place], kind="stable")[:best], start=1):
            rows.append(
                {
                    "motif": motif.name,
                    "consensus": motif.consensus,
                    "members": motif.members,
                    "rank": rank,
                    "matrix_id": known[nearest].matrix_id,
                    "matrix_name": known[nearest].name,
                    "p": p[place, nearest],
                    "q": q[place, nearest],
                    "offset": int(offset[place, nearest]),
                    "strand": "+-"[int(strand[place, nearest])],
                }
            )
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(matched=table["q"] <= FALSE_DISCOVERIES)


def motif_table(motifs: Sequence[Motif]) -> pd.DataFrame:
    """Return a row per motif, position (from 1) and base."""
    rows = [
        (motif.name, motif.members, position + 1, ALPHABET[base], motif.probabilities[base, position], value)
        for motif in motifs
        for (base, position), value in np.ndenumerate(motif.contribution)
    ]
    table = pd.DataFrame(rows, columns=["motif", "members", "position", "base", "probability", "contribution"])
    return table.sort_values(["motif", "position", "base"], kind="stable", ignore_index=True)


def motifs_in(table: pd.DataFrame) -> list[Motif]:
    """Return the motifs of a ``motif_table``, in its order."""
    motifs = []
    for name, part in table.groupby("motif", sort=False):
        members = int(part["members"].iloc[0])
        probability, contribution = (
            part.pivot_table(index="base", columns="position", values=values).loc[list(ALPHABET)].to_numpy(dtype=float)
            for values in ("probability", "contribution")
        )
        # The inverse of ``Motif.probabilities``.
        counts = probability * (members + PSEUDOCOUNT) - PSEUDOCOUNT / len(ALPHABET)
        motifs.append(Motif(str(name), counts.clip(0), contribution, members))
    return motifs


def sentence(motifs: Sequence[Motif], matches: pd.DataFrame) -> str:
    """Say in one sentence which motifs were found, even if none."""
    if not motifs:
        return "No motif was found: too few stretches of the explained sequences stand out together."
    named = matches[(matches["rank"] == 1) & matches["matched"]] if len(matches) else matches
    if not len(named):
        return f"{_counted(len(motifs))} found; none resembles a known matrix."
    what = "; ".join(f"{row.motif} resembles {row.matrix_name} (q = {row.q:.1e})" for row in named.itertuples())
    return f"{_counted(len(motifs))} found; {what}."


def _counted(count: int) -> str:
    return "1 motif was" if count == 1 else f"{count} motifs were"
