"""The paper's expert, a DeepBind-like network, exactly as published (arXiv 2507.09754).

Neutral padding of width - 1 columns, one convolution, ReLU, global maximum (and mean), a linear layer, layer
normalisation (the embedding), dropout, a linear layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from tfbs_moe.models.interface import ALPHABET_SIZE, Expert, ExpertParameters
from tfbs_moe.models.layers import BatchMask
from tfbs_moe.models.motif_scan import MotifScan


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
