"""The paper's expert, a DeepBind-like network, exactly as published (arXiv 2507.09754).

Neutral padding of width - 1 columns, one convolution, ReLU, global maximum (and mean), a linear layer, layer
normalisation (the embedding), dropout, a linear layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from tfbs_moe.models.expert import (
    ALPHABET_SIZE,
    Batch,
    BatchMask,
    DirectGradients,
    Expert,
    ExpertParameters,
    pad_neutral,
)


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
        letters = _bases(x, beside) if quick and not torch.compiler.is_compiling() else None
        if letters is None:
            hits = self.activation(self.convolution(pad_neutral(x, beside)))
            pooled = [self.maximum(hits).squeeze(2)] + ([hits.mean(dim=2)] if self.mean else [])
            return torch.cat(pooled, dim=1)
        run = _Scan.apply if learning else _pool
        weight, bias = self.convolution.weight, self.convolution.bias
        assert bias is not None
        return run(letters, weight, bias, self.mean)


def _bases(x: torch.Tensor, beside: int) -> torch.Tensor | None:
    """Return the codes of columns (N, 4, L) and their padding, or None if some column has no code."""
    # numba takes most of a second to import: only when it is needed.
    from tfbs_moe.models.lookup_convolution import read_bases

    letters, known = read_bases(x.detach().contiguous().numpy(), beside)
    return torch.from_numpy(letters) if known else None


def _pool(letters: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, with_mean: bool) -> torch.Tensor:
    from tfbs_moe.models.lookup_convolution import scan

    filters, biases = weight.detach().contiguous().numpy(), bias.detach().numpy()
    return torch.from_numpy(scan(letters.numpy(), filters, biases, with_mean))


class _Scan(torch.autograd.Function):
    """The scan as an autograd function, with gradients for weight and bias."""

    @staticmethod
    def forward(
        ctx: Any, letters: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, with_mean: bool
    ) -> torch.Tensor:
        """Return the pooled values, (N, F) or (N, 2 · F)."""
        ctx.save_for_backward(letters, weight, bias)
        return _pool(letters, weight, bias, with_mean)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_pooled: torch.Tensor) -> tuple[Any, ...]:
        """Return the gradients of weight (F, 4, W) and bias (F,)."""
        from tfbs_moe.models.lookup_convolution import scan_gradient

        arrays = [tensor.detach().contiguous().numpy() for tensor in (*ctx.saved_tensors, of_pooled)]
        weight, bias = scan_gradient(*arrays)
        return None, torch.from_numpy(weight), torch.from_numpy(bias), None


@dataclass(frozen=True)
class ConvNetParameters(ExpertParameters):
    """Hyper-parameters of the paper's network."""

    motifs: int = 16  # filters of the convolution
    motif_width: int = 24  # bases
    pooling: Literal["max", "max_mean"] = "max_mean"
    dropout: float = 0.25  # of the embedding: 1 - the paper's keep probability
    dropout_kind: Literal["standard", "batch_mask"] = "standard"  # ``batch_mask``: the authors' own, see ``BatchMask``
    weight_sd: float = 1e-4  # standard deviation of the filters' initial weights


class ConvNet(Expert):
    """The paper's expert; about 2.5 thousand weights."""

    Parameters = ConvNetParameters
    quick_alone = True
    # The authors' search space; their keep probability is 1 - dropout.
    search_space: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "network.pooling": {"choices": ["max", "max_mean"]},
        "network.dropout": {"choices": [0.0, 0.25, 0.5]},
        "network.weight_sd": {"low": 1e-7, "high": 1e-3, "log": True},
        "training.learning_rate": {"low": 5e-4, "high": 5e-2, "log": True},
        "training.momentum": {"low": 0.95, "high": 0.99},
    }

    def __init__(self, window: int, hyperparameters: Mapping[str, Any]) -> None:
        """Build the network with initial weights from torch's generator."""
        super().__init__(window, hyperparameters)
        settings: ConvNetParameters = self.settings
        self.receptive_field = settings.motif_width
        self.padding = {"columns": settings.motif_width - 1, "value": 1.0 / ALPHABET_SIZE}
        length = window + 2 * (settings.motif_width - 1)
        both = settings.pooling == "max_mean"
        self.scan = MotifScan(ALPHABET_SIZE, settings.motifs, settings.motif_width, length, mean=both)
        nn.init.normal_(self.scan.convolution.weight, std=settings.weight_sd)
        with torch.no_grad():
            self.scan.convolution.bias.copy_(-torch.randn(settings.motifs))  # type: ignore[union-attr]
        kind = BatchMask if settings.dropout_kind == "batch_mask" else nn.Dropout
        self.add_head(settings.motifs * (1 + both), kind(settings.dropout))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Embed (N, 4, L) into (N, E)."""
        return self.embed_features(self.scan(x, self.columns_beside(x)))

    def direct_gradients(self) -> DirectGradients | None:
        """Return the compiled pass over a batch, where it computes what the layers would."""
        known = type(self) is ConvNet and self.settings.reverse_complement != "average"
        plain = all(p.requires_grad and p.device.type == "cpu" and p.dtype == torch.float32 for p in self.parameters())
        return _DirectGradients(self) if known and plain else None


class _DirectGradients:
    """Gradients by ``convnet_gradients``."""

    def __init__(self, model: ConvNet) -> None:
        from tfbs_moe.models.convnet_gradients import Dropout, Weights

        probability, shared = model.settings.dropout, model.settings.dropout_kind == "batch_mask"
        self.dropout, self.epsilon = Dropout(probability, shared), model.norm.eps
        parameters = list(model.parameters())
        # Optimisers change weights in place.
        self.weights = Weights(*(parameter.detach().numpy() for parameter in parameters))
        self.all_gradients = torch.zeros(sum(parameter.numel() for parameter in parameters))
        parts = self.all_gradients.split([parameter.numel() for parameter in parameters])
        shaped = [part.view_as(parameter) for part, parameter in zip(parts, parameters, strict=True)]
        for parameter, gradient in zip(parameters, shaped, strict=True):
            parameter.grad = gradient
        self.gradients = Weights(*(gradient.numpy() for gradient in shaped))

    def __call__(self, batch: Batch) -> float:
        from tfbs_moe.models.convnet_gradients import loss_and_gradients

        self.all_gradients.zero_()
        return loss_and_gradients(batch, self.dropout, self.epsilon, self.weights, self.gradients)
