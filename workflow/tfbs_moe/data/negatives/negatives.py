"""Negatives (unbound sequences) for positives: one interface, several kinds, and mixtures of them.

A kind is a function ``(task, parents, rng) -> Negatives`` in ``PROVIDERS`` that returns as many negatives as it finds
for ``parents``, which number positives of the split. This module counts what is missing and, where that is much,
excludes the positives without a negative.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tfbs_moe.data.counts import Counts
from tfbs_moe.data.dataset import UNPAIRED
from tfbs_moe.data.negatives.candidates import Negatives, Task, join
from tfbs_moe.data.negatives.genomic import flanks, gc_matched, other_peaks
from tfbs_moe.data.negatives.shuffles import block_shuffle, dinucleotide_shuffle, unchanged
from tfbs_moe.errors import InputError
from tfbs_moe.runtime import rng

Provider = Callable[[Task, np.ndarray, np.random.Generator], Negatives]
Mixture = Mapping[str, float]

# Up to this fraction, positives at extremes of GC or among crowded peaks may go without a negative.
MAX_SHORTFALL = 0.01
_SHARES_TOLERANCE = 1e-6


def _shuffled(kind: str, shuffle: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Provider:
    def provide(task: Task, parents: np.ndarray, draw: np.random.Generator) -> Negatives:
        originals = task.codes[parents]
        codes = shuffle(originals, draw)
        # A homopolymer shuffles into itself, and would be one sequence with both labels.
        changed = ~unchanged(originals, codes)
        found = parents[changed]
        return Negatives.unplaced(codes[changed], found, task.sources(kind, found))

    return provide


PROVIDERS: dict[str, Provider] = {
    "dinucleotide_shuffle": _shuffled("dinucleotide_shuffle", dinucleotide_shuffle),
    "block_shuffle": _shuffled("block_shuffle", block_shuffle),
    "gc_matched": gc_matched,
    "flanks": flanks,
    "other_peaks": other_peaks,
}
# Genomic kinds in the order in which they take their positions: the scarcest first.
_PLACED = ("other_peaks", "flanks", "gc_matched")


class Made(NamedTuple):
    """The negatives of a split's positives."""

    negatives: Negatives  # M rows; ``parent`` numbers the kept positives
    kept: np.ndarray  # bool (N,), positives that have a partner or need none
    shortage: str  # why some are not kept, with numbers; empty where all are


def make_negatives(
    task: Task, kinds: str | Mixture, counts: Counts, *, ratio: float = 1.0, seed: int = 0, name: str = ""
) -> Made:
    """Make ``ratio`` negatives per positive, and exclude the positives for which too few are found.

    The remainder of a fractional ratio goes to positives drawn at random. In a mixture, the kind of each negative is
    drawn such that the fractions hold up to rounding, and no negative overlaps another. Positives are excluded only
    where more than 1 % of a kind is missing; for kinds that belong to no positive, they are drawn at random. ``name``,
    of the experiment and split, distinguishes the random streams. Raises InputError where a kind is unknown, or
    fractions or ratio are out of range.
    """
    shares = read_mixture(kinds)
    if not 0 < ratio < np.inf:
        raise InputError(f"negatives: ratio is {ratio}; a number of negatives per positive above 0 was expected")
    slots = _slots(len(task.codes), ratio, rng(seed, "negatives", name, "slots"))
    wanted = _dealt(slots, shares, rng(seed, "negatives", name, "kinds"))
    parts, partnered, said = {}, np.zeros(len(task.codes), dtype=bool), []
    for kind in sorted(wanted, key=lambda kind: _PLACED.index(kind) if kind in _PLACED else len(_PLACED)):
        parents = wanted[kind]
        found = parts[kind] = PROVIDERS[kind](task, parents, rng(seed, "negatives", name, kind))
        if kind in _PLACED:
            task = replace(task, free=task.free.without(found.chrom, found.start, found.start + task.length))
        if len(parents) - len(found) > MAX_SHORTFALL * len(parents):
            parents = _served(found, parents, rng(seed, "negatives", name, kind, "partners"))
            said.append(
                f"{len(found)} negatives of kind {kind} were found of {len(wanted[kind])} wanted. {_ADVICE[kind]}"
            )
        partnered[parents] = True
    kept = _kept(slots, partnered, rng(seed, "negatives", name, "partners")) if said else np.ones_like(partnered)
    for kind in shares:
        counts.add("negatives", len(parts[kind]), f"{kind}: {len(parts[kind])} found of {len(wanted[kind])} wanted")
    if said:
        counts.drop("partners", int((~kept).sum()), "positives that too few negatives were found for")
    return Made(_renumbered(join([parts[kind] for kind in shares]), kept), kept, " ".join(said))


def read_mixture(kinds: str | Mixture) -> dict[str, float]:
    """Return the fraction of each kind; InputError unless kinds are known, and fractions above 0 and sum to 1."""
    shares = {kinds: 1.0} if isinstance(kinds, str) else dict(kinds)
    unknown = [kind for kind in shares if kind not in PROVIDERS]
    if unknown:
        raise InputError(f"negatives: unknown kind {unknown[0]!r}; known are {', '.join(PROVIDERS)}")
    if not shares or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > _SHARES_TOLERANCE:
        raise InputError(f"negatives: the shares of a mixture must be above 0 and add up to 1; they are {shares}")
    return shares


def _slots(positives: int, ratio: float, draw: np.random.Generator) -> np.ndarray:
    """Return the positive of every wanted negative, int64, ascending."""
    each, total = int(ratio), round(ratio * positives)
    extra = draw.choice(positives, size=max(0, total - each * positives), replace=False)
    return np.sort(np.concatenate([np.repeat(np.arange(positives), each), extra])).astype(np.int64)


def _dealt(slots: np.ndarray, shares: dict[str, float], draw: np.random.Generator) -> dict[str, np.ndarray]:
    ends = np.round(np.cumsum(list(shares.values())) * len(slots)).astype(np.int64)
    order = draw.permutation(len(slots)) if len(shares) > 1 else np.arange(len(slots))
    parts = np.split(slots[order], ends[:-1])
    return {kind: np.sort(part) for kind, part in zip(shares, parts, strict=True)}


def _served(found: Negatives, parents: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return the positives whose partners were found, drawn at random where negatives belong to no positive."""
    own = found.parent[found.parent != UNPAIRED]
    # By whole positives, so that those kept have all their negatives.
    positive, each = np.unique(parents, return_counts=True)
    order = draw.permutation(len(positive))
    before = np.cumsum(each[order]) - each[order]
    return np.concatenate([own, positive[order[before < len(found) - len(own)]]])


def _kept(slots: np.ndarray, partnered: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return which positives stay: those with a partner, and the same fraction of those that need none."""
    wanting = np.zeros_like(partnered)
    wanting[slots] = True
    kept = wanting & partnered
    idle = np.flatnonzero(~wanting)
    kept[draw.choice(idle, round(len(idle) * kept.sum() / max(wanting.sum(), 1)), replace=False)] = True
    return kept


def _renumbered(negatives: Negatives, kept: np.ndarray) -> Negatives:
    """Renumber parents by the positives that are kept."""
    place = np.append(np.cumsum(kept) - 1, UNPAIRED)
    return replace(negatives, parent=place[negatives.parent])


_ADVICE = {
    "dinucleotide_shuffle": "The others equal their positives, which are of one base or nearly so.",
    "block_shuffle": "The others equal their positives, which are of one base or nearly so.",
    "gc_matched": "Allow a larger gc_tolerance, a lower ratio, or more chromosomes in this split.",
    "flanks": "Allow flanks farther from the summit (flank_farthest), or a lower ratio.",
    "other_peaks": "Give more peak files of other factors, or a lower ratio.",
}
