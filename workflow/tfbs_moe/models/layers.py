"""Small layers that more than one network uses."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn


class BatchMask(nn.Module):
    """The authors' dropout: one mask for the whole batch in training, and no rescaling.

    Kept for the ``published`` protocol; ``torch.nn.Dropout`` is what dropout should be.
    """

    def __init__(self, probability: float) -> None:
        """Drop each unit with ``probability``, for all rows of a batch at once."""
        super().__init__()
        self.probability = probability

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mask (N, E) in training; return it as it is in evaluation."""
        if not self.training:
            return x
        keep = torch.full((1, x.shape[1]), 1.0 - self.probability, device=x.device, dtype=x.dtype)
        return x * torch.bernoulli(keep)


def pad_neutral(x: torch.Tensor, columns: int) -> torch.Tensor:
    """Put ``columns`` of 0.25 (each base as likely) on both sides of (N, 4, L)."""
    return F.pad(x, (columns, columns), value=1.0 / x.shape[1])
