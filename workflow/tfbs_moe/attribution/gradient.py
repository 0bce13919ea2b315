"""Gradients of the logit: plain, times the input, and with the base mean taken off."""

import numpy as np
from torch import Tensor

from tfbs_moe.attribution.scorer import Scorer


def gradient(scorer: Scorer, x: Tensor, rng: np.random.Generator) -> Tensor:
    """Return the vanilla gradient (N, 4, L) (Simonyan, Vedaldi & Zisserman 2013, arXiv 1312.6034)."""
    return scorer.gradient(x)


def random(scorer: Scorer, x: Tensor, rng: np.random.Generator) -> Tensor:
    """Return standard normal noise (N, 4, L): what a method that knows nothing scores."""
    return x.new_tensor(rng.standard_normal(tuple(x.shape), dtype=np.float32))


def simplex_corrected(attribution: np.ndarray) -> np.ndarray:
    """Take off the mean over the four bases at each position.

    One-hot data live on a simplex; the part of a gradient that points off it says nothing about any
    sequence (Majdandzic et al. 2023, Genome Biology 24:109).

    Args:
        attribution: (N, 4, L).
    """
    return attribution - attribution.mean(axis=1, keepdims=True)


def times_input(attribution: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Return attribution × input (N, 4, L), which is what a logo shows: the value of the base that is there."""
    return attribution * X
