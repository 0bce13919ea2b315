"""k-mers that sequences share, on either strand: with one other set, or among many datasets in one pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array

from tfbs_moe.errors import InputError
from tfbs_moe.sequence import UNKNOWN

DEFAULT_K = 31
MAX_K = 31
_BITS = 2
# k-mers per block.
_BLOCK_WORDS = 2_000_000
# Bases packed at a time, so that intermediates fit into a processor's cache.
_PACKED_BASES = 16_384
# Above any k-mer, which has 62 bits.
_NO_WORD = np.iinfo(np.uint64).max


@dataclass(frozen=True, eq=False)
class KmerIndex:
    """The distinct canonical k-mers of a set of sequences."""

    words: np.ndarray  # uint64 (D,), sorted; see ``canonical_kmers``
    k: int

    @classmethod
    def build(cls, codes: np.ndarray, k: int = DEFAULT_K) -> "KmerIndex":
        """Index sequences (N, L) of codes 0 to 4, excluding k-mers with an N."""
        # Deduplicated by block first, which keeps a repetitive input small.
        parts = [distinct(words[valid]) for _, words, valid in _blocks(codes, k)]
        return cls(distinct(np.concatenate([np.zeros(0, dtype=np.uint64), *parts])), k)

    @classmethod
    def with_places(cls, codes: np.ndarray, k: int = DEFAULT_K) -> tuple["KmerIndex", np.ndarray]:
        """Index sequences (N, L), and return the position in the index of each of their k-mers, int (N, L - k + 1).

        A k-mer with an N is at D, behind the last, so that ``np.append(index.held_by(reference), False)[places]`` says
        which k-mers a reference holds too, with one look-up for all copies of a k-mer.
        """
        words, valid = canonical_kmers(codes, k)
        words[~valid] = _NO_WORD
        once, place = np.unique(words, return_inverse=True)
        return cls(once[: np.searchsorted(once, _NO_WORD)], k), place.reshape(words.shape)

    def shared_by(self, codes: np.ndarray) -> np.ndarray:
        """Return bool (N,): which sequences (N, L) hold a k-mer of this index on either strand."""
        rows = np.zeros(len(codes), dtype=bool)
        for block, words, valid in _blocks(codes, self.k):
            rows[block] |= (self._find(words)[1] & valid).any(axis=1)
        return rows

    def held_by(self, codes: np.ndarray) -> np.ndarray:
        """Return bool (D,): which k-mers of this index any sequence (M, L) holds; sequences are read block by block."""
        held = np.zeros(len(self.words), dtype=bool)
        for _, words, valid in _blocks(codes, self.k):
            # Sorted look-ups hit the processor's cache.
            place, found = self._find(distinct(words[valid]))
            held[place[found]] = True
        return held

    def _find(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the position of each k-mer in the index, and whether it is there at all."""
        if not len(self.words):
            return np.zeros(words.shape, dtype=np.int64), np.zeros(words.shape, dtype=bool)
        place = np.minimum(np.searchsorted(self.words, words), len(self.words) - 1)
        return place, self.words[place] == words


def shared_kmers(query_codes: np.ndarray, reference_codes: np.ndarray, k: int = DEFAULT_K) -> np.ndarray:
    """Return bool (N,): which query sequences share a k-mer with any reference sequence on either strand.

    Codes are uint8 (N, L) and (M, L2); a k-mer with an N is shared with nothing. Only the query is indexed, so that a
    whole chromosome (1, L2) may be the reference; for many queries of one reference build its ``KmerIndex``.
    """
    index, places = KmerIndex.with_places(query_codes, k)
    return np.asarray(np.append(index.held_by(reference_codes), False)[places].any(axis=1))


def canonical_kmers(codes: np.ndarray, k: int = DEFAULT_K) -> tuple[np.ndarray, np.ndarray]:
    """Pack every k-mer (k from 1 to 31) in two bits per base; take the smaller of it and its reverse complement.

    Returns uint64 (N, L - k + 1) for codes uint8 (N, L), and bool of that shape: False where the k-mer holds an N.
    """
    _check(codes, k)
    shape = len(codes), max(0, codes.shape[1] - k + 1)
    words, valid = np.zeros(shape, dtype=np.uint64), np.zeros(shape, dtype=bool)
    rows_at_once = max(1, _PACKED_BASES // max(1, codes.shape[1]))
    for first in range(0, len(codes) if words.size else 0, rows_at_once):
        rows = slice(first, first + rows_at_once)
        np.minimum(*_pack(codes[rows] & np.uint8(3), k), out=words[rows])
        # uint8 may wrap around: two counts that are compared differ by no more than k.
        unknown_before = np.zeros((len(words[rows]), codes.shape[1] + 1), dtype=np.uint8)
        np.cumsum(codes[rows] == UNKNOWN, axis=1, dtype=np.uint8, out=unknown_before[:, 1:])
        np.equal(unknown_before[:, k:], unknown_before[:, : shape[1]], out=valid[rows])
    return words, valid


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


def distinct(words: np.ndarray) -> np.ndarray:
    """Return the sorted distinct values of an array; for millions of integers faster than ``np.unique``."""
    ordered = np.sort(words, axis=None)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if ordered.size else ordered


def _blocks(codes: np.ndarray, k: int) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield (rows, words, valid) for blocks of bounded size; long sequences are cut with k - 1 bases of overlap."""
    _check(codes, k)
    width = codes.shape[1] - k + 1
    if width < 1:
        return
    rows_at_once = max(1, _BLOCK_WORDS // width)
    for row in range(0, len(codes), rows_at_once):
        rows = slice(row, row + rows_at_once)
        for column in range(0, width, _BLOCK_WORDS):
            piece = codes[rows, column : column + _BLOCK_WORDS + k - 1]
            yield rows, *canonical_kmers(piece, k)


def _check(codes: np.ndarray, k: int) -> None:
    if not 1 <= k <= MAX_K:
        raise InputError(f"k-mers of {k} bases were asked for; k must be 1 to {MAX_K}")
    if codes.ndim != 2 or codes.dtype != np.uint8:
        raise InputError(f"codes must be uint8 (N, L); they are {codes.dtype} {codes.shape}")


# k-mers sorted at a time; counting 4 million takes about 400 MB.
_PASS_WORDS = 4_000_000
_BLOCK_ROWS = 32_768
# The golden ratio as an odd 64-bit integer; multiplication by it mixes the high bits of k-mers well.
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class Sharing:
    """How many of the k-mers (or whole sequences) of each row occur in each of D datasets; R rows in all."""

    dataset_of_row: np.ndarray  # int (R,)
    things: np.ndarray  # int (R,), distinct k-mers (or sequences) of the row
    held: csr_array  # sparse int (R, D), how many each dataset holds; in the row's own, how many its other rows hold


def shared_words(codes: Sequence[np.ndarray], k: int = DEFAULT_K) -> Sharing:
    """Count how many k-mers (k from 1 to 31) of every row occur in every dataset, on either strand.

    ``codes`` has one uint8 (N_d, L_d) per dataset. Cost grows with the number of rows and of shared k-mers, not with
    the number of pairs of datasets; k-mers are dealt out over as many passes as keep memory bounded.
    """
    dataset_of_row = _dataset_of_row(codes)
    words = sum(len(part) * max(0, part.shape[1] - k + 1) for part in codes)
    # Passes are a power of two, as the first bits of a mixed k-mer give its pass.
    bits = (words // _PASS_WORDS).bit_length()
    things = np.zeros(len(dataset_of_row), dtype=np.int64)
    held = csr_array((len(dataset_of_row), len(codes)), dtype=np.int32)
    for number in range(2**bits):
        one = _shared(*_words_of_pass(codes, k, number, bits), dataset_of_row, len(codes))
        things, held = things + one.things, held + one.held
    return Sharing(dataset_of_row, things, held.tocsr())


def shared_sequences(codes: Sequence[np.ndarray]) -> Sharing:
    """Find which rows equal a row of each dataset on either strand; codes are uint8 (N_d, L), of one length L."""
    dataset_of_row = _dataset_of_row(codes)
    return _shared(sequence_ids(np.concatenate(codes)), np.arange(len(dataset_of_row)), dataset_of_row, len(codes))


def _dataset_of_row(codes: Sequence[np.ndarray]) -> np.ndarray:
    return np.repeat(np.arange(len(codes)), [len(part) for part in codes])


def _words_of_pass(codes: Sequence[np.ndarray], k: int, number: int, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k-mers of one pass, and the row of each."""
    found = list(_dealt(codes, k, number, bits))
    words = [np.zeros(0, dtype=np.uint64), *(words for words, _ in found)]
    rows = [np.zeros(0, dtype=np.int32), *(rows for _, rows in found)]
    return np.concatenate(words), np.concatenate(rows)


def _dealt(codes: Sequence[np.ndarray], k: int, number: int, bits: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    first_row = 0
    for part in codes:
        for start in range(0, len(part), _BLOCK_ROWS):
            words, wanted = canonical_kmers(part[start : start + _BLOCK_ROWS], k)
            if bits:
                wanted &= words * _MIX >> np.uint64(64 - bits) == number
            rows, _ = np.nonzero(wanted)
            yield words[wanted], (rows + first_row + start).astype(np.int32)
        first_row += len(part)


def _shared(words: np.ndarray, rows: np.ndarray, dataset_of_row: np.ndarray, datasets: int) -> Sharing:
    """Count the distinct k-mers of every row that each dataset holds; ``words`` (M,) follow ascending ``rows`` (M,)."""
    count = len(dataset_of_row)
    # Stable, so that rows, and with them datasets, ascend within a k-mer.
    order = np.argsort(words, kind="stable")
    words, rows = words[order], rows[order]
    new_word = _changes(words)
    distinct = new_word | _changes(rows)
    rows, number = rows[distinct], np.cumsum(new_word)[distinct] - 1
    things = np.bincount(rows, minlength=count)
    several = np.bincount(number)[number] > 1 if len(number) else np.zeros(0, dtype=bool)
    rows, number = rows[several], _renumbered(number[several])
    size = int(number[-1]) + 1 if len(number) else 0
    # The number of rows of each k-mer and dataset.
    key = number * datasets + dataset_of_row[rows]
    place, holding = key[_changes(key)], _renumbered(key)
    rows_with = np.bincount(holding, minlength=len(place))
    holders = csr_array(
        (np.ones(len(place), dtype=np.int32), (place // datasets, place % datasets)), shape=(size, datasets)
    )
    members = csr_array((np.ones(len(rows), dtype=np.int32), (rows, number)), shape=(count, size))
    elsewhere = coo_array(members @ holders)
    other = elsewhere.col != dataset_of_row[elsewhere.row]
    own = np.bincount(rows, weights=rows_with[holding] > 1, minlength=count).astype(np.int32)
    with_own = np.flatnonzero(own)
    held = csr_array(
        (
            np.concatenate([elsewhere.data[other], own[with_own]]),
            (
                np.concatenate([elsewhere.row[other], with_own]),
                np.concatenate([elsewhere.col[other], dataset_of_row[with_own]]),
            ),
        ),
        shape=(count, datasets),
    )
    return Sharing(dataset_of_row, things, held)


def _changes(ordered: np.ndarray) -> np.ndarray:
    """Return bool: where a value differs from the one before; True for the first."""
    return np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)]


def _renumbered(ordered: np.ndarray) -> np.ndarray:
    """Replace the values of a sorted array by their ranks among the distinct ones, from 0."""
    return np.cumsum(_changes(ordered)) - 1
