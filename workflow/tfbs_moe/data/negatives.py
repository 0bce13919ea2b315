"""Unbound sequences for bound ones: one interface, several kinds, and any mixture of them.

A kind is a function ``(task, parents, rng) -> Negatives`` in ``PROVIDERS``: it is given the split's
positives and a list of those that want a negative, and answers with as many as it can find. What is
missing is counted here, and too much of it is an error.
"""

from collections.abc import Callable, Mapping

import numpy as np

from tfbs_moe.data.candidates import Negatives, Task, join
from tfbs_moe.data.counts import Counts
from tfbs_moe.data.gc_matching import gc_matched
from tfbs_moe.data.genomic_negatives import flanks, other_peaks
from tfbs_moe.data.shuffles import block_shuffle, dinucleotide_shuffle, unchanged
from tfbs_moe.errors import InputError
from tfbs_moe.runtime import rng

Provider = Callable[[Task, np.ndarray, np.random.Generator], Negatives]
Mixture = Mapping[str, float]

# Positives at the extremes of GC, or in a crowd of peaks, may go without a negative, up to here.
MAX_SHORTFALL = 0.01
_SHARES_TOLERANCE = 1e-6


def _shuffled(kind: str, shuffle: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Provider:
    def provide(task: Task, parents: np.ndarray, draw: np.random.Generator) -> Negatives:
        originals = task.codes[parents]
        codes = shuffle(originals, draw)
        # A homopolymer shuffles into itself: that would be one sequence with both labels.
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


def make_negatives(
    task: Task, kinds: str | Mixture, counts: Counts, *, ratio: float = 1.0, seed: int = 0, name: str = ""
) -> Negatives:
    """Make negatives for the positives of a split.

    Every positive gets ``ratio`` negatives (a fraction goes to positives drawn at random). In a
    mixture each negative's kind is drawn so that the shares hold exactly, but for rounding.

    Args:
        task: the positives and where negatives may come from.
        kinds: one of ``PROVIDERS``, or shares by kind that add up to 1.
        counts: ledger to go on with.
        ratio: negatives per positive, above 0.
        seed: root seed of the study.
        name: the experiment and split, for the seeds' names.

    Raises:
        InputError: a kind is unknown, shares or ratio are out of range, or more than 1 % of the
            negatives of a kind cannot be had; the message says how many were found and needed.
    """
    shares = read_mixture(kinds)
    if not 0 < ratio < np.inf:
        raise InputError(f"negatives: ratio is {ratio}; a number of negatives per positive above 0 was expected")
    slots = _slots(len(task.codes), ratio, rng(seed, "negatives", name, "slots"))
    parts = []
    for kind, parents in _dealt(slots, shares, rng(seed, "negatives", name, "kinds")).items():
        found = PROVIDERS[kind](task, parents, rng(seed, "negatives", name, kind))
        _check_enough(kind, len(found), len(parents))
        counts.add("negatives", len(found), f"{kind}: {len(found)} found of {len(parents)} wanted")
        parts.append(found)
    return join(parts)


def read_mixture(kinds: str | Mixture) -> dict[str, float]:
    """Return shares by kind, checked; a single kind has all.

    Raises:
        InputError: a kind is unknown, a share is not above 0, or shares do not add up to 1.
    """
    shares = {kinds: 1.0} if isinstance(kinds, str) else dict(kinds)
    unknown = [kind for kind in shares if kind not in PROVIDERS]
    if unknown:
        raise InputError(f"negatives: unknown kind {unknown[0]!r}; known are {', '.join(PROVIDERS)}")
    if not shares or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > _SHARES_TOLERANCE:
        raise InputError(f"negatives: the shares of a mixture must be above 0 and add up to 1; they are {shares}")
    return shares


def _slots(positives: int, ratio: float, draw: np.random.Generator) -> np.ndarray:
    """Return the positive of every negative wanted, int64, ascending."""
    each, total = int(ratio), round(ratio * positives)
    extra = draw.choice(positives, size=max(0, total - each * positives), replace=False)
    return np.sort(np.concatenate([np.repeat(np.arange(positives), each), extra])).astype(np.int64)


def _dealt(slots: np.ndarray, shares: dict[str, float], draw: np.random.Generator) -> dict[str, np.ndarray]:
    ends = np.round(np.cumsum(list(shares.values())) * len(slots)).astype(np.int64)
    order = draw.permutation(len(slots)) if len(shares) > 1 else np.arange(len(slots))
    parts = np.split(slots[order], ends[:-1])
    return {kind: np.sort(part) for kind, part in zip(shares, parts, strict=True)}


def _check_enough(kind: str, found: int, wanted: int) -> None:
    if wanted - found > MAX_SHORTFALL * wanted:
        raise InputError(
            f"negatives: too few of kind {kind}: {found} were found and {wanted} are needed "
            f"({MAX_SHORTFALL:.0%} may be missing). {_ADVICE[kind]}"
        )


_ADVICE = {
    "dinucleotide_shuffle": "The others equal their positives, which are of one letter or nearly so.",
    "block_shuffle": "The others equal their positives, which are of one letter or nearly so.",
    "gc_matched": "Allow a larger gc_tolerance, a lower ratio, or more chromosomes in this split.",
    "flanks": "Allow flanks farther from the summit (flank_farthest), or a lower ratio.",
    "other_peaks": "Give more peak files of other factors, or a lower ratio.",
}
