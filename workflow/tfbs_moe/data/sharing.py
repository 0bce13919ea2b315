"""What many datasets have in common, found in one pass over all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array

from tfbs_moe.data.overlap import DEFAULT_K, canonical_kmers, sequence_ids

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
