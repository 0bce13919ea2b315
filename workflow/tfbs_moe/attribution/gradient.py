"""Gradients of the logit: plain, times the input, and with the mean over bases subtracted."""

import numpy as np
from torch import Tensor

from tfbs_moe.attribution.scorer import Scorer


def gradient(scorer: Scorer, x: Tensor, rng: np.random.Generator) -> Tensor:
    """Return the vanilla gradient (N, 4, L) (Simonyan, Vedaldi & Zisserman 2013, arXiv 1312.6034)."""
    return scorer.gradient(x)


def random(scorer: Scorer, x: Tensor, rng: np.random.Generator) -> Tensor:
    """Return standard normal noise (N, 4, L), the baseline of an uninformative method."""
    return x.new_tensor(rng.standard_normal(tuple(x.shape), dtype=np.float32))


def simplex_corrected(attribution: np.ndarray) -> np.ndarray:
    """Subtract the mean over the four bases at each position of an attribution (N, 4, L).

    One-hot data live on a simplex; the part of a gradient that points off it says nothing about any sequence
    (Majdandzic et al. 2023, Genome Biology 24:109).
    """
    return attribution - attribution.mean(axis=1, keepdims=True)


def times_input(attribution: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Return attribution × input (N, 4, L), as a logo shows it: the value of the base that is present."""
    return attribution * X
