"""Related sequences, which a split or fold must not part: what a network memorised of one, it knows of the other."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array, eye_array, kron
from scipy.sparse.csgraph import connected_components

from tfbs_moe.data.dataset import UNPAIRED, Dataset
from tfbs_moe.data.kmers import kmers_in_common, sequence_ids, shared_sequences
from tfbs_moe.sequence import codes_from_one_hot


def row_groups(codes: np.ndarray, pair: np.ndarray) -> np.ndarray:
    """Number the groups of a positive, its negatives and all their repeats on either strand: int (N,), without gaps."""
    rows = np.arange(len(codes))
    sequence = sequence_ids(codes)
    partner = np.where(pair == UNPAIRED, rows, pair)
    # A graph of rows and sequences: each row is joined to its sequence and to its pair.
    size = 2 * len(codes)
    start, stop = np.concatenate([rows, rows]), np.concatenate([sequence + len(codes), partner])
    graph = coo_array((np.ones(len(start), dtype=np.int8), (start, stop)), shape=(size, size))
    _, number = connected_components(graph, directed=False)
    return np.asarray(np.unique(number[: len(codes)], return_inverse=True)[1])


def draw_groups(groups: np.ndarray, fraction: float, draw: np.random.Generator) -> np.ndarray:
    """Return bool (N,): whole groups, drawn at random until ``fraction`` of the sequences is reached."""
    _, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = draw.permutation(len(sizes))
    before = np.cumsum(sizes[order]) - sizes[order]
    taken = np.zeros(len(sizes), dtype=bool)
    taken[order[before < round(fraction * len(groups))]] = True
    return np.asarray(taken[number])


# Longer than any chromosome.
_CHROMOSOME_STRIDE = 2**40


class Pieces(NamedTuple):
    """Sequences and their positions in the genome."""

    codes: np.ndarray  # uint8 (N, L), 0 to 4
    chrom: np.ndarray  # str (N,), empty where the position is unknown
    start: np.ndarray  # int64 (N,), 0-based
    assembly: str  # of the positions

    @classmethod
    def of(cls, dataset: Dataset) -> "Pieces":
        """Return the sequences of a dataset."""
        assembly = str(dataset.attributes.get("assembly", ""))
        return cls(codes_from_one_hot(dataset.one_hot), dataset.chrom, dataset.start, assembly)

    def take(self, rows: np.ndarray) -> "Pieces":
        """Return some of the sequences, by number or by bool (N,)."""
        return Pieces(self.codes[rows], self.chrom[rows], self.start[rows], self.assembly)


def overlapping(sets: Sequence[Pieces]) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield, for every ordered pair of sets on one assembly, both numbers and the rows of one that overlap the other.

    Rows ascend; of a set with itself, those that overlap another row. Sequences without a position overlap nothing.
    """
    chroms = np.unique(np.concatenate([np.unique(each.chrom) for each in sets]))
    placed = [np.flatnonzero(each.chrom != "") for each in sets]
    axes = [
        np.searchsorted(chroms, each.chrom[rows]) * _CHROMOSOME_STRIDE + each.start[rows]
        for each, rows in zip(sets, placed, strict=True)
    ]
    orders = [np.argsort(axis) for axis in axes]
    # Sorted look-ups hit the processor's cache.
    in_order = [axis[order] for axis, order in zip(axes, orders, strict=True)]
    for one, mine in enumerate(in_order):
        for two, theirs in enumerate(in_order):
            if len(mine) and len(theirs) and sets[one].assembly == sets[two].assembly:
                before = np.searchsorted(theirs, mine - sets[two].codes.shape[1], side="right")
                after = np.searchsorted(theirs, mine + sets[one].codes.shape[1], side="left")
                yield one, two, placed[one][np.sort(orders[one][after - before > (one == two)])]


def relatives(sets: Sequence[Pieces]) -> csr_array:
    """Return sparse int (R, D), above 0 where a set holds a sequence related to a row, the row itself aside.

    R counts the rows of all D sets, which have one length. Related sequences overlap in the genome, are identical, or
    share a 31-mer where one of the two has no position; the latter two on either strand. Two positions that share no
    more than a k-mer are a repeat of the genome.
    """
    placed = np.concatenate([each.chrom != "" for each in sets])
    found = [shared_sequences([each.codes for each in sets]).held]
    if not placed.all():
        # Rows with a position come first: their k-mers count only where the other row has none.
        by_place = [each.codes[(each.chrom == "") == unknown] for unknown in (False, True) for each in sets]
        held = kmers_in_common(by_place).held
        back = np.argsort(np.r_[np.flatnonzero(placed), np.flatnonzero(~placed)])
        known, unknown = held[back, : len(sets)], held[back, len(sets) :]
        found += [unknown, known.multiply((~placed).astype(np.int32)[:, None]).tocsr()]
    first = np.cumsum([0, *(len(each.codes) for each in sets)])
    row, column = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for one, two, rows in overlapping(sets):
        row.append(rows + first[one])
        column.append(np.full(len(rows), two))
    places = np.concatenate(row), np.concatenate(column)
    return sum(found, csr_array((np.ones(len(places[0]), dtype=np.int32), places), shape=(len(placed), len(sets))))


def are_related(sets: Sequence[Pieces], to: Sequence[Pieces]) -> list[np.ndarray]:
    """Return for each set bool (N,): which rows are related to a sequence in ``to``."""
    found = relatives([*sets, *to])[:, len(sets) :].sum(axis=1) > 0
    return np.split(found, np.cumsum([len(each.codes) for each in sets]))[: len(sets)]


def met_in_folds(
    training: Sequence[Pieces],
    folds: Sequence[np.ndarray],
    others: Sequence[Pieces],
    trained_on: np.ndarray,
    number: int,
) -> csr_array:
    """Return sparse int (R, K · F), above 0 where a network was trained on a row, or a related one, in a fold.

    Rows are those of ``training`` (D experiments, with ``folds`` 0 to F - 1) and then of ``others``, which nothing was
    trained on; columns are the F = ``number`` folds of the first network, then of the next. ``trained_on``, bool (K,
    D), says which experiments each of K networks was trained on.
    """
    parts = [each.take(fold == one) for each, fold in zip(training, folds, strict=True) for one in range(number)]
    order = [np.argsort(fold, kind="stable") for fold in folds]
    sizes = np.cumsum([0, *(len(fold) for fold in folds)])
    back = np.argsort(np.concatenate([rows + first for rows, first in zip(order, sizes[:-1], strict=True)]))
    related = relatives([*parts, *others])
    own = np.concatenate([fold + place * number for place, fold in enumerate(folds)])
    itself = csr_array(
        (np.ones(len(own), dtype=np.int32), (np.arange(len(own)), own)), shape=(related.shape[0], len(parts))
    )
    met = related[np.r_[back, np.arange(len(back), related.shape[0])], : len(parts)] + itself
    return csr_array(met @ kron(csr_array(trained_on.T.astype(np.int32)), eye_array(number, dtype=np.int32)))
