"""Wide filters over a sequence, ReLU, and pooling over all positions: what DeepBind-like networks begin with."""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.autograd.function import once_differentiable

# Sequences whose windows are written out at a time for the gradient: few enough to stay in the cache.
_SEQUENCES = 32


class MotifScan(nn.Module):
    """A convolution, ReLU, and the global maximum (and mean) of each filter.

    Where the gradient of the input is wanted (attribution), and on a GPU, the layers run as they
    stand. On a CPU they would spend most of a training step in the gradient of the weights; there the
    same numbers, to rounding, come out of one matrix product over windows, and without the mean
    only the window that is highest takes part.
    """

    def __init__(self, channels: int, filters: int, width: int, length: int, mean: bool) -> None:
        """Scan (N, channels, length) with ``filters`` of ``width``; ``mean`` adds the mean to the maximum."""
        super().__init__()
        self.convolution = nn.Conv1d(channels, filters, width)
        self.activation = nn.ReLU()
        # MaxPool1d over all positions, not AdaptiveMaxPool1d: DeepLIFT implementations know the former only.
        self.maximum = nn.MaxPool1d(length - width + 1)
        self.mean = mean

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, filters), or (N, 2 · filters) where the mean is taken too."""
        if x.requires_grad or x.device.type != "cpu":
            hits = self.activation(self.convolution(x))
            pooled = [self.maximum(hits).squeeze(2)] + ([hits.mean(dim=2)] if self.mean else [])
            return torch.cat(pooled, dim=1)
        weight, bias = self.convolution.weight, self.convolution.bias
        assert bias is not None
        if self.training and torch.is_grad_enabled() and weight.requires_grad:
            maximum, mean = _Scan.apply(x, weight, bias, self.mean)
        else:
            hits = self.convolution(x).relu_()
            maximum, mean = hits.amax(dim=2), hits.mean(dim=2)
        return torch.cat([maximum, mean], dim=1) if self.mean else maximum


class _Scan(torch.autograd.Function):
    """The scan in training, with a gradient for weight and bias, not for the input."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, mean: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return maximum and mean (N, F)."""
        # A convolution in two dimensions knows the layout with channels innermost; one in one dimension does not.
        columns = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        hits = F.conv2d(columns, weight.unsqueeze(2), bias).relu_().squeeze(2).transpose(1, 2)
        maximum, where = hits.max(dim=1)
        ctx.save_for_backward(x, maximum, hits, where)
        ctx.width = weight.shape[2]
        return maximum, hits.mean(dim=1) if mean else None

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_maximum: torch.Tensor, grad_mean: torch.Tensor | None) -> tuple[Any, ...]:
        """Return the gradients of weight (F, C, W) and bias (F,)."""
        x, maximum, hits, where = ctx.saved_tensors
        count, positions, filters = hits.shape
        peak = grad_maximum * (maximum > 0)
        windows = _windows(x, ctx.width)
        if grad_mean is not None:
            # The sign of what ReLU let through is its derivative.
            grad = hits.sign() * (grad_mean / positions).unsqueeze(1)
            grad = grad.scatter_add(1, where.unsqueeze(1), peak.unsqueeze(1))
            kernel = sum(
                part.flatten(0, 1).t() @ rows.flatten(0, 1)
                for part, rows in zip(grad.split(_SEQUENCES), windows.split(_SEQUENCES), strict=True)
            )
            bias = grad.sum(dim=(0, 1))
        else:
            sequence = torch.arange(count, device=hits.device).unsqueeze(1)
            best = windows[sequence, where].transpose(0, 1)
            kernel, bias = torch.bmm(peak.t().unsqueeze(1), best).squeeze(1), peak.sum(dim=0)
        return None, kernel.view(filters, ctx.width, -1).transpose(1, 2), bias, None


def _windows(x: torch.Tensor, width: int) -> torch.Tensor:
    """Return every window of (N, C, L) as a view (N, positions, width · C), channels innermost."""
    count, channels, length = x.shape
    columns = x.transpose(1, 2).contiguous()
    # Windows overlap in memory: the one at position p starts C numbers after the one at p - 1.
    return columns.as_strided((count, length - width + 1, width * channels), (length * channels, channels, 1))
