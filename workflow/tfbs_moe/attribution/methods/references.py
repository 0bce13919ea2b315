"""Reference sequences, for methods that explain a difference."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from tfbs_moe.data.negatives.shuffles import dinucleotide_shuffle, shuffle_seeds, shuffled_by
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import UNKNOWN, codes_from_one_hot, one_hot_from_codes

Reference = Literal["neutral", "dinucleotide_shuffle"]

NEUTRAL = 0.25


def references(x: Tensor, kind: Reference, count: int, rng: np.random.Generator) -> Tensor:
    """Return references (N, R, 4, L) of sequences (N, 4, L): columns of 0.25 (R = 1) or ``count`` shuffles each.

    An unknown base is unknown in the reference, too: it contributes nothing, so that the contributions of the bases sum
    to the whole difference. Soft columns (such as neutral padding) cannot be shuffled.
    """
    known = (x.sum(1, keepdim=True) > 0).to(x)[:, None]
    if kind == "neutral":
        return NEUTRAL * known.expand(-1, 1, x.shape[1], -1)
    if kind != "dinucleotide_shuffle":
        raise InputError(f"reference must be 'neutral' or 'dinucleotide_shuffle'; it is {kind!r}")
    if count < 1:
        raise InputError(f"shuffles, the references per sequence, must be at least 1; they are {count}")
    array = x.cpu().numpy()
    if not np.isin(array, (0, 1)).all():
        raise InputError(
            "columns that are not one-hot (neutral padding) cannot be shuffled; compare with reference 'neutral', "
            "or shift with padding 'circular' or 'flanks'"
        )
    own = codes_from_one_hot(array)
    codes = np.repeat(own, count, axis=0)
    # One seed per copy, in their order, so that a sequence's shuffles depend neither on those beside it nor on batches.
    seeds = shuffle_seeds(len(codes), rng)
    whole = (codes != UNKNOWN).all(axis=1)
    codes[whole] = shuffled_by(codes[whole], seeds[whole])
    # Intervals between unknown bases are shuffled separately, or a base would land on an unknown one and be lost.
    for row in np.flatnonzero((own == UNKNOWN).any(axis=1)):
        copies = slice(row * count, (row + 1) * count)
        draw = np.random.default_rng(seeds[copies])
        for stretch in _known_stretches(own[row]):
            codes[copies, stretch] = dinucleotide_shuffle(codes[copies, stretch], draw)
    shuffled = one_hot_from_codes(codes)
    return torch.from_numpy(shuffled).to(x).view(len(x), count, *x.shape[1:]) * known


def _known_stretches(codes: np.ndarray) -> Iterator[slice]:
    ends = np.flatnonzero(np.diff(np.r_[False, codes != UNKNOWN, False]))
    yield from (slice(start, end) for start, end in zip(ends[::2], ends[1::2], strict=True))


def hypothetical(multipliers: Tensor, reference: Tensor) -> Tensor:
    """Turn multipliers (..., 4, L) into the contributions of each base, had it been there, against a reference.

    The value of base b is Σ over channels c of multiplier[c] · ((c is b) - reference[c]), so that the values of the
    bases that are present sum to the explained difference.
    """
    return multipliers - (multipliers * reference).sum(-2, keepdim=True)
