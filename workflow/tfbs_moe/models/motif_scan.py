"""The first layers of DeepBind-like networks: wide filters, ReLU, and pooling over all positions."""

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from tfbs_moe.models.layers import pad_neutral


class MotifScan(nn.Module):
    """A convolution, ReLU, and the global maximum (and mean) of each filter over (N, channels, length).

    In training and plain prediction on a CPU, ``letter_scan`` computes the same numbers (to rounding) much faster,
    provided that every column is a base, unknown or neutral; otherwise the torch layers run.
    """

    def __init__(self, channels: int, filters: int, width: int, length: int, mean: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels, filters, width)
        self.activation = nn.ReLU()
        # Not AdaptiveMaxPool1d: DeepLIFT implementations know MaxPool1d only.
        self.maximum = nn.MaxPool1d(length - width + 1)
        self.mean = mean

    def forward(self, x: torch.Tensor, beside: int = 0) -> torch.Tensor:
        """Pool (N, channels, length - 2 · beside), padded with neutral columns, to (N, filters) or (N, 2 · filters)."""
        learning = self.training and torch.is_grad_enabled()
        # Gradients of a trained network, and hooks into its layers, need the layers themselves.
        quick = (learning or not torch.is_grad_enabled()) and not x.requires_grad
        quick = quick and x.device.type == "cpu" and x.dtype == torch.float32
        # torch's compiler cannot trace numba code.
        letters = _letters(x, beside) if quick and not torch.compiler.is_compiling() else None
        if letters is None:
            hits = self.activation(self.convolution(pad_neutral(x, beside)))
            pooled = [self.maximum(hits).squeeze(2)] + ([hits.mean(dim=2)] if self.mean else [])
            return torch.cat(pooled, dim=1)
        run = _Scan.apply if learning else _pool
        weight, bias = self.convolution.weight, self.convolution.bias
        assert bias is not None
        return run(letters, weight, bias, self.mean)


def _letters(x: torch.Tensor, beside: int) -> torch.Tensor | None:
    """Return the codes of columns (N, 4, L) and their padding, or None if some column has no code."""
    # numba takes most of a second to import: only when it is needed.
    from tfbs_moe.models.letter_scan import read_letters

    letters, known = read_letters(x.detach().contiguous().numpy(), beside)
    return torch.from_numpy(letters) if known else None


def _scan(letters: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, with_mean: bool, for_gradient: bool) -> Any:
    from tfbs_moe.models.letter_scan import scan

    filters, biases = weight.detach().contiguous().numpy(), bias.detach().numpy()
    return scan(letters.numpy(), filters, biases, with_mean, for_gradient)


def _pool(letters: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, with_mean: bool) -> torch.Tensor:
    return torch.from_numpy(_scan(letters, weight, bias, with_mean, for_gradient=False).pooled)


class _Scan(torch.autograd.Function):
    """The scan as an autograd function, with gradients for weight and bias."""

    @staticmethod
    def forward(
        ctx: Any, letters: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, with_mean: bool
    ) -> torch.Tensor:
        """Return the pooled values, (N, F) or (N, 2 · F)."""
        ctx.letters, ctx.width = letters.numpy(), weight.shape[2]
        ctx.scanned = _scan(letters, weight, bias, with_mean, for_gradient=True)
        return torch.from_numpy(ctx.scanned.pooled)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_pooled: torch.Tensor) -> tuple[Any, ...]:
        """Return the gradients of weight (F, 4, W) and bias (F,)."""
        from tfbs_moe.models.letter_scan import scan_gradient

        weight, bias = scan_gradient(ctx.scanned, ctx.letters, of_pooled.contiguous().numpy(), ctx.width)
        return None, torch.from_numpy(weight), torch.from_numpy(bias), None
