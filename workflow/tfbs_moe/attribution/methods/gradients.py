"""Methods by gradients or mutations: gradient, input × gradient, SmoothGrad, in-silico mutagenesis."""

import copy

import numpy as np
import torch
from torch import Tensor

from tfbs_moe.attribution.methods.scorer import Scorer
from tfbs_moe.errors import InputError


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


def smoothgrad(scorer: Scorer, x: Tensor, rng: np.random.Generator, *, draws: int = 25, sd: float = 0.1) -> Tensor:
    """Average the gradient over Gaussian noise on all four channels (Smilkov et al. 2017, arXiv 1706.03825).

    All sequences get the same noise (common random numbers): the result for a sequence does not depend on those beside
    it, and a sequence and its mutated copy are compared on equal terms. A one-hot column spans 0 to 1 (for ``sd``).
    """
    if draws < 1 or not 0 <= sd < np.inf:
        raise InputError(f"draws must be at least 1 and sd finite and not negative; they are {draws} and {sd}")
    # Drawn from a copy of the stream, so that the next batch gets the same noise.
    noise = copy.deepcopy(rng).standard_normal((draws, 4, x.shape[2]), dtype=np.float32)
    added = sd * torch.from_numpy(noise).to(x)
    return torch.cat([scorer.noisy_gradient(part, added) for part in x.split(max(1, scorer.batch_size // draws))])


def ism(scorer: Scorer, x: Tensor, rng: np.random.Generator) -> Tensor:
    """Return the change of the score (N, 4, L) when a position is set to a base; see ``Scorer.mutation_effects``."""
    return scorer.mutation_effects(x)
