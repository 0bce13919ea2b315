"""Convolve DNA with filters by looking up 3-mers instead of multiplying one-hot columns, compiled by numba.

The sums of each filter's weights over every 3-mer ("kmer") are computed once per call, so that a filter of width 24
costs 8 additions at a position instead of 96 products. Eight filters are added at once, as a vector that stays in a
register from the bias to the maximum (``lanes``). The gradient takes the same way back: what a position's value
changes is added to each of its kmers, and the kmers' sums are split into bases at the end.

Filters that no sequence can lift above zero are skipped: they give zero and have no gradient, and the paper's initial
biases leave half of the filters in that state for good. The scan runs on one thread, in an order of additions that does
not depend on the batch, so that results are bit-identical for any batch.
"""

from typing import NamedTuple

import numba
import numpy as np

from tfbs_moe.models.lanes import WIDTH as LANES
from tfbs_moe.models.lanes import add, any_above, fill, load, store, where_above

KMER = 3
EVEN, NONE, BASES = 4, 5, 6
"""Codes beyond the four bases: a column of 0.25 each (neutral padding), a column of zeros (an unknown base)."""
_SPELLINGS = BASES**KMER
_FOREIGN = 255
# Tolerance for rounding, relative to a filter's bias and weights, before it is skipped.
_MARGIN = 1e-3


class Filters(NamedTuple):
    """The active filters, in blocks of eight lanes; the last block may have lanes to spare, which are zeros."""

    able: np.ndarray  # int64 (A,), indices of the active filters
    table: np.ndarray  # float32 (blocks, parts · 216 · 8): what each kmer adds at each of its places in a filter
    bias: np.ndarray  # float32 (blocks · 8,)
    parts: int  # kmers that a filter spans
    positions: int  # of a filter on a sequence


class Row(NamedTuple):
    """The scan of one sequence, by block and lane; each scan overwrites it."""

    kmers: np.ndarray  # uint8 (L + 2,), see ``read_kmers``
    values: np.ndarray  # float32 (blocks, positions · 8), before ReLU
    highest: np.ndarray  # float32 (blocks · 8,), maximum after ReLU
    place: np.ndarray  # float32 (blocks · 8,), its position
    mean: np.ndarray  # float32 (blocks · 8,), mean after ReLU


@numba.njit(cache=True, nogil=True)
def read_bases(x: np.ndarray, beside: int) -> tuple[np.ndarray, bool]:
    """Encode columns, float32 (N, 4, L) plus ``beside`` neutral ones on each side, as codes uint8 (N, L + 2 · beside).

    The second value is False if some column is neither a base, nor unknown, nor neutral.
    """
    count, _, length = x.shape
    letters = np.full((count, length + 2 * beside), EVEN, np.uint8)
    foreign = 0
    for row in range(count):
        one_a, one_c, one_g, one_t = x[row, 0], x[row, 1], x[row, 2], x[row, 3]
        one_row = letters[row, beside : beside + length]
        for place in range(length):
            a, c, g, t = one_a[place], one_c[place], one_g[place], one_t[place]
            highest, lowest = max(max(a, c), max(g, t)), min(min(a, c), min(g, t))
            base = np.uint8(c) + np.uint8(2) * np.uint8(g) + np.uint8(3) * np.uint8(t)
            letter = np.uint8(_FOREIGN)
            letter = base if (highest == 1) & (lowest == 0) & (a + c + g + t == 1) else letter
            letter = np.uint8(NONE) if (highest == 0) & (lowest == 0) else letter
            letter = np.uint8(EVEN) if (highest == np.float32(0.25)) & (lowest == np.float32(0.25)) else letter
            foreign += letter == _FOREIGN
            one_row[place] = letter
    return letters, foreign == 0


@numba.njit(cache=True, nogil=True)
def able_to_fire(weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the indices of the filters (F, 4, W) that some sequence can lift above zero; always at least one.

    A column sums to at most 1, so a filter gives at most its bias plus the largest weight of each column. Filters with
    a weight that is no finite number count as able.
    """
    able = np.zeros(len(weight), np.bool_)
    for each in range(len(weight)):
        most = 0.0
        for place in range(weight.shape[2]):
            highest = 0.0
            for base in range(4):
                highest = max(highest, weight[each, base, place])
            most += highest
        never = bias[each] + most <= -_MARGIN * (abs(bias[each]) + most)
        able[each] = not (never and np.isfinite(weight[each].sum()))
    able[0] |= not able.any()
    return np.flatnonzero(able)


@numba.njit(cache=True, nogil=True)
def scan(letters: np.ndarray, weight: np.ndarray, bias: np.ndarray, with_mean: bool) -> np.ndarray:
    """Convolve codes uint8 (N, L) with float32 weight (F, 4, W) and bias (F,), apply ReLU and pool over positions.

    Returns the maxima, and the means after them if asked for, float32 (N, F) or (N, 2 · F).
    """
    filters = read_filters(weight, bias, letters.shape[1])
    row, total = new_row(filters, letters.shape[1]), len(bias)
    pooled = np.zeros((len(letters), 2 * total if with_mean else total), np.float32)
    for number in range(len(letters)):
        read_kmers(letters[number], row.kmers)
        scan_row(filters, row)
        for lane in range(len(filters.able)):
            pooled[number, filters.able[lane]] = row.highest[lane]
            if with_mean:
                pooled[number, total + filters.able[lane]] = row.mean[lane]
    return pooled


@numba.njit(cache=True, nogil=True)
def scan_gradient(
    letters: np.ndarray, weight: np.ndarray, bias: np.ndarray, of_pooled: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of weight (F, 4, W) and bias (F,) from that of what ``scan`` returned, (N, F) or (N, 2 · F).

    It scans again: to keep all values would take as long.
    """
    filters = read_filters(weight, bias, letters.shape[1])
    row, total = new_row(filters, letters.shape[1]), len(bias)
    of_table, of_bias = np.zeros_like(filters.table), np.zeros_like(filters.bias)
    of_highest, of_mean = np.zeros_like(filters.bias), np.zeros_like(filters.bias)
    for number in range(len(letters)):
        read_kmers(letters[number], row.kmers)
        scan_row(filters, row)
        for lane in range(len(filters.able)):
            of_highest[lane] = of_pooled[number, filters.able[lane]]
            if of_pooled.shape[1] > total:
                of_mean[lane] = of_pooled[number, total + filters.able[lane]]
        add_row_gradient(filters, row, of_highest, of_mean, of_table, of_bias)
    of_weights, of_biases = np.zeros_like(weight), np.zeros_like(bias)
    split_gradient(filters, of_table, of_bias, of_weights, of_biases)
    return of_weights, of_biases


@numba.njit(cache=True, nogil=True)
def read_filters(weight: np.ndarray, bias: np.ndarray, length: int) -> Filters:
    """Return the active ones of filters (F, 4, W) with bias (F,) for sequences of ``length``."""
    able, width = able_to_fire(weight, bias), weight.shape[2]
    blocks, parts = -(-len(able) // LANES), -(-width // KMER)
    table, biases = np.empty((blocks, parts * _SPELLINGS * LANES), np.float32), np.zeros(blocks * LANES, np.float32)
    for block in range(blocks):
        by_base = np.zeros((parts * KMER, BASES, LANES), np.float32)
        for lane in range(min(LANES, len(able) - block * LANES)):
            each = able[block * LANES + lane]
            # A weight that is no finite number makes the filter's values no numbers, and so the loss.
            biases[block * LANES + lane] = bias[each] + np.float32(0) * weight[each].sum()
            for place in range(width):
                for base in range(4):
                    by_base[place, base, lane] = weight[each, base, place]
                    by_base[place, EVEN, lane] += np.float32(0.25) * weight[each, base, place]
        flat, at = by_base.reshape(-1), 0
        for part in range(parts):
            start = part * KMER * BASES
            for first in range(start, start + BASES):
                for second in range(start + BASES, start + 2 * BASES):
                    two = add(load(flat, first * LANES), load(flat, second * LANES))
                    for third in range(start + 2 * BASES, start + 3 * BASES):
                        store(table[block], at, add(two, load(flat, third * LANES)))
                        at += LANES
    return Filters(able, table, biases, parts, length - width + 1)


@numba.njit(cache=True, nogil=True)
def new_row(filters: Filters, length: int) -> Row:
    """Return room for the scan of a sequence of ``length``."""
    blocks, lanes = len(filters.table), len(filters.bias)
    return Row(
        np.empty(length + KMER - 1, np.uint8),
        np.empty((blocks, filters.positions * LANES), np.float32),
        np.empty(lanes, np.float32),
        np.empty(lanes, np.float32),
        np.empty(lanes, np.float32),
    )


@numba.njit(cache=True, nogil=True)
def read_kmers(letters: np.ndarray, kmers: np.ndarray) -> None:
    """Write the index of the kmer that begins at each of codes (L,), uint8 (L + 2,); unknown bases follow the end."""
    length = len(letters)
    for place in range(length - 2):
        kmers[place] = letters[place] * BASES**2 + letters[place + 1] * BASES + letters[place + 2]
    for place in range(max(0, length - 2), len(kmers)):
        kmer = 0
        for letter in range(place, place + KMER):
            kmer = kmer * BASES + (letters[letter] if letter < length else NONE)
        kmers[place] = kmer


@numba.njit(cache=True, nogil=True)
def scan_row(filters: Filters, row: Row) -> None:
    """Scan the sequence of ``row.kmers`` and write the other fields of ``row``."""
    zero, share = fill(np.float32(0)), np.float32(1) / np.float32(filters.positions)
    for block in range(len(filters.table)):
        table, values, start = filters.table[block], row.values[block], block * LANES
        bias, highest, place, total = load(filters.bias, start), zero, zero, zero
        for position in range(filters.positions):
            value = bias
            for part in range(filters.parts):
                value = add(value, load(table, (part * _SPELLINGS + row.kmers[position + part * KMER]) * LANES))
            store(values, position * LANES, value)
            place = where_above(value, highest, fill(np.float32(position)), place)
            highest = where_above(value, highest, value, highest)
            total = add(total, where_above(value, zero, value, zero))
        store(row.highest, start, highest)
        store(row.place, start, place)
        store(row.mean, start, total)
    for lane in range(len(row.mean)):
        row.mean[lane] *= share


@numba.njit(cache=True, nogil=True)
def add_row_gradient(
    filters: Filters, row: Row, of_highest: np.ndarray, of_mean: np.ndarray, of_table: np.ndarray, of_bias: np.ndarray
) -> None:
    """Add the gradients of table and bias from those of ``row.highest`` and ``row.mean`` after ``scan_row``.

    Both are (blocks · 8,); those of means are all zero where there are no means.
    """
    zero = fill(np.float32(0))
    for lane in range(len(filters.able)):
        if row.highest[lane] > 0:
            of_bias[lane] += of_highest[lane]
            block, start = lane // LANES, int(row.place[lane])
            for part in range(filters.parts):
                kmer = part * _SPELLINGS + row.kmers[start + part * KMER]
                of_table[block, kmer * LANES + lane % LANES] += of_highest[lane]
    if not of_mean.any():
        return
    for lane in range(len(of_mean)):
        of_mean[lane] /= np.float32(filters.positions)
    for block in range(len(filters.table)):
        values, changes = row.values[block], of_table[block]
        share, fallen = load(of_mean, block * LANES), load(of_bias, block * LANES)
        for position in range(filters.positions):
            value = load(values, position * LANES)
            if any_above(value, zero):
                change = where_above(value, zero, share, zero)
                fallen = add(fallen, change)
                for part in range(filters.parts):
                    at = (part * _SPELLINGS + row.kmers[position + part * KMER]) * LANES
                    store(changes, at, add(load(changes, at), change))
        store(of_bias, block * LANES, fallen)


@numba.njit(cache=True, nogil=True)
def split_gradient(
    filters: Filters, of_table: np.ndarray, of_bias: np.ndarray, of_weights: np.ndarray, of_biases: np.ndarray
) -> None:
    """Write the gradients of all weights (F, 4, W) and biases (F,) from those of ``filters``; zeros stay elsewhere."""
    for block in range(len(of_table)):
        by_base = np.zeros((filters.parts * KMER, BASES, LANES), np.float32)
        flat, at = by_base.reshape(-1), 0
        for part in range(filters.parts):
            start = part * KMER * BASES
            for first in range(start, start + BASES):
                for second in range(start + BASES, start + 2 * BASES):
                    two = fill(np.float32(0))
                    for third in range(start + 2 * BASES, start + 3 * BASES):
                        change = load(of_table[block], at)
                        two = add(two, change)
                        store(flat, third * LANES, add(load(flat, third * LANES), change))
                        at += LANES
                    store(flat, first * LANES, add(load(flat, first * LANES), two))
                    store(flat, second * LANES, add(load(flat, second * LANES), two))
        for lane in range(min(LANES, len(filters.able) - block * LANES)):
            each = filters.able[block * LANES + lane]
            of_biases[each] = of_bias[block * LANES + lane]
            for place in range(of_weights.shape[2]):
                even = np.float32(0.25) * by_base[place, EVEN, lane]
                for base in range(4):
                    of_weights[each, base, place] = by_base[place, base, lane] + even
