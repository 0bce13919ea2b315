"""Motifs that the models of a study recovered: sought in all explained sequences of a model, and told of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tfbs_moe.attribution.motifs import match_motifs, motif_table, sentence
from tfbs_moe.attribution.seqlets import Discovery, discover_motifs
from tfbs_moe.attribution.store import read_attributions
from tfbs_moe.attribution.summary import labelled
from tfbs_moe.data.jaspar import Matrix

SUMMARY_COLUMNS = ["protocol", "model", "method", "sequences", "motifs", "matched", "sentence"]

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
