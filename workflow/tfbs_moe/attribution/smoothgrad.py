"""SmoothGrad: the gradient averaged over noisy copies of a sequence."""

import numpy as np
import torch
from torch import Tensor

from tfbs_moe.attribution.scorer import Scorer
from tfbs_moe.errors import InputError


def smoothgrad(scorer: Scorer, x: Tensor, rng: np.random.Generator, *, draws: int = 25, sd: float = 0.1) -> Tensor:
    """Average the gradient over Gaussian noise on all four channels (Smilkov et al. 2017, arXiv 1706.03825).

    Args:
        scorer: the model.
        x: (N, 4, L).
        rng: where the noise comes from; sequence by sequence, so that the batch size changes nothing.
        draws: noisy copies per sequence.
        sd: standard deviation of the noise; a one-hot column spans 0 to 1.

    Raises:
        InputError: ``draws`` or ``sd`` is out of range.
    """
    if draws < 1 or not 0 <= sd < np.inf:
        raise InputError(f"draws must be at least 1 and sd finite and not negative; they are {draws} and {sd}")
    parts = []
    for part in x.split(max(1, scorer.batch_size // draws)):
        count, _, length = part.shape
        noise = rng.standard_normal((count, draws, 4, length), dtype=np.float32)
        noisy = part[:, None] + sd * torch.from_numpy(noise).to(x)
        parts.append(scorer.mean_gradient(noisy, noisy.new_full((draws,), 1 / draws)))
    return torch.cat(parts)
