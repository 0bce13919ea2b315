"""Convolve DNA with filters by looking up 3-mers instead of multiplying one-hot columns, compiled by numba.

The sums of each filter's weights over every 3-mer are computed once per call, so that a filter of width 24 costs 8
additions at a position instead of 96 products. A 3-mer ("kmer") at q contributes to the filter's values at q, q - 3,
q - 6, ..., once for each of its places in the filter. Values are therefore kept in three strips, one per position
modulo 3, where these positions are adjacent: a kmer's contribution to all of them, for all filters, is one vectorised
addition of two contiguous blocks of memory. The gradient takes the same way back.

Filters that no sequence can lift above zero are skipped: they give zero and have no gradient, and the paper's initial
biases leave half of the filters in that state for good. The scan runs on one thread, in an order of additions that does
not depend on the batch, so that results are bit-identical for any batch.
"""

from typing import NamedTuple

import numba
import numpy as np

KMER = 3
EVEN, NONE, BASES = 4, 5, 6
"""Codes beyond the four bases: a column of 0.25 each (neutral padding), a column of zeros (an unknown base)."""
# Active filters are padded to a multiple of this many lanes, a processor's vector.
_LANES = 4
# Rows of a strip (one position, all lanes) compared at once, for long loops.
_TOGETHER = 8
_SPELLINGS = BASES**KMER
_FOREIGN = 255
# Initial value of strip rows outside the sequence: no sum of weights lifts it above zero.
_NOWHERE = np.float32(-1e30)
# Tolerance for rounding, relative to a filter's bias and weights, before it is skipped.
_MARGIN = 1e-3


class Scanned(NamedTuple):
    """The result of a scan of N sequences with F filters, and what its gradient needs."""

    pooled: np.ndarray  # float32 (N, F) or (N, 2 · F), maximum after ReLU, then its mean if asked for
    place: np.ndarray  # int32 (N, F), position of the maximum
    able: np.ndarray  # int64 (A,), indices of the active filters
    fired: np.ndarray  # uint8 (N, strips), 1 where a value is above 0; empty where no gradient of a mean is needed
    kmers: np.ndarray  # uint8 (N, L + 2), see ``_read_kmers``


class _Strips(NamedTuple):
    """Memory layout of values: three strips of rows of lanes."""

    lanes: int  # active filters, padded
    parts: int  # kmers that a filter spans
    rows: int  # of a strip, ``parts`` - 1 of them before the first position
    positions: int  # of a filter on the sequence


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

    A column sums to at most 1, so a filter gives at most its bias plus the largest weight of each column.
    """
    able = np.zeros(len(weight), np.bool_)
    for each in range(len(weight)):
        most = 0.0
        for place in range(weight.shape[2]):
            highest = 0.0
            for base in range(4):
                highest = max(highest, weight[each, base, place])
            most += highest
        able[each] = bias[each] + most > -_MARGIN * (abs(bias[each]) + most)
    able[0] |= not able.any()
    return np.flatnonzero(able)


@numba.njit(cache=True, nogil=True)
def scan(letters: np.ndarray, weight: np.ndarray, bias: np.ndarray, with_mean: bool, for_gradient: bool) -> Scanned:
    """Convolve codes uint8 (N, L) with float32 weight (F, 4, W) and bias (F,), apply ReLU and pool over positions."""
    count, filters = len(letters), len(bias)
    able = able_to_fire(weight, bias)
    strips = _strips(len(able), letters.shape[1], weight.shape[2])
    table, kmers, empty = _kmer_sums(weight, able, strips), _read_kmers(letters), _empty_strips(bias, able, strips)
    pooled = np.zeros((count, 2 * filters if with_mean else filters), np.float32)
    where = np.zeros((count, filters), np.int32)
    marked = with_mean and for_gradient
    fired = np.empty((count if marked else 0, len(empty)), np.uint8)
    value, stretch = np.empty_like(empty), _TOGETHER * strips.lanes
    highest, at, total = np.empty(stretch, np.float32), np.zeros(stretch, np.float32), np.empty(stretch, np.float32)
    for row in range(count):
        _copy(empty, value)
        _spread(kmers[row], table, strips, value)
        highest[:] = 0
        for number in range(len(value) // stretch):
            _raise(value[number * stretch : (number + 1) * stretch], number, highest, at)
        _join_maxima(highest, at, able, strips, pooled[row], where[row])
        if with_mean:
            total[:] = 0
            for start in range(0, len(value), stretch):
                _add_above_zero(value[start : start + stretch], total)
            _join_means(total, able, strips, pooled[row, filters:])
        if marked:
            _mark(value, fired[row])
    return Scanned(pooled, where, able, fired, kmers)


@numba.njit(cache=True, nogil=True)
def scan_gradient(
    scanned: Scanned, letters: np.ndarray, of_pooled: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of weight (F, 4, W) and bias (F,) from that of ``scanned.pooled``, for the same codes."""
    count, filters = scanned.place.shape
    strips = _strips(len(scanned.able), letters.shape[1], width)
    by_base = np.zeros((strips.parts * KMER, BASES, filters), np.float32)
    bias = np.zeros(filters, np.float32)
    for row in range(count):
        for number in scanned.able:
            if scanned.pooled[row, number] > 0:
                peak, start = of_pooled[row, number], scanned.place[row, number]
                bias[number] += peak
                for place in range(width):
                    by_base[place, letters[row, start + place], number] += peak
    if len(scanned.fired):
        _add_means(scanned, of_pooled[:, filters:], strips, by_base, bias)
    weight = np.empty((filters, 4, width), np.float32)
    for each in range(filters):
        for base in range(4):
            for place in range(width):
                even = np.float32(0.25) * by_base[place, EVEN, each]
                weight[each, base, place] = by_base[place, base, each] + even
    return weight, bias


@numba.njit(cache=True, nogil=True)
def _strips(able: int, length: int, width: int) -> _Strips:
    """Return the layout for ``able`` active filters of ``width`` on sequences of ``length``."""
    parts = -(-width // KMER)
    positions = length - width + 1
    rows = -(-positions // KMER) + 2 * (parts - 1)
    # Rows are compared ``_TOGETHER`` at a time.
    rows = -(-rows // _TOGETHER) * _TOGETHER
    return _Strips(-(-able // _LANES) * _LANES, parts, rows, positions)


@numba.njit(cache=True, nogil=True)
def _spread(kmers: np.ndarray, table: np.ndarray, strips: _Strips, value: np.ndarray) -> None:
    """Add the contributions (216, parts · lanes) of kmers (L + 2,) to the strips ``value``."""
    span, lanes = strips.parts * strips.lanes, strips.lanes
    for strip in range(KMER):
        start = strip * strips.rows * lanes
        for place in range(strip, strips.positions + KMER * (strips.parts - 1), KMER):
            _add(value[start : start + span], table[kmers[place]])
            start += lanes


@numba.njit(cache=True, nogil=True)
def _gather(kmers: np.ndarray, change: np.ndarray, strips: _Strips, table: np.ndarray) -> None:
    """Add the gradients in strips to the kmers (216, parts · lanes) that contributed: the transpose of ``_spread``."""
    span, lanes = strips.parts * strips.lanes, strips.lanes
    for strip in range(KMER):
        start = strip * strips.rows * lanes
        for place in range(strip, strips.positions + KMER * (strips.parts - 1), KMER):
            _add(table[kmers[place]], change[start : start + span])
            start += lanes


@numba.njit(cache=True, nogil=True)
def _add(to: np.ndarray, more: np.ndarray) -> None:
    for each in range(len(to)):
        to[each] += more[each]


@numba.njit(cache=True, nogil=True)
def _copy(values: np.ndarray, to: np.ndarray) -> None:
    for each in range(len(values)):
        to[each] = values[each]


@numba.njit(cache=True, nogil=True)
def _raise(value: np.ndarray, number: int, highest: np.ndarray, at: np.ndarray) -> None:
    """Update running maxima, and in ``at`` the index of the block of rows that each comes from.

    It multiplies by 1 and 0 because compilers would leave a choice as a branch.
    """
    now = np.float32(number)
    for each in range(len(value)):
        higher = np.float32(value[each] > highest[each])
        highest[each] = higher * value[each] + (np.float32(1) - higher) * highest[each]
        at[each] = higher * now + (np.float32(1) - higher) * at[each]


@numba.njit(cache=True, nogil=True)
def _add_above_zero(value: np.ndarray, total: np.ndarray) -> None:
    for each in range(len(value)):
        total[each] += np.float32(value[each] > 0) * value[each]


@numba.njit(cache=True, nogil=True)
def _mark(value: np.ndarray, fired: np.ndarray) -> None:
    for each in range(len(value)):
        fired[each] = value[each] > 0


@numba.njit(cache=True, nogil=True)
def _join_maxima(
    highest: np.ndarray, at: np.ndarray, able: np.ndarray, strips: _Strips, maximum: np.ndarray, where: np.ndarray
) -> None:
    """Reduce the maxima over the rows of a block to each filter's maximum and its position."""
    for lane in range(len(able)):
        best = np.float32(0)
        for row in range(_TOGETHER):
            if highest[row * strips.lanes + lane] > best:
                best = highest[row * strips.lanes + lane]
                found = int(at[row * strips.lanes + lane]) * _TOGETHER + row
                where[able[lane]] = (found % strips.rows - (strips.parts - 1)) * KMER + found // strips.rows
        maximum[able[lane]] = best


@numba.njit(cache=True, nogil=True)
def _join_means(total: np.ndarray, able: np.ndarray, strips: _Strips, mean: np.ndarray) -> None:
    for lane in range(len(able)):
        whole = np.float32(0)
        for row in range(_TOGETHER):
            whole += total[row * strips.lanes + lane]
        mean[able[lane]] = whole / np.float32(strips.positions)


@numba.njit(cache=True, nogil=True)
def _add_means(scanned: Scanned, of_mean: np.ndarray, strips: _Strips, by_base: np.ndarray, bias: np.ndarray) -> None:
    """Add the gradient of the means to those of codes (W, 6, F) and bias (F,): by kmer first, then by code."""
    lanes, parts, stretch = strips.lanes, strips.parts, _TOGETHER * strips.lanes
    share, fallen = np.zeros(stretch, np.float32), np.zeros(stretch, np.float32)
    change = np.empty(scanned.fired.shape[1], np.float32)
    table = np.zeros((_SPELLINGS, parts * lanes), np.float32)
    by_lane = np.zeros((parts * KMER, BASES, lanes), np.float32)
    for row in range(len(scanned.fired)):
        for lane in range(len(scanned.able)):
            for copy in range(_TOGETHER):
                share[copy * lanes + lane] = of_mean[row, scanned.able[lane]] / np.float32(strips.positions)
        for start in range(0, len(change), stretch):
            _share_out(scanned.fired[row, start : start + stretch], share, change[start : start + stretch])
            _add(fallen, change[start : start + stretch])
        _gather(scanned.kmers[row], change, strips, table)
    for kmer in range(_SPELLINGS):
        first, second, third = kmer // BASES**2, kmer // BASES % BASES, kmer % BASES
        for part in range(parts):
            start, place = (parts - 1 - part) * lanes, part * KMER
            added = table[kmer, start : start + lanes]
            _add(by_lane[place, first], added)
            _add(by_lane[place + 1, second], added)
            _add(by_lane[place + 2, third], added)
    for lane in range(len(scanned.able)):
        number = scanned.able[lane]
        for copy in range(_TOGETHER):
            bias[number] += fallen[copy * lanes + lane]
        for place in range(len(by_base)):
            for letter in range(BASES):
                by_base[place, letter, number] += by_lane[place, letter, lane]


@numba.njit(cache=True, nogil=True)
def _share_out(fired: np.ndarray, share: np.ndarray, change: np.ndarray) -> None:
    for each in range(len(change)):
        change[each] = share[each] * np.float32(fired[each])


@numba.njit(cache=True, nogil=True)
def _kmer_sums(weight: np.ndarray, able: np.ndarray, strips: _Strips) -> np.ndarray:
    """Return each kmer's contributions (216, parts · lanes), its last place in a filter first, padded with zeros."""
    lanes, parts, width = strips.lanes, strips.parts, weight.shape[2]
    by_base = np.zeros((parts * KMER, BASES, lanes), np.float32)
    for lane in range(len(able)):
        for place in range(width):
            for base in range(4):
                by_base[place, base, lane] = weight[able[lane], base, place]
                by_base[place, EVEN, lane] += np.float32(0.25) * weight[able[lane], base, place]
    table = np.empty((_SPELLINGS, parts * lanes), np.float32)
    for kmer in range(_SPELLINGS):
        i, j, k = kmer // BASES**2, kmer // BASES % BASES, kmer % BASES
        for part in range(parts):
            place, start = part * KMER, (parts - 1 - part) * lanes
            a, b, c = by_base[place, i], by_base[place + 1, j], by_base[place + 2, k]
            for lane in range(lanes):
                table[kmer, start + lane] = a[lane] + b[lane] + c[lane]
    return table


@numba.njit(cache=True, nogil=True)
def _empty_strips(bias: np.ndarray, able: np.ndarray, strips: _Strips) -> np.ndarray:
    """Return strips with the bias at each position and ``_NOWHERE`` elsewhere."""
    lanes = strips.lanes
    value = np.full(KMER * strips.rows * lanes, _NOWHERE, np.float32)
    for position in range(strips.positions):
        start = (position % KMER * strips.rows + position // KMER + strips.parts - 1) * lanes
        for lane in range(len(able)):
            value[start + lane] = bias[able[lane]]
    return value


@numba.njit(cache=True, nogil=True)
def _read_kmers(letters: np.ndarray) -> np.ndarray:
    """Return the index of the kmer that begins at each position, uint8 (N, L + 2); unknown bases follow the end."""
    count, length = letters.shape
    beyond = KMER - 1
    kmers = np.empty((count, length + beyond), np.uint8)
    letter = np.full(length + 2 * beyond, NONE, np.uint8)
    for row in range(count):
        _copy(letters[row], letter)
        for place in range(length + beyond):
            kmers[row, place] = letter[place] * BASES**2 + letter[place + 1] * BASES + letter[place + 2]
    return kmers
