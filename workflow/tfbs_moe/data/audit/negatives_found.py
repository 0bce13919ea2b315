"""Classify the negatives of a dataset by sequence and position, whatever its file declares."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import wasserstein_distance

from tfbs_moe.data.audit.warnings import AuditThresholds
from tfbs_moe.data.dataset import UNPAIRED, Dataset
from tfbs_moe.data.negatives.shuffles import BLOCK
from tfbs_moe.sequence import UNKNOWN, codes_from_one_hot

Kind = Literal[
    "dinucleotide_shuffle", "block_shuffle", "base_shuffle", "flanks", "gc_matched", "unmatched", "mixture", "none"
]

MAJORITY = 0.75  # below this fraction of the largest kind, negatives are a mixture
FLANK_REACH = 5_000  # bases
_BASES = 5
# A fixed seed, so that the same file gives the same finding; unlike sequences collide once in 2**64.
_WEIGHTS = np.random.default_rng(2507_09754).integers(2**63, size=(3, _BASES, _BASES), dtype=np.uint64) * 2 + 1
_PAIR_WEIGHT, _SINGLE_WEIGHT, _END_WEIGHT = _WEIGHTS


@dataclass(frozen=True)
class NegativesFinding:
    """Kind of a dataset's negatives. Each fraction leaves out what the one above it holds."""

    kind: Kind  # of at least ``MAJORITY`` of them, else ``mixture``
    dinucleotide_shuffle: float  # fraction with exactly the dinucleotide counts and end bases of a positive
    in_order: int  # number of these with the rank among negatives that their positive has among positives
    block_shuffle: float  # fraction that is a positive cut into blocks of two bases and reordered
    base_shuffle: float  # fraction with only the base counts of its positive (that of the same rank, if unpaired)
    flanks: float  # fraction within ``FLANK_REACH`` bases of its positive (of any, if unpaired)
    gc_mismatch: float  # Wasserstein distance between the GC fractions of positives and negatives


class Parents(NamedTuple):
    """What shuffles of sequences preserve of them, as hashes: uint64 (N,) each."""

    dinucleotides: np.ndarray  # see ``dinucleotide_signature``
    blocks: np.ndarray  # see ``block_signatures``

    @classmethod
    def of(cls, codes: np.ndarray) -> "Parents":
        """Return the hashes of codes uint8 (N, L)."""
        return cls(dinucleotide_signature(codes), block_signatures(codes)[:, -1])


def find_negatives(
    dataset: Dataset, more: Iterable[Parents] = (), gc_mismatch: float = AuditThresholds.gc_mismatch
) -> NegativesFinding:
    """Classify the negatives of a dataset.

    A shuffle is recognised by what it preserves of some positive, so even after sequences were reordered or dropped.
    ``more`` are further possible parents, such as another split's positives; other sequence is ``gc_matched`` up to a
    distance ``gc_mismatch`` from the positives. The paper's test files prove to hold
    paired dinucleotide shuffles, its training negatives block shuffles.
    """
    codes = codes_from_one_hot(dataset.one_hot)
    bound = dataset.label == 1
    positives, negatives = codes[bound], codes[~bound]
    if not len(negatives) or not len(positives):
        return NegativesFinding("none", 0.0, 0, 0.0, 0.0, 0.0, float("nan"))
    own = Parents.of(positives)
    dinucleotides, blocks = (np.concatenate(each) for each in zip(own, *more, strict=True))
    theirs = dinucleotide_signature(negatives)
    exact = np.isin(theirs, dinucleotides)
    block = np.zeros(len(negatives), dtype=bool)
    block[~exact] = np.isin(block_signatures(negatives[~exact]), blocks).any(axis=1)
    letter = ~exact & ~block & _same_bases_as_partner(dataset, codes)
    flank = ~exact & ~block & ~letter & _near_positive(dataset)
    rest = ~exact & ~block & ~letter & ~flank
    shares: dict[Kind, float] = {
        "dinucleotide_shuffle": float(exact.mean()),
        "block_shuffle": float(block.mean()),
        "base_shuffle": float(letter.mean()),
        "flanks": float(flank.mean()),
        _unrelated(positives, negatives[rest], gc_mismatch): float(rest.mean()),
    }
    largest = max(shares, key=lambda kind: shares[kind])
    common = min(len(positives), len(negatives))
    return NegativesFinding(
        kind=largest if shares[largest] >= MAJORITY else "mixture",
        dinucleotide_shuffle=shares["dinucleotide_shuffle"],
        in_order=int((own.dinucleotides[:common] == theirs[:common]).sum()),
        block_shuffle=shares["block_shuffle"],
        base_shuffle=shares["base_shuffle"],
        flanks=shares["flanks"],
        gc_mismatch=_gc_mismatch(positives, negatives),
    )


def _unrelated(positives: np.ndarray, negatives: np.ndarray, most: float) -> Kind:
    matched = len(negatives) and _gc_mismatch(positives, negatives) <= most
    return "gc_matched" if matched else "unmatched"


def _gc_mismatch(positives: np.ndarray, negatives: np.ndarray) -> float:
    return float(wasserstein_distance(gc_share(positives), gc_share(negatives)))


def gc_share(codes: np.ndarray) -> np.ndarray:
    """Return the GC fraction of the known bases of each sequence, float64 (N,); 0.5 where none is known."""
    known = (codes != UNKNOWN).sum(axis=1)
    strong = ((codes == 1) | (codes == 2)).sum(axis=1)
    return np.where(known > 0, strong / np.maximum(known, 1), 0.5)


def dinucleotide_signature(codes: np.ndarray) -> np.ndarray:
    """Hash each sequence by its dinucleotide counts and both end bases, uint64 (N,); a sum of random weights."""
    total = _PAIR_WEIGHT[codes[:, :-1], codes[:, 1:]].sum(axis=1)
    return np.asarray(total + _END_WEIGHT[codes[:, 0], codes[:, -1]])


def block_signatures(codes: np.ndarray) -> np.ndarray:
    """Hash each sequence by the blocks of two bases that it is cut into, uint64 (N, F).

    An even length gives one column. An odd length leaves a single base: one column for each position that it may have
    (first, third, ...); the last column, with the single base at the end, is that of a sequence that was not shuffled.
    """
    if codes.shape[1] % BLOCK == 0:
        return np.asarray(_PAIR_WEIGHT[codes[:, ::BLOCK], codes[:, 1::BLOCK]].sum(axis=1, keepdims=True))
    zero = np.zeros((len(codes), 1), dtype=np.uint64)
    # Pairs before the single base start at even positions, those after it at odd ones.
    before = np.cumsum(_PAIR_WEIGHT[codes[:, :-1:BLOCK], codes[:, 1::BLOCK]], axis=1, dtype=np.uint64)
    shifted = _PAIR_WEIGHT[codes[:, 1::BLOCK], codes[:, 2::BLOCK]]
    after = np.cumsum(shifted[:, ::-1], axis=1, dtype=np.uint64)[:, ::-1]
    single = _SINGLE_WEIGHT[codes[:, ::BLOCK], 0]
    return np.asarray(np.hstack([zero, before]) + single + np.hstack([after, zero]))


def _same_bases_as_partner(dataset: Dataset, codes: np.ndarray) -> np.ndarray:
    """Return bool per negative: it has the base counts of its positive (that of the same rank, if unpaired)."""
    negative = np.flatnonzero(dataset.label == 0)
    positive = np.flatnonzero(dataset.label == 1)
    in_place = positive[np.minimum(np.arange(len(negative)), len(positive) - 1)]
    partner = np.where(dataset.pair[negative] == UNPAIRED, in_place, dataset.pair[negative])
    return np.asarray((np.sort(codes[negative], axis=1) == np.sort(codes[partner], axis=1)).all(axis=1))


def _near_positive(dataset: Dataset) -> np.ndarray:
    """Return bool per negative: at most ``FLANK_REACH`` bases from its positive, or from any if unpaired."""
    negative = np.flatnonzero(dataset.label == 0)
    partner = dataset.pair[negative]
    beside_partner = (
        (partner != UNPAIRED)
        & (dataset.chrom[negative] != "")
        & (dataset.chrom[negative] == dataset.chrom[partner])
        & (np.abs(dataset.start[negative] - dataset.start[partner]) <= FLANK_REACH)
    )
    return np.where(partner == UNPAIRED, _near_any_positive(dataset)[negative], beside_partner)


def _near_any_positive(dataset: Dataset) -> np.ndarray:
    """Return bool (N,): at most ``FLANK_REACH`` bases from a positive of the chromosome."""
    near = np.zeros(len(dataset), dtype=bool)
    for chrom in np.unique(dataset.chrom[dataset.chrom != ""]):
        rows = np.flatnonzero(dataset.chrom == chrom)
        centres = np.sort(dataset.start[rows[dataset.label[rows] == 1]])
        if len(centres):
            first = np.searchsorted(centres, dataset.start[rows] - FLANK_REACH, side="left")
            last = np.searchsorted(centres, dataset.start[rows] + FLANK_REACH, side="right")
            near[rows] = last > first
    return near
