"""A DeepSEA-type network (Zhou and Troyanskaya 2015, Nat Methods 12:931) for short windows.

Three convolutions of width 8 with max-pooling by 4 after the first two, and one hidden layer. The published network
reads 1,000 bases; here padding leaves enough positions after pooling in a window of about 100.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from tfbs_moe.models.expert import ALPHABET_SIZE, Expert, ExpertParameters, check_positions, receptive_field

_PUBLISHED_CHANNELS = (320, 480, 960)
_PUBLISHED_HIDDEN = 925
_WIDTH = 8
_POOL = 4


@dataclass(frozen=True)
class DeepSEAParameters(ExpertParameters):
    """Hyper-parameters of the DeepSEA-type network."""

    scale: float = 0.25  # of the published numbers of channels (320, 480, 960) and of hidden units (925)
    dropout: float = 0.2  # after the first two convolutions
    hidden_dropout: float = 0.5  # after the third convolution and before the logit


class DeepSEA(Expert):
    """Three convolutions with local pooling, one hidden layer."""

    Parameters = DeepSEAParameters
    search_space: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "network.dropout": {"low": 0.0, "high": 0.4},
        "network.hidden_dropout": {"low": 0.1, "high": 0.6},
        "training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "training.weight_decay": {"low": 1e-4, "high": 1e-1, "log": True},
    }

    def __init__(self, window: int, hyperparameters: Mapping[str, Any]) -> None:
        super().__init__(window, hyperparameters)
        settings: DeepSEAParameters = self.settings
        first, second, third = (max(1, round(settings.scale * channels)) for channels in _PUBLISHED_CHANNELS)
        hidden = max(1, round(settings.scale * _PUBLISHED_HIDDEN))
        half = _WIDTH // 2
        self.padding = {"columns": half, "value": 1.0 / ALPHABET_SIZE}
        self.receptive_field = receptive_field([(_WIDTH, 1), (_POOL, _POOL), (_WIDTH, 1), (_POOL, _POOL), (_WIDTH, 1)])
        self.layers = nn.Sequential(
            nn.Conv1d(ALPHABET_SIZE, first, _WIDTH),
            nn.ReLU(),
            nn.MaxPool1d(_POOL),
            nn.Dropout(settings.dropout),
            nn.Conv1d(first, second, _WIDTH, padding=half),
            nn.ReLU(),
            nn.MaxPool1d(_POOL),
            nn.Dropout(settings.dropout),
            nn.Conv1d(second, third, _WIDTH, padding=half),
            nn.ReLU(),
            nn.Dropout(settings.hidden_dropout),
            nn.Flatten(),
        )
        pooled = ((window + 1) // _POOL + 1) // _POOL
        positions = check_positions(pooled, window, "the DeepSEA-type network") + 1
        self.hidden = nn.Sequential(nn.Linear(third * positions, hidden), nn.ReLU())
        self.add_head(hidden, nn.Dropout(settings.hidden_dropout))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Embed (N, 4, L) into (N, E)."""
        return self.embed_features(self.hidden(self.layers(self.pad(x))))
