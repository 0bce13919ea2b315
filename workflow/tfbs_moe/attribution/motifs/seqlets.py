"""Light motif discovery from attributions, after TF-MoDISco (Shrikumar et al. 2018, arXiv 1811.00416).

It needs no package beyond those installed anyway: tangermeme calls seqlets, the cosine of their contributions compares
them, average linkage clusters them.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from tfbs_moe.attribution.motifs.motif import Motif, trimmed
from tfbs_moe.errors import InputError

log = logging.getLogger(__name__)

SEQLET_COLUMNS = ("sequence", "start", "end", "attribution")
_CHUNK = 256


@dataclass(frozen=True)
class Discovery:
    """Settings of motif discovery."""

    core: int = 11  # bases that have to stand out together
    flank: int = 5  # bases on either side that are compared and averaged too
    false_discoveries: float = 0.2  # largest fraction of chance seqlets
    most: int = 1000  # strongest seqlets to cluster, at a cost that grows with their square
    slide: int = 7  # bases by which two seqlets are shifted against each other, at most
    similarity: float = 0.5  # least mean cosine between clusters to join them
    members: int = 15  # least seqlets of a motif

    @property
    def width(self) -> int:
        """Bases of a seqlet with its flanks."""
        return self.core + 2 * self.flank


def call_seqlets(contribution: np.ndarray, how: Discovery) -> pd.DataFrame:
    """Call the intervals of either sign that stand out in contributions (N, L) of the present bases, strongest first.

    TF-MoDISco's way, by tangermeme; ``attribution`` is the sum over a seqlet's core. No rows where there is no
    background to stand out from: too few or too even values, or none above or below zero.
    """
    nothing = pd.DataFrame(columns=list(SEQLET_COLUMNS))
    if not contribution.size or contribution.shape[1] < how.width or not np.ptp(contribution):
        return nothing
    # tangermeme and numba take seconds to import.
    from tangermeme.seqlet import tfmodisco_seqlets

    values = torch.from_numpy(np.ascontiguousarray(contribution, dtype=np.float32))
    sums = values.unfold(-1, how.core, 1).sum(dim=-1)
    if (sums >= 0).all() or (sums < 0).all():
        log.warning("no seqlets: the contributions of %d sequences are all of one sign", len(values))
        return nothing
    try:
        with _thresholds_of_sorted_sums():
            found = tfmodisco_seqlets(values, window_size=how.core, flank=how.flank, target_fdr=how.false_discoveries)
    except (ValueError, ZeroDivisionError) as error:
        # Its null distribution, fitted to the window sums, has no value on one side of zero.
        log.warning("no seqlets: the contributions of %d sequences have no background (%s)", len(values), error)
        return nothing
    table = found.rename(columns={"example_idx": "sequence"})[list(SEQLET_COLUMNS)]
    # Ties in a fixed order, so that the same attributions give the same motifs.
    order = np.lexsort((table["start"], table["sequence"], -table["attribution"].abs()))
    return table.iloc[order].reset_index(drop=True)


@contextmanager
def _thresholds_of_sorted_sums() -> Iterator[None]:
    """Let tangermeme call the same seqlets whatever the order of the sequences.

    Its threshold is the first window sum, in the order given, that stands out; TF-MoDISco's is the least, as it sorts.
    """
    from tangermeme import seqlet

    threshold = seqlet._isotonic_thresholds

    def of_sorted(values: torch.Tensor, null: torch.Tensor, increasing: bool, target_fdr: float) -> float:
        outwards = values.sort(descending=not increasing).values
        return float(threshold(outwards, null, increasing=increasing, target_fdr=target_fdr))

    seqlet._isotonic_thresholds = of_sorted
    try:
        yield
    finally:
        seqlet._isotonic_thresholds = threshold


def discover_motifs(attribution: np.ndarray, X: np.ndarray, how: Discovery | None = None) -> list[Motif]:
    """Find motifs ``pos_<k>`` that raise the logit, and ``neg_<k>`` that lower it, by decreasing number of seqlets."""
    how = how or Discovery()
    if attribution.shape != X.shape:
        raise InputError(f"attribution has shape {attribution.shape} for sequences of shape {X.shape}")
    contribution = attribution * X
    seqlets = call_seqlets(contribution.sum(axis=1), how)
    motifs = []
    for sign, name in ((1, "pos"), (-1, "neg")):
        mine = seqlets[np.sign(seqlets["attribution"].to_numpy(dtype=float)) == sign].head(how.most)
        windows = _windows(sign * contribution, mine, how.width)
        letters = _windows(X.astype(np.float32), mine, how.width)
        found = [_average(windows, letters, sign, *cluster) for cluster in _clusters(windows, how)]
        kept = [each for each in (trimmed(motif) for motif in found) if each is not None]
        kept.sort(key=lambda motif: -motif.members)
        motifs += [
            Motif(f"{name}_{rank}", each.counts, each.contribution, each.members) for rank, each in enumerate(kept, 1)
        ]
    return motifs


def _windows(values: np.ndarray, seqlets: pd.DataFrame, width: int) -> np.ndarray:
    """Return (S, 4, width) around the midpoint of each seqlet, zero beyond the sequence."""
    padded = np.pad(values, ((0, 0), (0, 0), (width, width)))
    middle = (seqlets["start"].to_numpy(dtype=int) + seqlets["end"].to_numpy(dtype=int)) // 2
    columns = (middle - width // 2 + width)[:, None] + np.arange(width)
    return padded[seqlets["sequence"].to_numpy(dtype=int)[:, None], :, columns].transpose(0, 2, 1)


def _clusters(windows: np.ndarray, how: Discovery) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return the members of each cluster of seqlets, with their shift and strand against the most central one."""
    if len(windows) < max(2, how.members):
        return []
    similarity, shift, turned = _compare(windows, how.slide)
    distance = 1 - similarity
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average")
    labels = fcluster(tree, 1 - how.similarity, "distance")
    clusters = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) >= how.members:
            centre = members[similarity[np.ix_(members, members)].sum(axis=1).argmax()]
            clusters.append((members, shift[centre, members], turned[centre, members]))
    return clusters


def _compare(windows: np.ndarray, slide: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the best cosine (S, S) of any two seqlets, and the shift and strand of the second that reach it."""
    count, _, width = windows.shape
    norm = np.linalg.norm(windows.reshape(count, -1), axis=1)
    unit = windows / np.where(norm > 0, norm, 1)[:, None, None]
    best = np.full((count, count), -np.inf, dtype=np.float32)
    shift = np.zeros((count, count), dtype=np.int16)
    turned = np.zeros((count, count), dtype=bool)
    for strand, other in ((False, unit), (True, unit[:, ::-1, ::-1])):
        for step in range(-slide, slide + 1):
            moved = _moved(other, step).reshape(count, -1).astype(np.float32)
            for first in range(0, count, _CHUNK):
                rows = slice(first, first + _CHUNK)
                value = unit[rows].reshape(-1, 4 * width).astype(np.float32) @ moved.T
                better = value > best[rows]
                best[rows][better] = value[better]
                shift[rows][better] = step
                turned[rows][better] = strand
    # The two orders of a pair truncate different ends; the better one holds for both. Rounding, which varies between
    # processors, takes cosines of equal seqlets beyond 1, and no distance may be negative.
    return np.clip(np.maximum(best, best.T), -1, 1), shift, turned


def _moved(windows: np.ndarray, step: int) -> np.ndarray:
    """Return windows shifted ``step`` columns to the right, zeros coming in."""
    moved = np.roll(windows, step, axis=2)
    if step:
        moved[..., slice(None, step) if step > 0 else slice(step, None)] = 0
    return moved


def _average(
    windows: np.ndarray, letters: np.ndarray, sign: int, members: np.ndarray, shift: np.ndarray, turned: np.ndarray
) -> Motif:
    """Align the members of a cluster and average them."""
    totals = []
    for values in (windows, letters):
        laid = [
            _moved(values[member : member + 1, :: -1 if turn else 1, :: -1 if turn else 1], int(step))[0]
            for member, step, turn in zip(members, shift, turned, strict=True)
        ]
        totals.append(np.sum(laid, axis=0))
    return Motif("", totals[1], sign * totals[0] / len(members), len(members))
