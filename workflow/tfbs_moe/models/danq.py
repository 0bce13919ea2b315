"""A DanQ-type network (Quang and Xie 2016, Nucleic Acids Res 44:e107) for short windows.

One wide convolution, max-pooling by 13, a bidirectional LSTM over the pooled positions, and one hidden layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from tfbs_moe.models.expert import ALPHABET_SIZE, Expert, ExpertParameters, check_positions

_PUBLISHED_CHANNELS = 320
_PUBLISHED_HIDDEN = 925
_WIDTH = 26
_POOL = 13


@dataclass(frozen=True)
class DanQParameters(ExpertParameters):
    """Hyper-parameters of the DanQ-type network."""

    scale: float = 0.25  # of the published numbers of filters and LSTM units (320) and of hidden units (925)
    dropout: float = 0.2  # after the convolution
    hidden_dropout: float = 0.5  # after the LSTM and before the logit


class DanQ(Expert):
    """A convolution and a bidirectional LSTM."""

    Parameters = DanQParameters
    search_space: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "network.dropout": {"low": 0.0, "high": 0.4},
        "network.hidden_dropout": {"low": 0.1, "high": 0.6},
        "training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "training.weight_decay": {"low": 1e-4, "high": 1e-1, "log": True},
    }
    stackable: ClassVar[bool] = False

    def __init__(self, window: int, hyperparameters: Mapping[str, Any]) -> None:
        super().__init__(window, hyperparameters)
        settings: DanQParameters = self.settings
        channels = max(1, round(settings.scale * _PUBLISHED_CHANNELS))
        hidden = max(1, round(settings.scale * _PUBLISHED_HIDDEN))
        half = _WIDTH // 2
        self.padding = {"columns": half, "value": 1.0 / ALPHABET_SIZE}
        # The recurrent layer sees the whole sequence.
        self.receptive_field = window
        self.convolution = nn.Conv1d(ALPHABET_SIZE, channels, _WIDTH)
        self.activation = nn.ReLU()
        self.pool = nn.MaxPool1d(_POOL)
        self.pooled_dropout = nn.Dropout(settings.dropout)
        self.recurrent = nn.LSTM(channels, channels, batch_first=True, bidirectional=True)
        self.recurrent_dropout = nn.Dropout(settings.hidden_dropout)
        positions = check_positions((window + 1) // _POOL, window, "the DanQ-type network")
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(2 * channels * positions, hidden), nn.ReLU())
        self.add_head(hidden, nn.Dropout(settings.hidden_dropout))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Embed (N, 4, L) into (N, E)."""
        motifs = self.pool(self.activation(self.convolution(self.pad(x))))
        states, _ = self.recurrent(self.pooled_dropout(motifs).transpose(1, 2))
        return self.embed_features(self.hidden(self.recurrent_dropout(states)))
