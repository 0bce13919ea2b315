"""Which sequences share a k-mer with others, on either strand."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

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
