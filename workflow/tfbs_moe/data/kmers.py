"""k-mers that sequences share, on either strand: with one other set, or among many datasets in one pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

# It loads scipy.sparse, which takes a quarter of a second, where that is first used.
import scipy

from tfbs_moe.errors import InputError
from tfbs_moe.sequence import UNKNOWN

DEFAULT_K = 31
MAX_K = 31
_BITS = 2
# k-mers per block.
_BLOCK_KMERS = 2_000_000
# Bases packed at a time, so that intermediates fit into a processor's cache.
_PACKED_BASES = 16_384
# Above any k-mer, which has 62 bits.
_NO_KMER = np.iinfo(np.uint64).max


@dataclass(frozen=True, eq=False)
class KmerIndex:
    """The distinct canonical k-mers of a set of sequences."""

    kmers: np.ndarray  # uint64 (D,), sorted; see ``canonical_kmers``
    k: int

    @classmethod
    def with_places(cls, codes: np.ndarray, k: int = DEFAULT_K) -> tuple["KmerIndex", np.ndarray]:
        """Index sequences (N, L), and return the position in the index of each of their k-mers, int (N, L - k + 1).

        A k-mer with an N is at D, after the last, so that ``np.append(index.held_by(reference), False)[places]`` says
        which k-mers a reference holds too, with one look-up for all copies of a k-mer.
        """
        kmers, valid = canonical_kmers(codes, k)
        kmers[~valid] = _NO_KMER
        once, place = np.unique(kmers, return_inverse=True)
        return cls(once[: np.searchsorted(once, _NO_KMER)], k), place.reshape(kmers.shape)

    def held_by(self, codes: np.ndarray) -> np.ndarray:
        """Return bool (D,): which k-mers of this index any sequence (M, L) holds; sequences are read block by block."""
        held = np.zeros(len(self.kmers), dtype=bool)
        for _, kmers, valid in _blocks(codes, self.k):
            place, found = self.find(kmers[valid & self.may_hold(kmers)])
            held[place[found]] = True
        return held

    def may_hold(self, kmers: np.ndarray) -> np.ndarray:
        """Return False for most k-mers that the index lacks: a table of hashes costs a fraction of ``find``."""
        return self._hashes[_hash(kmers, _TABLE_BITS)]

    @cached_property
    def _hashes(self) -> np.ndarray:
        hashes = np.zeros(2**_TABLE_BITS, dtype=bool)
        hashes[_hash(self.kmers, _TABLE_BITS)] = True
        return hashes

    def find(self, kmers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the position of each k-mer in the index, and whether it is there at all."""
        if not len(self.kmers):
            return np.zeros(kmers.shape, dtype=np.int64), np.zeros(kmers.shape, dtype=bool)
        place = np.minimum(np.searchsorted(self.kmers, kmers), len(self.kmers) - 1)
        return place, self.kmers[place] == kmers


def canonical_kmers(codes: np.ndarray, k: int = DEFAULT_K) -> tuple[np.ndarray, np.ndarray]:
    """Pack every k-mer (k from 1 to 31) in two bits per base; take the smaller of it and its reverse complement.

    Returns uint64 (N, L - k + 1) for codes uint8 (N, L), and bool of that shape: False where the k-mer holds an N.
    """
    _check(codes, k)
    shape = len(codes), max(0, codes.shape[1] - k + 1)
    kmers, valid = np.zeros(shape, dtype=np.uint64), np.zeros(shape, dtype=bool)
    rows_at_once = max(1, _PACKED_BASES // max(1, codes.shape[1]))
    for first in range(0, len(codes) if kmers.size else 0, rows_at_once):
        rows = slice(first, first + rows_at_once)
        np.minimum(*_pack(codes[rows] & np.uint8(3), k), out=kmers[rows])
        # uint8 may wrap around: two counts that are compared differ by no more than k.
        unknown_before = np.zeros((len(kmers[rows]), codes.shape[1] + 1), dtype=np.uint8)
        np.cumsum(codes[rows] == UNKNOWN, axis=1, dtype=np.uint8, out=unknown_before[:, 1:])
        np.equal(unknown_before[:, k:], unknown_before[:, : shape[1]], out=valid[rows])
    return kmers, valid


def _pack(letters: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Pack every k-mer of codes (N, L) and its reverse complement: joins shorter k-mers in about log2(k) steps."""
    forward, backward, length = letters, np.uint8(3) - letters, 1
    while length < k:
        step = min(length, k - length)
        length += step
        held = np.min_scalar_type(4**length - 1)
        here, there = slice(forward.shape[1] - step), slice(step, None)
        forward = np.left_shift(forward[:, here], _BITS * step, dtype=held) | forward[:, there]
        backward = np.left_shift(backward[:, there], _BITS * step, dtype=held) | backward[:, here]
    return forward, backward


def sequence_ids(codes: np.ndarray) -> np.ndarray:
    """Number sequences (N, L) of codes 0 to 4 so that equal ones, on either strand, share a number."""
    reverse = np.where(codes == UNKNOWN, UNKNOWN, 3 - codes)[:, ::-1]
    # The first position where the strands differ decides between them.
    first = (codes != reverse).argmax(axis=1)
    rows = np.arange(len(codes))
    backward = reverse[rows, first] < codes[rows, first]
    canonical = np.ascontiguousarray(np.where(backward[:, None], reverse, codes).astype(np.uint8))
    _, number = np.unique(canonical.view(f"V{codes.shape[1]}").ravel(), return_inverse=True)
    return np.asarray(number)


def distinct(kmers: np.ndarray) -> np.ndarray:
    """Return the sorted distinct values of an array; for millions of integers faster than ``np.unique``."""
    ordered = np.sort(kmers, axis=None)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if ordered.size else ordered


def _blocks(codes: np.ndarray, k: int) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield (rows, kmers, valid) for blocks of bounded size; long sequences are cut with k - 1 bases of overlap."""
    _check(codes, k)
    width = codes.shape[1] - k + 1
    if width < 1:
        return
    rows_at_once = max(1, _BLOCK_KMERS // width)
    for row in range(0, len(codes), rows_at_once):
        rows = slice(row, row + rows_at_once)
        for column in range(0, width, _BLOCK_KMERS):
            piece = codes[rows, column : column + _BLOCK_KMERS + k - 1]
            yield rows, *canonical_kmers(piece, k)


def _check(codes: np.ndarray, k: int) -> None:
    if not 1 <= k <= MAX_K:
        raise InputError(f"k-mers of {k} bases were requested; k must be 1 to {MAX_K}")
    if codes.ndim != 2 or codes.dtype != np.uint8:
        raise InputError(f"codes must be uint8 (N, L); they are {codes.dtype} {codes.shape}")


# k-mers sorted at a time, which takes about 600 MB.
_PASS_KMERS = 2**25
# The golden ratio as an odd 64-bit integer; multiplication by it mixes the high bits of k-mers well.
_MIX = np.uint64(0x9E3779B97F4A7C15)
_TABLE_BITS = 25


@dataclass(frozen=True, eq=False)
class Sharing:
    """How many of the k-mers (or whole sequences) of each row occur in each of D datasets; R rows in all."""

    dataset_of_row: np.ndarray  # int (R,)
    things: np.ndarray  # int (R,), distinct k-mers (or sequences) of the row
    # Sparse int (R, D), how many each dataset holds; in the row's own, how many its other rows hold.
    held: "scipy.sparse.csr_array"


def kmers_in_common(codes: Sequence[np.ndarray], k: int = DEFAULT_K) -> Sharing:
    """Count how many k-mers (k from 1 to 31) of every row occur in every dataset, on either strand.

    ``codes`` has one uint8 (N_d, L) per dataset, of one length L. Cost grows with the number of distinct sequences and
    of shared k-mers, not with the number of pairs of datasets.
    """
    number, dataset_of_row, copies = _distinct_sequences(codes)
    sequences = np.concatenate(codes)[np.unique(number, return_index=True)[1]]
    kmers, members = _members(sequences, k)
    # Of k-mers that one sequence alone has, every dataset with the sequence holds all.
    alone = (kmers - np.diff(members.indptr)).astype(np.int32)[:, None]
    rows_with = members.T.tocsr() @ copies
    held, repeated = ((members @ (rows_with > least) + (copies > least).multiply(alone)).tocsr() for least in (0, 1))
    return Sharing(dataset_of_row, kmers[number], _of_rows(held, repeated, number, dataset_of_row))


def shared_sequences(codes: Sequence[np.ndarray]) -> Sharing:
    """Find which rows equal a row of each dataset on either strand; codes are uint8 (N_d, L), of one length L."""
    number, dataset_of_row, copies = _distinct_sequences(codes)
    held, repeated = ((copies > least).astype(np.int32) for least in (0, 1))
    return Sharing(dataset_of_row, np.ones_like(number), _of_rows(held, repeated, number, dataset_of_row))


def _distinct_sequences(codes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, "scipy.sparse.csr_array"]:
    """Return the distinct sequence and the dataset of every row, and the rows of each sequence (U) per dataset (D)."""
    number = sequence_ids(np.concatenate(codes))
    dataset_of_row = np.repeat(np.arange(len(codes)), [len(part) for part in codes])
    ones = np.ones(len(number), dtype=np.int32)
    shape = number.max(initial=-1) + 1, len(codes)
    return number, dataset_of_row, scipy.sparse.csr_array((ones, (number, dataset_of_row)), shape=shape)


def _of_rows(
    held: "scipy.sparse.csr_array", repeated: "scipy.sparse.csr_array", number: np.ndarray, dataset_of_row: np.ndarray
) -> "scipy.sparse.csr_array":
    """Return sparse int (R, D): in other datasets what is ``held`` (U, D) there, in the row's own what is repeated."""
    rows = np.arange(len(number))
    own = scipy.sparse.csr_array(
        (np.ones(len(rows), dtype=np.int32), (rows, dataset_of_row)), shape=(len(rows), held.shape[1])
    )
    found = scipy.sparse.csr_array(held[number] + (repeated - held)[number].multiply(own))
    found.eliminate_zeros()
    return found


def _members(codes: np.ndarray, k: int) -> tuple[np.ndarray, "scipy.sparse.csr_array"]:
    """Return the number of distinct k-mers of each sequence, int (U,), and 1 where it has one of W that are repeated.

    The W k-mers occur at several places, be it in one sequence.
    """
    index = KmerIndex(_repeated_kmers(codes, k), k)
    kmers = np.zeros(len(codes), dtype=np.int64)
    rows, places = [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.int32)]
    for block, found, valid in _blocks(codes, k):
        kmers[block] += valid.sum(axis=1)
        row, column = np.nonzero(valid & index.may_hold(found))
        place, there = index.find(found[row, column])
        rows.append((row[there] + block.start).astype(np.int32))
        places.append(place[there].astype(np.int32))
    row, place = np.concatenate(rows), np.concatenate(places)
    shape = len(codes), len(index.kmers)
    members = scipy.sparse.csr_array((np.ones(len(row), dtype=np.int32), (row, place)), shape=shape)
    kmers -= members.sum(axis=1) - np.diff(members.indptr)
    members.data[:] = 1
    return kmers, members


def _repeated_kmers(codes: np.ndarray, k: int) -> np.ndarray:
    """Return the sorted k-mers that occur at several places; found in as many passes as keep memory bounded."""
    # Passes are a power of two, as the first bits of a mixed k-mer give its pass.
    bits = (codes.size // _PASS_KMERS).bit_length()
    repeated = [np.zeros(0, dtype=np.uint64)]
    for number in range(2**bits):
        parts = [kmers[valid & (_hash(kmers, bits) == number)] for _, kmers, valid in _blocks(codes, k)]
        ordered = np.sort(np.concatenate([repeated[0][:0], *parts]))
        repeated.append(distinct(ordered[1:][ordered[1:] == ordered[:-1]]))
    return np.sort(np.concatenate(repeated))


def _hash(kmers: np.ndarray, bits: int) -> np.ndarray:
    return kmers * _MIX >> np.uint64(64 - bits) if bits else np.zeros_like(kmers)
