"""Integrated gradients: the gradient averaged along the path from a reference to the sequence."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tfbs_moe.attribution.methods.references import Reference, hypothetical, references
from tfbs_moe.attribution.methods.scorer import Scorer
from tfbs_moe.errors import InputError

# Gauss-Legendre points per segment of the path: exact for a gradient up to the fifth power.
POINTS = 3
# How often a segment is halved at most: float32 still resolves 2⁻¹⁴ of one.
HALVINGS = 14


def integrated_gradients(
    scorer: Scorer,
    x: Tensor,
    rng: np.random.Generator,
    *,
    steps: int = 16,
    tolerance: float | None = 1e-4,
    reference: Reference = "neutral",
    shuffles: int = 10,
) -> Tensor:
    """Return hypothetical contributions (N, 4, L) by integrated gradients (Sundararajan et al. 2017, ICML).

    Contributions times the input sum to the score's difference from the (mean) reference, within about
    ``tolerance`` per sequence. No fixed grid integrates well over the kinks of a ReLU or a maximum, so of the
    ``steps`` initial segments of the path those whose integral misses the score's change are halved; with a
    tolerance of None, none are.
    """
    if steps < 1 or (tolerance is not None and not tolerance > 0):
        raise InputError(f"steps must be at least 1 and tolerance positive; they are {steps} and {tolerance}")
    parts = []
    for part in x.split(max(1, scorer.batch_size // (POINTS * steps))):
        start = references(part, reference, shuffles, rng)
        total = torch.zeros_like(part)
        for each in start.unbind(1):
            mean = mean_gradient_between(
                scorer.score, scorer.mean_gradient, each, part, steps=steps, tolerance=tolerance
            )
            total += hypothetical(mean, each)
        parts.append(total / start.shape[1])
    return torch.cat(parts)


def mean_gradient_between(
    score: Callable[[Tensor], Tensor],
    mean_gradient: Callable[[Tensor, Tensor], Tensor],
    start: Tensor,
    end: Tensor,
    *,
    steps: int,
    tolerance: float | None,
) -> Tensor:
    """Return the mean gradient (N, A, B) on the straight line between inputs ``start`` and ``end`` (N, A, B).

    ``score`` maps (M, A, B) to (M,); ``mean_gradient`` maps copies (M, C, A, B) and weights (C,) to the weighted
    sum of their gradients (M, A, B). The integral is checked against the change of the score; a tolerance of None
    skips that.
    """
    node, weight = np.polynomial.legendre.leggauss(POINTS)
    place, share = start.new_tensor((node + 1) / 2), start.new_tensor(weight / 2)
    row = torch.arange(len(start), device=start.device).repeat_interleave(steps)
    left = (torch.arange(steps, device=start.device) / steps).repeat(len(start))
    size = 1 / steps
    total = torch.zeros_like(start)
    for halving in range(HALVINGS + 1):
        near, way = start[row], (end - start)[row]
        points = left[:, None] + size * place
        copies = near[:, None] + points[:, :, None, None] * way[:, None]
        mean = mean_gradient(copies, share)
        kept = torch.ones_like(row, dtype=torch.bool)
        if tolerance is not None and halving < HALVINGS:
            ends = [near + each[:, None, None] * way for each in (left, left + size)]
            change = score(ends[1]) - score(ends[0])
            integral = size * (mean * way).sum((1, 2))
            kept = (integral - change).abs() <= tolerance / steps
        total.index_add_(0, row[kept], size * mean[kept])
        if kept.all():
            break
        size /= 2
        row = row[~kept].repeat(2)
        left = torch.cat([left[~kept], left[~kept] + size])
    return total
