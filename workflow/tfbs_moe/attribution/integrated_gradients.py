"""Integrated gradients: the gradient averaged on the way from a reference to the sequence."""

import numpy as np
import torch
from torch import Tensor

from tfbs_moe.attribution.references import Reference, hypothetical, references
from tfbs_moe.attribution.scorer import Scorer
from tfbs_moe.errors import InputError


def integrated_gradients(
    scorer: Scorer,
    x: Tensor,
    rng: np.random.Generator,
    *,
    steps: int = 64,
    reference: Reference = "neutral",
    shuffles: int = 10,
) -> Tensor:
    """Return hypothetical contributions (N, 4, L) by integrated gradients (Sundararajan et al. 2017, ICML).

    The integral is a Gauss-Legendre sum. Contributions times the input add up to the score's difference
    from the reference (from the mean over references, where there are several).

    Args:
        scorer: the model.
        x: (N, 4, L).
        rng: where shuffles come from.
        steps: points on the way; a network of pieces needs more of them the more pieces the way crosses.
        reference: see ``references``.
        shuffles: references per sequence, where they are shuffles.

    Raises:
        InputError: a setting is not allowed.
    """
    if steps < 1:
        raise InputError(f"steps of the integral must be at least 1; they are {steps}")
    node, weight = np.polynomial.legendre.leggauss(steps)
    place = x.new_tensor((node + 1) / 2)[:, None, None]
    share = x.new_tensor(weight / 2)
    parts = []
    for part in x.split(max(1, scorer.batch_size // steps)):
        start = references(part, reference, shuffles, rng)
        total = torch.zeros_like(part)
        for each in start.unbind(1):
            way = each[:, None] + place * (part - each)[:, None]
            total += hypothetical(scorer.mean_gradient(way, share), each)
        parts.append(total / start.shape[1])
    return torch.cat(parts)
