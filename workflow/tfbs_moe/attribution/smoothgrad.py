"""SmoothGrad: the gradient averaged over noisy copies of a sequence."""

import copy

import numpy as np
import torch
from torch import Tensor

from tfbs_moe.attribution.scorer import Scorer
from tfbs_moe.errors import InputError


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
