"""Scan sequences of letters with filters by looking words up, compiled by numba.

A convolution over one-hot columns adds up, for each filter, one weight per position of its width. Here the sums over
every word of three letters are made once per call, so that a filter of 24 costs eight additions at a position in
place of 96 products. Filters that no sequence can lift above zero are left out: they give zero and have no gradient,
and the paper's first biases leave half of the filters so for good. One thread does it all, and the order of
additions does not hang on the batch, so neither do the bytes of the result.
"""

from typing import NamedTuple

import numba
import numpy as np

WORD = 3
EVEN, NONE, LETTERS = 4, 5, 6
"""Codes beyond the four bases: a column of 0.25 each (neutral padding), a column of zeros (an unknown base)."""
# Filters that are handled together, a few vectors of a processor. Loops over them have a fixed length and no branch,
# so that the compiler makes them as many instructions.
_BLOCK = 16
# Words whose sums are added to a value at once, so that it is written once for filters up to 24 wide.
_PARTS = 8
_SPELLINGS = LETTERS**WORD
_FOREIGN = 255
# Share of a filter's bias by which it must stay below zero to be left out.
_MARGIN = 1e-3


class Scanned(NamedTuple):
    """What a scan gives, and what its gradient needs.

    Attributes:
        maximum: float32 (N, F), the highest value of each filter, at least 0.
        mean: float32 (N, F), its mean, negative values counting as 0; zeros where it is not wanted.
        place: int32 (N, F), where the maximum is.
        able: int64 (A,), the filters that took part.
        fired: float32 (N, B, P, 16), 1 where one of them is above 0 and 0 elsewhere, in blocks of 16; empty
            where the mean is not wanted.
        words: uint8 (N, L + 23), the number of the word that begins at each position; beyond the end is no base.
    """

    maximum: np.ndarray
    mean: np.ndarray
    place: np.ndarray
    able: np.ndarray
    fired: np.ndarray
    words: np.ndarray


@numba.njit(cache=True, nogil=True)
def read_letters(x: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the letters of columns float32 (N, 4, L) as uint8 (N, L), and whether every column is a letter."""
    count, _, length = x.shape
    letters = np.empty((count, length), np.uint8)
    known = True
    for row in range(count):
        for place in range(length):
            a, c, g, t = x[row, 0, place], x[row, 1, place], x[row, 2, place], x[row, 3, place]
            highest, lowest, total = max(max(a, c), max(g, t)), min(min(a, c), min(g, t)), a + c + g + t
            if highest == 1 and lowest == 0 and total == 1:
                letters[row, place] = int(c + 2 * g + 3 * t)
            elif highest == 0 and lowest == 0:
                letters[row, place] = NONE
            elif highest == 0.25 and lowest == 0.25:
                letters[row, place] = EVEN
            else:
                letters[row, place] = _FOREIGN
                known = False
    return letters, known


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
            most += max(weight[each, :, place].max(), 0.0)
        # A margin for rounding: a filter is left out only where zero is out of its reach.
        able[each] = bias[each] + most > -_MARGIN * (abs(bias[each]) + most)
    able[0] |= not able.any()
    return np.flatnonzero(able)


@numba.njit(cache=True, nogil=True)
def scan(letters: np.ndarray, weight: np.ndarray, bias: np.ndarray, with_mean: bool) -> Scanned:
    """Convolve, rectify and pool.

    Args:
        letters: uint8 (N, L), see ``read_letters``.
        weight: float32 (F, 4, W).
        bias: float32 (F,).
        with_mean: whether the mean is wanted.
    """
    count, filters = len(letters), len(bias)
    able, blocks, positions, table, biases, words = _prepared(letters, weight, bias)
    maximum = np.zeros((count, filters), np.float32)
    mean = np.zeros((count, filters), np.float32)
    where = np.zeros((count, filters), np.int32)
    fired = np.empty((count if with_mean else 0, blocks, positions, _BLOCK), np.float32)
    one_row = np.empty((positions, _BLOCK), np.float32)
    highest, total, at = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.int32)
    for row in range(count):
        for block in range(blocks):
            value = fired[row, block] if with_mean else one_row
            _values(words[row], table[block], biases[block], value)
            highest[:] = 0
            at[:] = 0
            for place in range(positions):
                for each in range(_BLOCK):
                    higher = value[place, each] > highest[each]
                    at[each] = place if higher else at[each]
                    highest[each] = value[place, each] if higher else highest[each]
            if with_mean:
                total[:] = 0
                for place in range(positions):
                    for each in range(_BLOCK):
                        above = np.float32(value[place, each] > 0)
                        total[each] += above * value[place, each]
                        value[place, each] = above
            for each in range(min(_BLOCK, len(able) - block * _BLOCK)):
                number = able[block * _BLOCK + each]
                maximum[row, number], where[row, number] = highest[each], at[each]
                mean[row, number] = total[each] / np.float32(positions) if with_mean else np.float32(0)
    return Scanned(maximum, mean, where, able, fired, words)


@numba.njit(cache=True, nogil=True)
def pool(letters: np.ndarray, weight: np.ndarray, bias: np.ndarray, with_mean: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return maximum and mean of ``scan``, float32 (N, F) each, and nothing that only a gradient needs.

    The mean is zeros where it is not wanted.
    """
    count, filters = len(letters), len(bias)
    able, blocks, positions, table, biases, words = _prepared(letters, weight, bias)
    maximum = np.zeros((count, filters), np.float32)
    mean = np.zeros((count, filters), np.float32)
    value = np.empty((positions, _BLOCK), np.float32)
    highest, total = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
    for row in range(count):
        for block in range(blocks):
            _values(words[row], table[block], biases[block], value)
            highest[:] = 0
            total[:] = 0
            for place in range(positions):
                for each in range(_BLOCK):
                    above = value[place, each] if value[place, each] > 0 else np.float32(0)
                    highest[each] = above if above > highest[each] else highest[each]
                    total[each] += above
            for each in range(min(_BLOCK, len(able) - block * _BLOCK)):
                number = able[block * _BLOCK + each]
                maximum[row, number] = highest[each]
                mean[row, number] = total[each] / np.float32(positions) if with_mean else np.float32(0)
    return maximum, mean


@numba.njit(cache=True, nogil=True)
def scan_gradient(
    scanned: Scanned, letters: np.ndarray, of_maximum: np.ndarray, of_mean: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of weight (F, 4, W) and bias (F,).

    Args:
        scanned: of the same letters.
        letters: uint8 (N, L).
        of_maximum: float32 (N, F), gradient of each maximum.
        of_mean: float32 (N, F), gradient of each mean; not read where none was made.
        width: of the filters.
    """
    count, filters = of_maximum.shape
    places = _places(width)
    by_letter = np.zeros((places, LETTERS, filters), np.float32)
    bias = np.zeros(filters, np.float32)
    for row in range(count):
        for number in scanned.able:
            if scanned.maximum[row, number] > 0:
                peak, start = of_maximum[row, number], scanned.place[row, number]
                bias[number] += peak
                for place in range(width):
                    by_letter[place, letters[row, start + place], number] += peak
    if len(scanned.fired):
        _add_means(scanned, of_mean, by_letter, bias)
    weight = np.empty((filters, 4, width), np.float32)
    for each in range(filters):
        for base in range(4):
            for place in range(width):
                even = np.float32(0.25) * by_letter[place, EVEN, each]
                weight[each, base, place] = by_letter[place, base, each] + even
    return weight, bias


@numba.njit(cache=True, nogil=True)
def _prepared(
    letters: np.ndarray, weight: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, int, int, np.ndarray, np.ndarray, np.ndarray]:
    """Return the filters that take part, their blocks, the positions, sums of words, biases, and the words read."""
    able = able_to_fire(weight, bias)
    blocks, positions = -(-len(able) // _BLOCK), letters.shape[1] - weight.shape[2] + 1
    table, biases = _word_sums(weight, bias, able, blocks)
    return able, blocks, positions, table, biases, _read_words(letters)


@numba.njit(cache=True, nogil=True)
def _values(words: np.ndarray, table: np.ndarray, bias: np.ndarray, value: np.ndarray) -> None:
    """Write what 16 filters give at each position, (P, 16), from words (L + 23,) and their sums (parts, 216, 16)."""
    for part in range(0, len(table), _PARTS):
        a, b, c, d = table[part], table[part + 1], table[part + 2], table[part + 3]
        e, f, g, h = table[part + 4], table[part + 5], table[part + 6], table[part + 7]
        word = words[part * WORD :]
        for place in range(len(value)):
            at_a, at_b, at_c, at_d = word[place], word[place + 3], word[place + 6], word[place + 9]
            at_e, at_f, at_g, at_h = word[place + 12], word[place + 15], word[place + 18], word[place + 21]
            for each in range(_BLOCK):
                value[place, each] = (
                    (bias[each] if part == 0 else value[place, each])
                    + a[at_a, each] + b[at_b, each] + c[at_c, each] + d[at_d, each]
                    + e[at_e, each] + f[at_f, each] + g[at_g, each] + h[at_h, each]
                )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _add_means(scanned: Scanned, of_mean: np.ndarray, by_letter: np.ndarray, bias: np.ndarray) -> None:
    """Add the gradient of the means to that of letters (W, 6, F) and of the bias (F,).

    Shares are added up by word first, and the sums of words are then taken apart into letters.
    """
    count, blocks, positions, _ = scanned.fired.shape
    parts = len(by_letter) // WORD
    share = np.zeros(_BLOCK, np.float32)
    fallen = np.zeros((blocks, _BLOCK), np.float32)
    change = np.empty(_BLOCK, np.float32)
    table = np.zeros((blocks, parts, _SPELLINGS, _BLOCK), np.float32)
    for row in range(count):
        for block in range(blocks):
            for each in range(min(_BLOCK, len(scanned.able) - block * _BLOCK)):
                share[each] = of_mean[row, scanned.able[block * _BLOCK + each]] / np.float32(positions)
            fired, words, sums = scanned.fired[row, block], scanned.words[row], table[block]
            for place in range(positions):
                for each in range(_BLOCK):
                    change[each] = share[each] * fired[place, each]
                    fallen[block, each] += change[each]
                word = words[place:]
                for part in range(parts):
                    spelled = sums[part, word[part * WORD]]
                    for each in range(_BLOCK):
                        spelled[each] += change[each]
    for filled in range(len(scanned.able)):
        block, each, number = filled // _BLOCK, filled % _BLOCK, scanned.able[filled]
        bias[number] += fallen[block, each]
        for part in range(parts):
            for word in range(_SPELLINGS):
                added, place = table[block, part, word, each], part * WORD
                by_letter[place, word // LETTERS**2, number] += added
                by_letter[place + 1, word // LETTERS % LETTERS, number] += added
                by_letter[place + 2, word % LETTERS, number] += added


@numba.njit(cache=True, nogil=True)
def _word_sums(weight: np.ndarray, bias: np.ndarray, able: np.ndarray, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what each word adds to the filters, (B, parts, 216, 16), and their biases (B, 16); zeros fill up."""
    width = weight.shape[2]
    by_letter = np.zeros((blocks, _places(width), LETTERS, _BLOCK), np.float32)
    biases = np.zeros((blocks, _BLOCK), np.float32)
    for filled in range(len(able)):
        block, each, number = filled // _BLOCK, filled % _BLOCK, able[filled]
        biases[block, each] = bias[number]
        for place in range(width):
            for base in range(4):
                by_letter[block, place, base, each] = weight[number, base, place]
                by_letter[block, place, EVEN, each] += np.float32(0.25) * weight[number, base, place]
    table = np.empty((blocks, _places(width) // WORD, _SPELLINGS, _BLOCK), np.float32)
    for block in range(blocks):
        for part in range(table.shape[1]):
            a, b, c = (
                by_letter[block, part * WORD],
                by_letter[block, part * WORD + 1],
                by_letter[block, part * WORD + 2],
            )
            for word in range(_SPELLINGS):
                i, j, k = word // LETTERS**2, word // LETTERS % LETTERS, word % LETTERS
                for each in range(_BLOCK):
                    table[block, part, word, each] = a[i, each] + b[j, each] + c[k, each]
    return table, biases


@numba.njit(cache=True, nogil=True)
def _read_words(letters: np.ndarray) -> np.ndarray:
    """Return the number of the word that begins at each position, uint8 (N, L + 23); beyond the end is no base."""
    count, length = letters.shape
    beyond = WORD * _PARTS - 1
    words = np.empty((count, length + beyond), np.uint8)
    for row in range(count):
        word = _SPELLINGS - 1
        for back in range(length + beyond):
            place = length + beyond - 1 - back
            letter = letters[row, place] if place < length else NONE
            word = letter * LETTERS * LETTERS + word // LETTERS
            words[row, place] = word
    return words


@numba.njit(cache=True, nogil=True)
def _places(width: int) -> int:
    """Return the filter's width with places at its end that add nothing, to fill its last words."""
    step = WORD * _PARTS
    return (width + step - 1) // step * step
