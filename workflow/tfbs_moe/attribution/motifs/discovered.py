"""Motifs discovered in a study's models: in attributions of all explained sequences, and in their filters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfbs_moe.attribution.motifs import modisco
from tfbs_moe.attribution.motifs.motif import (
    Motif,
    information,
    match_motifs,
    motif_table,
    motifs_in,
    sentence,
    trimmed,
)
from tfbs_moe.attribution.motifs.seqlets import Discovery, discover_motifs
from tfbs_moe.attribution.names import FIRST_LAYER, MODISCO
from tfbs_moe.attribution.store import joined_attributions
from tfbs_moe.data.jaspar import Matrix
from tfbs_moe.tables import labelled

SUMMARY_COLUMNS = ["protocol", "model", "method", "sequences", "motifs", "matched", "sentence"]

LEAST_BITS, WITHIN = 6.0, 8
"""Least information of a filter within so many bases to be compared: that of three certain bases.

TOMTOM's p-values match a long motif of little information everywhere to any long matrix, CTCF's first of all.
"""
_NAMED = 3
"""Matrices that a sentence names."""

Group = tuple[str, str, str]
"""Protocol, model and method."""


@dataclass(frozen=True)
class Discovered:
    """Motifs of a study's models; every table begins with ``protocol``, ``model`` and ``method``."""

    motifs: pd.DataFrame  # see ``motifs.motif_table``
    matches: pd.DataFrame  # see ``motifs.match_motifs``
    summary: pd.DataFrame  # a row per model and method; no ``sequences`` where a method does not take them singly


def grouped(paths: Iterable[str]) -> dict[Group, list[Path]]:
    """Group ``<protocol>/<model>/<experiment>/<method>.h5`` by protocol, model and method, in the order given."""
    groups: dict[Group, list[Path]] = {}
    for path in map(Path, paths):
        protocol, model, _, _ = path.parts[-4:]
        groups.setdefault((protocol, model, path.stem), []).append(path)
    return groups


def discovered_motifs(groups: Mapping[Group, Sequence[Path]], known: Sequence[Matrix], *, members: int) -> Discovered:
    """Discover motifs of at least ``members`` seqlets in each model's attributions of all its explained sequences."""
    how = Discovery(members=members)
    parts = []
    for group, paths in groups.items():
        attribution, X = joined_attributions(paths)
        found = discover_motifs(attribution, X, how) if len(X) else []
        like = match_motifs(found, known)
        said = (
            sentence(found, like) if len(X) else "No sequence was explained: the model or the test sets were left out."
        )
        parts.append(_told(group, found, like, said, sequences=len(X)))
    return joined(*parts)


def patterns_of(paths: Iterable[str], known: Sequence[Matrix]) -> Discovered:
    """Compare the motifs of TF-MoDISco, files ``<protocol>/<model>/motifs.h5``, with known matrices."""
    parts = []
    for path in map(Path, paths):
        protocol, model, _ = path.parts[-3:]
        found = modisco.read_motifs(path)
        like = match_motifs(found, known)
        parts.append(_told((protocol, model, MODISCO), found, like, f"TF-MoDISco: {sentence(found, like)}"))
    return joined(*parts)


def filters_of(table: pd.DataFrame, experts: Sequence[Mapping[str, str]], known: Sequence[Matrix]) -> Discovered:
    """Compare the first-layer filters in a ``motif_table`` with known matrices; an expert may have none there."""
    parts = []
    for expert in experts:
        mine = table[(table["protocol"] == expert["protocol"]) & (table["model"] == expert["model"])]
        responding = motifs_in(mine)
        ends_cut = [cut for motif in responding if (cut := trimmed(motif)) is not None]
        found = [motif for motif in ends_cut if _loudest(motif) >= LEAST_BITS]
        like = match_motifs(found, known)
        said = _filters_said(len(responding), len(found), _best(like))
        parts.append(_told((expert["protocol"], expert["model"], FIRST_LAYER), found, like, said))
    return joined(*parts)


def joined(*parts: Discovered) -> Discovered:
    """Concatenate results; of none, return tables without rows."""
    empty = _told(("", "", ""), [], match_motifs([], []), "")
    motifs, matches, summary = (
        pd.concat([getattr(part, name) for part in (empty, *parts)], ignore_index=True)
        for name in ("motifs", "matches", "summary")
    )
    return Discovered(motifs, matches, summary[summary["protocol"] != ""].reset_index(drop=True))


def _told(
    group: Group, motifs: Sequence[Motif], matches: pd.DataFrame, said: str, *, sequences: int | None = None
) -> Discovered:
    """Return the tables of one model's motifs."""
    names = dict(zip(SUMMARY_COLUMNS, group, strict=False))
    values: list[Any] = [sequences, len(motifs), len(_best(matches)), said]
    row = names | dict(zip(SUMMARY_COLUMNS[len(group) :], values, strict=True))
    summary = pd.DataFrame([row], columns=SUMMARY_COLUMNS).astype({"sequences": "Int64"})
    return Discovered(labelled(motif_table(motifs), names), labelled(matches, names), summary)


def _best(matches: pd.DataFrame) -> pd.DataFrame:
    """Return the nearest matrix of each motif that matches one, by p-value."""
    return matches[(matches["rank"] == 1) & matches["matched"].astype(bool)].sort_values("p", kind="stable")


def _loudest(motif: Motif) -> float:
    """Return the most information, in bits, that a motif has within ``WITHIN`` neighbouring bases."""
    return float(np.convolve(information(motif.probabilities), np.ones(WITHIN)).max())


def _filters_said(responding: int, compared: int, best: pd.DataFrame) -> str:
    """Say how many filters match a known matrix, and name the best matches."""
    if not responding:
        return "No filter of the first layer can be drawn: the network has none over the four bases, or none responds."
    if not compared:
        return f"None of the {responding} filters of the first layer that respond is selective enough to be a motif."
    these = (
        f"{responding} filters of the first layer respond, {compared} of them with the information of three certain "
        f"bases within {WITHIN};"
    )
    if best.empty:
        return f"{these} none of these resembles a known matrix."
    surest = best.drop_duplicates("matrix_name").head(_NAMED)
    what = ", ".join(f"{row.matrix_name} ({row.motif}, q = {row.q:.1e})" for row in surest.itertuples())
    verb = "resembles" if len(best) == 1 else "resemble"
    return f"{these} {len(best)} of these {verb} a known matrix, most clearly {what}."
