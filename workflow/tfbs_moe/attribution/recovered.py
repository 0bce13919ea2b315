"""Motifs that the models of a study recovered: in the attributions of all explained sequences, and in their filters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tfbs_moe.attribution.motifs import information, match_motifs, motif_table, motifs_in, sentence, trimmed
from tfbs_moe.attribution.seqlets import Discovery, discover_motifs
from tfbs_moe.attribution.store import read_attributions
from tfbs_moe.attribution.summary import labelled
from tfbs_moe.data.jaspar import Matrix

FIRST_LAYER = "first_layer"
"""In the place of a method: motifs of the windows that excite a filter of the first layer."""
SUMMARY_COLUMNS = ["protocol", "model", "method", "sequences", "motifs", "matched", "sentence"]

LEAST_BITS = 6.0
"""What a filter has to say to be compared: as much as three certain bases. TOMTOM calls flat motifs like long ones."""
_NAMED = 3
"""Matrices that a sentence names."""

Group = tuple[str, str, str]
"""Protocol, model and method."""


@dataclass(frozen=True)
class Recovered:
    """What was found in the attributions of a study's models.

    Attributes:
        motifs: ``motifs.motif_table`` of every model, with ``protocol`` ``model`` ``method`` before it.
        matches: ``motifs.match_motifs`` of every model, likewise.
        summary: one row per model: explained ``sequences``, ``motifs`` found in them, how many of these a known matrix
            ``matched``, and the ``sentence`` that says so.
    """

    motifs: pd.DataFrame
    matches: pd.DataFrame
    summary: pd.DataFrame


def grouped(paths: Iterable[str]) -> dict[Group, list[Path]]:
    """Group ``<protocol>/<model>/<experiment>/<method>.h5`` by protocol, model and method, in the order given."""
    groups: dict[Group, list[Path]] = {}
    for path in map(Path, paths):
        protocol, model, _, _ = path.parts[-4:]
        groups.setdefault((protocol, model, path.stem), []).append(path)
    return groups


def recovered(groups: Mapping[Group, Sequence[Path]], known: Sequence[Matrix], *, members: int) -> Recovered:
    """Seek motifs in the attributions of each model over all its explained sequences.

    Args:
        groups: attribution files by protocol, model and method.
        known: matrices to compare with.
        members: least seqlets of a motif.
    """
    how = Discovery(members=members)
    motifs, matches, summary = [], [], []
    for group, paths in groups.items():
        names = dict(zip(SUMMARY_COLUMNS, group, strict=False))
        files = [read_attributions(path) for path in paths]
        attribution = np.concatenate([file.attribution for file in files])
        X = np.concatenate([file.one_hot for file in files])
        found = discover_motifs(attribution, X, how)
        like = match_motifs(found, known)
        motifs.append(labelled(motif_table(found), names))
        matches.append(labelled(like, names))
        matched = like.loc[like["matched"].astype(bool), "motif"].nunique()
        values = [len(X), len(found), matched, sentence(found, like)]
        summary.append(names | dict(zip(SUMMARY_COLUMNS[len(group) :], values, strict=True)))
    return Recovered(
        pd.concat(motifs, ignore_index=True),
        pd.concat(matches, ignore_index=True),
        pd.DataFrame(summary, columns=SUMMARY_COLUMNS),
    )


def filters_of(table: pd.DataFrame, experts: Sequence[Mapping[str, str]], known: Sequence[Matrix]) -> Recovered:
    """Compare what the filters of experts look like with known matrices.

    Args:
        table: ``motifs.motif_table`` of each expert's filters, with ``protocol`` and ``model``; see ``filters``.
        experts: ``protocol`` and ``model`` of every expert that was asked, those without filters among them.
        known: matrices to compare with.
    """
    motifs, matches, summary = [], [], []
    for expert in experts:
        names = dict(expert) | {"method": FIRST_LAYER}
        mine = table[(table["protocol"] == expert["protocol"]) & (table["model"] == expert["model"])]
        own = mine.drop(columns=["protocol", "model"])
        responding = motifs_in(own)
        ends_cut = [cut for motif in responding if (cut := trimmed(motif)) is not None]
        found = [motif for motif in ends_cut if information(motif.probabilities).sum() >= LEAST_BITS]
        like = match_motifs(found, known)
        motifs.append(labelled(motif_table(found), names))
        matches.append(labelled(like, names))
        best = like[(like["rank"] == 1) & like["matched"].astype(bool)].sort_values("p", kind="stable")
        said = _filters_said(len(responding), len(found), best)
        summary.append(names | {"sequences": 0, "motifs": len(found), "matched": len(best), "sentence": said})
    return Recovered(
        pd.concat(motifs, ignore_index=True),
        pd.concat(matches, ignore_index=True),
        pd.DataFrame(summary, columns=SUMMARY_COLUMNS),
    )


def joined(*parts: Recovered) -> Recovered:
    """Put what was recovered in several ways below each other."""
    return Recovered(
        *(
            pd.concat([getattr(part, name) for part in parts], ignore_index=True)
            for name in ("motifs", "matches", "summary")
        )
    )


def _filters_said(responding: int, compared: int, best: pd.DataFrame) -> str:
    """Say how many filters are like a known matrix, and which are so most surely."""
    if not responding:
        return "No filter of the first layer can be drawn: the network has none over the four bases, or none responds."
    if not compared:
        return f"None of the {responding} filters of the first layer that respond is picky enough to be a motif."
    these = f"{responding} filters of the first layer respond, {compared} of them as picky as three certain bases;"
    if best.empty:
        return f"{these} none of these is like a known matrix."
    surest = best.drop_duplicates("matrix_name").head(_NAMED)
    what = ", ".join(f"{row.matrix_name} ({row.motif}, q = {row.q:.1e})" for row in surest.itertuples())
    verb = "is" if len(best) == 1 else "are"
    return f"{these} {len(best)} of these {verb} like a known matrix, first of all {what}."
