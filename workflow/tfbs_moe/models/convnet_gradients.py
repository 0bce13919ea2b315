"""The loss of the paper's ConvNet on a batch and its gradients, in one compiled pass over the batch's sequences.

The network is so small that torch's layers, forward and backward, take four times as long as their arithmetic. Here
each sequence goes through scan, linear layer, layer normalisation, dropout, readout, loss and back while it is in a
core's nearest cache. Numbers are those of the layers, to rounding; ``tests/unit/test_convnet_gradients.py`` compares.
"""

import math
from typing import NamedTuple

import numba
import numpy as np

from tfbs_moe.models.expert import Batch
from tfbs_moe.models.lookup_convolution import (
    EVEN,
    NONE,
    add_row_gradient,
    new_row,
    read_filters,
    read_kmers,
    scan_row,
    split_gradient,
)

# Of SplitMix64, and how many values 32 of its 64 bits have.
_STEP, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_DRAWS = 2.0**32
# Code of an unknown base in sequences, see ``sequence``; its complement is itself.
_UNKNOWN = 4


class Weights(NamedTuple):
    """All weights of a ConvNet with F filters and an embedding of E, or their gradients; float32."""

    filters: np.ndarray  # (F, 4, W)
    filters_bias: np.ndarray  # (F,)
    linear: np.ndarray  # (E, F) or (E, 2 · F)
    linear_bias: np.ndarray  # (E,)
    norm: np.ndarray  # (E,)
    norm_bias: np.ndarray  # (E,)
    head: np.ndarray  # (1, E)
    head_bias: np.ndarray  # (1,)


class Dropout(NamedTuple):
    """Dropout of the embedding."""

    probability: float
    shared: bool  # one mask for the batch, without rescaling: see ``expert.BatchMask``


# Sums of float32 may be taken in any order, which is what lets loops use vectors; the order depends on the processor.
@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def loss_and_gradients(batch: Batch, dropout: Dropout, epsilon: float, weights: Weights, gradients: Weights) -> float:
    """Return the mean loss of a batch, and add its gradients to ``gradients``, zeros.

    ``epsilon`` is that of the layer normalisation.
    """
    codes, labels, rows, turned, positive_weight, seed = batch
    beside, size = weights.filters.shape[2] - 1, len(weights.norm)
    length = codes.shape[1] + 2 * beside
    filters = read_filters(weights.filters, weights.filters_bias, length)
    row, letters = new_row(filters, length), np.full(length, EVEN, np.uint8)
    of_table, of_lanes = np.zeros_like(filters.table), np.zeros_like(filters.bias)
    of_highest, of_mean = np.zeros_like(filters.bias), np.zeros_like(filters.bias)
    # By feature, so that a feature of 0, as most are, is passed over.
    features, total, able = weights.linear.shape[1], len(weights.filters), filters.able
    linear, of_linear = np.empty((features, size), np.float32), np.zeros((features, size), np.float32)
    for feature in range(features):
        for unit in range(size):
            linear[feature, unit] = weights.linear[unit, feature]
    has_mean = features > total
    hidden, embedded = np.empty(size, np.float32), np.empty(size, np.float32)
    change, kept = np.empty(size, np.float32), np.empty(size, np.float32)
    head, ones, units, one, loss_sum = weights.head[0], np.ones(size, np.float32), np.float32(size), np.float32(1), 0.0
    for number in range(len(rows)):
        source, reverse = rows[number], len(turned) > 0 and turned[rows[number]]
        _write_letters(codes[source], reverse, letters[beside : length - beside])
        read_kmers(letters, row.kmers)
        scan_row(filters, row)

        # Loops over few arrays each: compilers check that what is written is not what is read, and give up on many.
        for unit in range(size):
            hidden[unit] = weights.linear_bias[unit]
        for lane in range(len(able)):
            if row.highest[lane] != 0:
                _add_product(row.highest[lane], linear[able[lane]], hidden)
                if has_mean:
                    _add_product(row.mean[lane], linear[total + able[lane]], hidden)
        centre = _dot(hidden, ones) / units
        for unit in range(size):
            hidden[unit] -= centre
        scale = one / np.sqrt(_dot(hidden, hidden) / units + np.float32(epsilon))
        draw_mask(seed, 0 if dropout.shared else number, dropout, kept)
        for unit in range(size):
            hidden[unit] *= scale
            embedded[unit] = (hidden[unit] * weights.norm[unit] + weights.norm_bias[unit]) * kept[unit]
        logit = _dot(embedded, head) + weights.head_bias[0]

        # The loss of an unbound sequence is log(1 + e^z), that of a bound one less by z; e^z may overflow.
        small = math.exp(-abs(logit))
        softplus = max(logit, np.float32(0)) + math.log1p(small)
        probability = (one if logit > 0 else small) / (one + small)
        if labels[source] > 0:
            loss_sum += positive_weight * (softplus - logit)
            of_logit = np.float32(positive_weight * (probability - one) / len(rows))
        else:
            loss_sum += softplus
            of_logit = np.float32(probability / len(rows))

        gradients.head_bias[0] += of_logit
        _add_product(of_logit, embedded, gradients.head[0])
        for unit in range(size):
            change[unit] = of_logit * kept[unit] * head[unit]
            gradients.norm_bias[unit] += change[unit]
        for unit in range(size):
            gradients.norm[unit] += change[unit] * hidden[unit]
            change[unit] *= weights.norm[unit]
        shift, tilt = _dot(change, ones) / units, _dot(change, hidden) / units
        for unit in range(size):
            change[unit] = scale * (change[unit] - shift - hidden[unit] * tilt)
            gradients.linear_bias[unit] += change[unit]
        for lane in range(len(able)):
            if row.highest[lane] != 0:
                of_highest[lane] = _dot(linear[able[lane]], change)
                _add_product(row.highest[lane], change, of_linear[able[lane]])
                if has_mean:
                    of_mean[lane] = _dot(linear[total + able[lane]], change)
                    _add_product(row.mean[lane], change, of_linear[total + able[lane]])
        add_row_gradient(filters, row, of_highest, of_mean, of_table, of_lanes)
    split_gradient(filters, of_table, of_lanes, gradients.filters, gradients.filters_bias)
    for feature in range(features):
        for unit in range(size):
            gradients.linear[unit, feature] = of_linear[feature, unit]
    return loss_sum / len(rows)


@numba.njit(cache=True, nogil=True)
def draw_mask(seed: int, number: int, dropout: Dropout, kept: np.ndarray) -> None:
    """Write what dropout multiplies the embedding (E,) of a batch's sequence ``number`` with.

    Random bits are SplitMix64's (Steele, Lea and Flood 2014), which gives any number of a stream without those before.
    """
    below = np.uint64(dropout.probability * _DRAWS)
    factor = np.float32(1) if dropout.shared else np.float32(1 / (1 - dropout.probability))
    for unit in range(len(kept)):
        bits = np.uint64(seed) + np.uint64(number * len(kept) + unit + 1) * _STEP
        bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
        bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
        kept[unit] = np.float32(0) if (bits >> np.uint64(32)) < below else factor


@numba.njit(cache=True, nogil=True)
def _write_letters(codes: np.ndarray, reverse: bool, letters: np.ndarray) -> None:
    """Write codes (L,), of the sequence or its reverse complement, as letters of ``lookup_convolution``."""
    last = len(codes) - 1
    for place in range(len(codes)):
        letters[place] = NONE if codes[place] == _UNKNOWN else codes[place]
    if reverse:
        for place in range(len(codes)):
            code = codes[last - place]
            letters[place] = NONE if code == _UNKNOWN else 3 - code


@numba.njit(cache=True, nogil=True)
def _add_product(factor: np.float32, more: np.ndarray, to: np.ndarray) -> None:
    for each in range(len(to)):
        to[each] += factor * more[each]


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "nsz", "contract"})
def _dot(a: np.ndarray, b: np.ndarray) -> np.float32:
    product = np.float32(0)
    for each in range(len(a)):
        product += a[each] * b[each]
    return product
