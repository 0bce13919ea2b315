"""Small layers that more than one network uses."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn


class BatchMask(nn.Module):
    """The authors' dropout, for the ``published`` protocol: one mask for the whole batch, and no rescaling."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mask (N, E) in training only."""
        if not self.training:
            return x
        keep = torch.full((1, x.shape[1]), 1.0 - self.probability, device=x.device, dtype=x.dtype)
        return x * torch.bernoulli(keep)


def pad_neutral(x: torch.Tensor, columns: int) -> torch.Tensor:
    """Pad both ends of (N, 4, L) with ``columns`` neutral columns of 0.25, all bases equally likely."""
    return F.pad(x, (columns, columns), value=1.0 / x.shape[1])
