"""Wide filters over a sequence, ReLU, and pooling over all positions: what DeepBind-like networks begin with."""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.autograd.function import once_differentiable

# Share of a filter's bias by which it must stay below zero to be left out.
_MARGIN = 1e-3
# Sequences whose windows are written out at a time for the gradient: few enough to stay in the cache.
_SEQUENCES = 32


class MotifScan(nn.Module):
    """A convolution, ReLU, and the global maximum (and mean) of each filter.

    Where the gradient of the input is wanted (attribution), and on a GPU, the layers run as they
    stand. On a CPU they would spend most of a training step in the gradient of the weights; there the
    same numbers, to rounding, come out of one matrix product over windows, for the filters that can
    fire at all, and without the mean only the window that is highest takes part. That holds for
    sequences whose columns are shares of bases: not negative, and at most 1 in sum.
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
        able = able_to_fire(weight, bias)
        # A convolution in two dimensions knows the layout with channels innermost; one in one dimension does not.
        columns = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        kernel = weight.index_select(0, able).unsqueeze(2)
        hits = F.conv2d(columns, kernel, bias.index_select(0, able)).relu_().squeeze(2).transpose(1, 2)
        maximum, where = hits.max(dim=1)
        ctx.save_for_backward(columns, maximum, hits, where, able)
        ctx.shape = weight.shape
        pooled = [maximum, hits.mean(dim=1)] if mean else [maximum]
        spread = [x.new_zeros(len(x), len(weight)).index_copy_(1, able, values) for values in pooled]
        return spread[0], spread[1] if mean else None

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_maximum: torch.Tensor, grad_mean: torch.Tensor | None) -> tuple[Any, ...]:
        """Return the gradients of weight (F, C, W) and bias (F,)."""
        columns, maximum, hits, where, able = ctx.saved_tensors
        count, positions, filters = hits.shape
        _, channels, width = ctx.shape
        length = columns.shape[3]
        # Windows overlap in memory: the one at position p starts C numbers after the one at p - 1.
        windows = columns.as_strided((count, positions, width * channels), (length * channels, channels, 1))
        peak = grad_maximum.index_select(1, able) * (maximum > 0)
        if grad_mean is not None:
            # The sign of what ReLU let through is its derivative.
            grad = hits.sign().mul_((grad_mean.index_select(1, able) / positions).unsqueeze(1))
            grad.scatter_add_(1, where.unsqueeze(1), peak.unsqueeze(1))
            kernel = columns.new_zeros(filters, width * channels)
            for part, rows in zip(grad.split(_SEQUENCES), windows.split(_SEQUENCES), strict=True):
                kernel.addmm_(part.flatten(0, 1).t(), rows.flatten(0, 1))
            bias = grad.sum(dim=(0, 1))
        else:
            sequence = torch.arange(count, device=where.device).unsqueeze(1)
            best = windows[sequence, where].transpose(0, 1)
            kernel, bias = torch.bmm(peak.t().unsqueeze(1), best).squeeze(1), peak.sum(dim=0)
        kernel = kernel.view(filters, width, channels).transpose(1, 2)
        grad_weight = columns.new_zeros(ctx.shape).index_copy_(0, able, kernel)
        return None, grad_weight, columns.new_zeros(ctx.shape[0]).index_copy_(0, able, bias), None


def able_to_fire(weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Return the numbers of the filters (F, C, W) that some sequence can lift above zero.

    A column of a sequence holds shares of the bases, so a filter gives at most its bias and the largest
    weight of each column. One that cannot fire gives zero everywhere and has no gradient; the paper's
    first biases leave half of the filters so for good.
    """
    most = weight.amax(dim=1).clamp_min_(0).sum(dim=1)
    # A margin for rounding: a filter is left out only where zero is out of its reach.
    able = bias + most > -_MARGIN * (bias.abs() + most)
    # An empty convolution is none.
    able[0] |= ~able.any()
    return torch.nonzero(able).squeeze(1)
