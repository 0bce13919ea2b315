"""Scan sequences of letters with filters by looking words up, compiled by numba.

A convolution over one-hot columns adds up, for each filter, one weight per position of its width. Here the sums over
every word of three letters are made once per call, so that a filter of 24 costs eight additions at a position in
place of 96 products. A word that begins at q counts at the positions q, q - 3, q - 6, ..., once for each of its places
in the filter. So values are kept in three strips, of every third position each: there these positions lie side by side,
and what a word adds to all of them for all filters is one addition of two stretches of memory, which a compiler makes
as many vector instructions. The gradient goes the same way back.

Filters that no sequence can lift above zero are left out: they give zero and have no gradient, and the paper's first
biases leave half of the filters so for good. One thread does it all, and the order of additions does not hang on the
batch, so neither do the bytes of the result.
"""

from typing import NamedTuple

import numba
import numpy as np

WORD = 3
EVEN, NONE, LETTERS = 4, 5, 6
"""Codes beyond the four bases: a column of 0.25 each (neutral padding), a column of zeros (an unknown base)."""
# Filters that take part are filled up to a multiple of so many lanes: a vector of a processor.
_LANES = 4
# Rows of a strip (a row holds one position, all lanes) that are compared at once, to make the loops long.
_TOGETHER = 8
_SPELLINGS = LETTERS**WORD
_FOREIGN = 255
# What rows of a strip begin with where no position is: no sum of weights lifts it above zero.
_NOWHERE = np.float32(-1e30)
# Share of a filter's bias by which it must stay below zero to be left out.
_MARGIN = 1e-3


class Scanned(NamedTuple):
    """What a scan gives, and what its gradient needs.

    Attributes:
        pooled: float32 (N, F) or (N, 2 · F), the highest value of each filter, at least 0; where it is wanted, then
            its mean, negative values counting as 0.
        place: int32 (N, F), where the maximum is.
        able: int64 (A,), the filters that took part.
        fired: uint8 (N, strips), 1 where one of them is above 0 and 0 elsewhere, in strips; empty where no
            gradient of a mean is wanted.
        words: uint8 (N, L + 2), the number of the word that begins at each position; beyond the end is no base.
    """

    pooled: np.ndarray
    place: np.ndarray
    able: np.ndarray
    fired: np.ndarray
    words: np.ndarray


class _Strips(NamedTuple):
    """How values lie in memory: three strips of rows of lanes.

    Attributes:
        lanes: filters that take part, filled up.
        parts: words that a filter spans.
        rows: of a strip; ``parts`` - 1 of them come before the first position.
        positions: of a filter on the sequence.
    """

    lanes: int
    parts: int
    rows: int
    positions: int


@numba.njit(cache=True, nogil=True)
def read_letters(x: np.ndarray, beside: int) -> tuple[np.ndarray, bool]:
    """Return the letters of columns, and whether every column is one.

    Args:
        x: float32 (N, 4, L).
        beside: neutral columns B to set on each side.

    Returns:
        letters uint8 (N, L + 2 · B); False where some column is none.
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
    """Return the numbers of the filters (F, 4, W) that some sequence can lift above zero; always one at least.

    A column of a sequence holds shares of the bases, so a filter gives at most its bias and the largest weight of
    each column.
    """
    able = np.zeros(len(weight), np.bool_)
    for each in range(len(weight)):
        most = 0.0
        for place in range(weight.shape[2]):
            highest = 0.0
            for base in range(4):
                highest = max(highest, weight[each, base, place])
            most += highest
        # A margin for rounding: a filter is left out only where zero is out of its reach.
        able[each] = bias[each] + most > -_MARGIN * (abs(bias[each]) + most)
    able[0] |= not able.any()
    return np.flatnonzero(able)


@numba.njit(cache=True, nogil=True)
def scan(letters: np.ndarray, weight: np.ndarray, bias: np.ndarray, with_mean: bool, for_gradient: bool) -> Scanned:
    """Convolve, rectify and pool.

    Args:
        letters: uint8 (N, L), see ``read_letters``.
        weight: float32 (F, 4, W).
        bias: float32 (F,).
        with_mean: whether the mean is wanted.
        for_gradient: whether ``scan_gradient`` will be asked.
    """
    count, filters = len(letters), len(bias)
    able = able_to_fire(weight, bias)
    strips = _strips(len(able), letters.shape[1], weight.shape[2])
    table, words, empty = _word_sums(weight, able, strips), _read_words(letters), _empty_strips(bias, able, strips)
    pooled = np.zeros((count, 2 * filters if with_mean else filters), np.float32)
    where = np.zeros((count, filters), np.int32)
    marked = with_mean and for_gradient
    fired = np.empty((count if marked else 0, len(empty)), np.uint8)
    value, stretch = np.empty_like(empty), _TOGETHER * strips.lanes
    highest, at, total = np.empty(stretch, np.float32), np.zeros(stretch, np.float32), np.empty(stretch, np.float32)
    for row in range(count):
        _copy(empty, value)
        _spread(words[row], table, strips, value)
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
    return Scanned(pooled, where, able, fired, words)


@numba.njit(cache=True, nogil=True)
def scan_gradient(
    scanned: Scanned, letters: np.ndarray, of_pooled: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of weight (F, 4, W) and bias (F,).

    Args:
        scanned: of the same letters.
        letters: uint8 (N, L).
        of_pooled: float32 (N, F) or (N, 2 · F), gradient of what was pooled.
        width: of the filters.
    """
    count, filters = scanned.place.shape
    strips = _strips(len(scanned.able), letters.shape[1], width)
    by_letter = np.zeros((strips.parts * WORD, LETTERS, filters), np.float32)
    bias = np.zeros(filters, np.float32)
    for row in range(count):
        for number in scanned.able:
            if scanned.pooled[row, number] > 0:
                peak, start = of_pooled[row, number], scanned.place[row, number]
                bias[number] += peak
                for place in range(width):
                    by_letter[place, letters[row, start + place], number] += peak
    if len(scanned.fired):
        _add_means(scanned, of_pooled[:, filters:], strips, by_letter, bias)
    weight = np.empty((filters, 4, width), np.float32)
    for each in range(filters):
        for base in range(4):
            for place in range(width):
                even = np.float32(0.25) * by_letter[place, EVEN, each]
                weight[each, base, place] = by_letter[place, base, each] + even
    return weight, bias


@numba.njit(cache=True, nogil=True)
def _strips(able: int, length: int, width: int) -> _Strips:
    """Return how the values of so many filters of ``width`` on sequences of ``length`` lie in memory."""
    parts = -(-width // WORD)
    positions = length - width + 1
    rows = -(-positions // WORD) + 2 * (parts - 1)
    # All rows together are compared in stretches of eight.
    rows = -(-rows // _TOGETHER) * _TOGETHER
    return _Strips(-(-able // _LANES) * _LANES, parts, rows, positions)


@numba.njit(cache=True, nogil=True)
def _spread(words: np.ndarray, table: np.ndarray, strips: _Strips, value: np.ndarray) -> None:
    """Add to strips what words (L + 2,) give, from their sums (216, parts · lanes)."""
    span, lanes = strips.parts * strips.lanes, strips.lanes
    for strip in range(WORD):
        start = strip * strips.rows * lanes
        for place in range(strip, strips.positions + WORD * (strips.parts - 1), WORD):
            _add(value[start : start + span], table[words[place]])
            start += lanes


@numba.njit(cache=True, nogil=True)
def _gather(words: np.ndarray, change: np.ndarray, strips: _Strips, table: np.ndarray) -> None:
    """Add to each word's sums (216, parts · lanes) what strips hold where it counts: ``_spread``, turned round."""
    span, lanes = strips.parts * strips.lanes, strips.lanes
    for strip in range(WORD):
        start = strip * strips.rows * lanes
        for place in range(strip, strips.positions + WORD * (strips.parts - 1), WORD):
            _add(table[words[place]], change[start : start + span])
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
    """Raise maxima to values above them, and note in ``at`` the number of the stretch that they come from.

    Products with 1 and 0 take the place of a choice, which compilers leave as a branch.
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
    """Find each filter's maximum among those of the rows of a stretch, and its position."""
    for lane in range(len(able)):
        best = np.float32(0)
        for row in range(_TOGETHER):
            if highest[row * strips.lanes + lane] > best:
                best = highest[row * strips.lanes + lane]
                found = int(at[row * strips.lanes + lane]) * _TOGETHER + row
                where[able[lane]] = (found % strips.rows - (strips.parts - 1)) * WORD + found // strips.rows
        maximum[able[lane]] = best


@numba.njit(cache=True, nogil=True)
def _join_means(total: np.ndarray, able: np.ndarray, strips: _Strips, mean: np.ndarray) -> None:
    for lane in range(len(able)):
        whole = np.float32(0)
        for row in range(_TOGETHER):
            whole += total[row * strips.lanes + lane]
        mean[able[lane]] = whole / np.float32(strips.positions)


@numba.njit(cache=True, nogil=True)
def _add_means(scanned: Scanned, of_mean: np.ndarray, strips: _Strips, by_letter: np.ndarray, bias: np.ndarray) -> None:
    """Add the gradient of the means to that of letters (W, 6, F) and of the bias (F,).

    Shares are added up by word first, and the sums of words are then taken apart into letters.
    """
    lanes, parts, stretch = strips.lanes, strips.parts, _TOGETHER * strips.lanes
    share, fallen = np.zeros(stretch, np.float32), np.zeros(stretch, np.float32)
    change = np.empty(scanned.fired.shape[1], np.float32)
    table = np.zeros((_SPELLINGS, parts * lanes), np.float32)
    by_lane = np.zeros((parts * WORD, LETTERS, lanes), np.float32)
    for row in range(len(scanned.fired)):
        for lane in range(len(scanned.able)):
            for copy in range(_TOGETHER):
                share[copy * lanes + lane] = of_mean[row, scanned.able[lane]] / np.float32(strips.positions)
        for start in range(0, len(change), stretch):
            _share_out(scanned.fired[row, start : start + stretch], share, change[start : start + stretch])
            _add(fallen, change[start : start + stretch])
        _gather(scanned.words[row], change, strips, table)
    for word in range(_SPELLINGS):
        first, second, third = word // LETTERS**2, word // LETTERS % LETTERS, word % LETTERS
        for part in range(parts):
            start, place = (parts - 1 - part) * lanes, part * WORD
            added = table[word, start : start + lanes]
            _add(by_lane[place, first], added)
            _add(by_lane[place + 1, second], added)
            _add(by_lane[place + 2, third], added)
    for lane in range(len(scanned.able)):
        number = scanned.able[lane]
        for copy in range(_TOGETHER):
            bias[number] += fallen[copy * lanes + lane]
        for place in range(len(by_letter)):
            for letter in range(LETTERS):
                by_letter[place, letter, number] += by_lane[place, letter, lane]


@numba.njit(cache=True, nogil=True)
def _share_out(fired: np.ndarray, share: np.ndarray, change: np.ndarray) -> None:
    for each in range(len(change)):
        change[each] = share[each] * np.float32(fired[each])


@numba.njit(cache=True, nogil=True)
def _word_sums(weight: np.ndarray, able: np.ndarray, strips: _Strips) -> np.ndarray:
    """Return what each word adds, (216, parts · lanes), its last place in a filter first; zeros fill up."""
    lanes, parts, width = strips.lanes, strips.parts, weight.shape[2]
    by_letter = np.zeros((parts * WORD, LETTERS, lanes), np.float32)
    for lane in range(len(able)):
        for place in range(width):
            for base in range(4):
                by_letter[place, base, lane] = weight[able[lane], base, place]
                by_letter[place, EVEN, lane] += np.float32(0.25) * weight[able[lane], base, place]
    table = np.empty((_SPELLINGS, parts * lanes), np.float32)
    for word in range(_SPELLINGS):
        i, j, k = word // LETTERS**2, word // LETTERS % LETTERS, word % LETTERS
        for part in range(parts):
            place, start = part * WORD, (parts - 1 - part) * lanes
            a, b, c = by_letter[place, i], by_letter[place + 1, j], by_letter[place + 2, k]
            for lane in range(lanes):
                table[word, start + lane] = a[lane] + b[lane] + c[lane]
    return table


@numba.njit(cache=True, nogil=True)
def _empty_strips(bias: np.ndarray, able: np.ndarray, strips: _Strips) -> np.ndarray:
    """Return strips before any word is added: the biases at each position, and far below zero elsewhere."""
    lanes = strips.lanes
    value = np.full(WORD * strips.rows * lanes, _NOWHERE, np.float32)
    for position in range(strips.positions):
        start = (position % WORD * strips.rows + position // WORD + strips.parts - 1) * lanes
        for lane in range(len(able)):
            value[start + lane] = bias[able[lane]]
    return value


@numba.njit(cache=True, nogil=True)
def _read_words(letters: np.ndarray) -> np.ndarray:
    """Return the number of the word that begins at each position, uint8 (N, L + 2); beyond the end is no base."""
    count, length = letters.shape
    beyond = WORD - 1
    words = np.empty((count, length + beyond), np.uint8)
    letter = np.full(length + 2 * beyond, NONE, np.uint8)
    for row in range(count):
        _copy(letters[row], letter)
        for place in range(length + beyond):
            words[row, place] = letter[place] * LETTERS**2 + letter[place + 1] * LETTERS + letter[place + 2]
    return words
