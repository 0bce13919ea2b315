"""A small residual network of our own: motif scan, local pooling, dilated blocks, global pooling.

Each part adds something that the paper's expert lacks: the exponential after the first layer turns log-odds into odds,
so that filters become sharp motifs (Koo and Ploenzke 2021, Nat Mach Intell 3:258); local pooling keeps motif positions;
dilated residual convolutions (Kelley et al. 2018, Genome Res 28:739) model motif arrangement; global maximum and mean
capture presence and frequency. Training draws either strand, prediction averages both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from tfbs_moe.models.expert import ALPHABET_SIZE, Expert, ExpertParameters, check_positions, receptive_field

# Beyond this the exponential is too steep to train.
_LARGEST_EXPONENT = 8.0


@dataclass(frozen=True)
class ResidualParameters(ExpertParameters):
    """Hyper-parameters of the residual network."""

    reverse_complement: Literal["none", "average", "average_prediction"] = "average_prediction"
    filters: int = 64  # of the first convolution, and channels C of the blocks
    width: int = 15  # of the first convolution, in bases; odd
    pool: int = 3  # positions per local pooling
    blocks: int = 2  # residual blocks; dilation doubles from one to the next
    block_width: int = 5  # of a block's convolution, before dilation; odd
    conv_dropout: float = 0.1  # within blocks
    dropout: float = 0.2  # of the pooled features, and of the embedding before the logit


class Exponential(nn.Module):
    """Exponential activation, bounded."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return exp(x) elementwise, of x up to ``_LARGEST_EXPONENT``."""
        return torch.exp(x.clamp(max=_LARGEST_EXPONENT))


class Block(nn.Module):
    """Normalise, activate and convolve twice, and add the input: (N, C, 1, T) to (N, C, 1, T)."""

    def __init__(self, channels: int, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, (1, width), padding=(0, dilation * (width // 2)), dilation=dilation),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input plus the block's output."""
        return x + self.layers(x)


class Residual(Expert):
    """Motif scan, local pooling, dilated residual blocks, global maximum and mean."""

    Parameters = ResidualParameters
    search_space: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "network.filters": {"choices": [32, 64, 96]},
        "network.blocks": {"low": 1, "high": 3},
        "network.conv_dropout": {"low": 0.0, "high": 0.3},
        "network.dropout": {"low": 0.0, "high": 0.5},
        "training.learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
        "training.weight_decay": {"low": 1e-3, "high": 1e-1, "log": True},
    }

    def __init__(self, window: int, hyperparameters: Mapping[str, Any]) -> None:
        super().__init__(window, hyperparameters)
        settings: ResidualParameters = self.settings
        half = settings.width // 2
        channels = settings.filters
        check_positions(window // settings.pool, window, "the residual network")
        # A module, because DeepLIFT has rules for modules only.
        self.global_max = nn.MaxPool1d(-(-window // settings.pool))
        self.padding = {"columns": half, "value": 1.0 / ALPHABET_SIZE}
        dilated = [(1 + 2**number * (settings.block_width - 1), 1) for number in range(settings.blocks)]
        self.receptive_field = receptive_field([(settings.width, 1), (settings.pool, settings.pool), *dilated])
        self.stem = nn.Sequential(
            nn.Conv2d(ALPHABET_SIZE, channels, (1, settings.width)),
            nn.BatchNorm2d(channels),
            Exponential(),
            nn.MaxPool2d((1, settings.pool), ceil_mode=True),
        )
        self.blocks = nn.Sequential(
            *(
                Block(channels, settings.block_width, 2**number, settings.conv_dropout)
                for number in range(settings.blocks)
            ),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.pooled_dropout = nn.Dropout(settings.dropout)
        self.add_head(2 * channels, nn.Dropout(settings.dropout))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Embed (N, 4, L) into (N, E)."""
        # Two-dimensional layers support channels-last memory, which is a third faster on a CPU.
        rows = self.pad(x).unsqueeze(2).contiguous(memory_format=torch.channels_last)
        hits = self.blocks(self.stem(rows)).squeeze(2)
        return self.embed_features(
            self.pooled_dropout(torch.cat([self.global_max(hits).squeeze(2), hits.mean(dim=2)], dim=1))
        )
