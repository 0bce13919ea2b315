"""Logistic regression on k-mer counts, a baseline akin to the gapped k-mer SVM.

Ghandi et al. 2014, PLoS Comput Biol 10:e1003711.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.autograd.function import once_differentiable

from tfbs_moe.errors import InputError
from tfbs_moe.models.expert import ALPHABET_SIZE, Expert, ExpertParameters, check_positions, check_window


class _Sum(torch.autograd.Function):
    """Sums of weights (R, 1) over rows (N, T): (N, 1). The last weight learns nothing.

    The numbers are those of torch's ``EmbeddingBag`` with a ``padding_idx``, which takes twice as long.
    """

    @staticmethod
    def forward(ctx: Any, weights: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return the sums (N, 1)."""
        ctx.rows, ctx.weights = rows, len(weights)
        return F.embedding_bag(rows, weights, mode="sum")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_sums: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Return the gradient (R, 1) of the weights."""
        # Sorted as torch sorts them, so that rounding is the same too.
        rows, order = ctx.rows.flatten().sort()
        each = of_sums.squeeze(1)[order // ctx.rows.shape[1]]
        gradient = of_sums.new_zeros(ctx.weights).index_add_(0, rows, each)
        gradient[-1] = 0
        return gradient.unsqueeze(1), None


@dataclass(frozen=True)
class KmerParameters(ExpertParameters):
    """Hyper-parameters of the k-mer model."""

    embedding_size: int = 1
    k: int = 6


class KmerLogistic(Expert):
    """A weight per k-mer, shared with its reverse complement; the logit is their sum over the sequence plus a bias.

    The embedding is that sum without the bias. K-mers with a column that is not a base (unknown, or neutral padding)
    are not counted. Counts do not respond to small changes of a column, so the input has no gradient: among attribution
    methods only mutagenesis works.
    """

    Parameters = KmerParameters
    search_space: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "training.weight_decay": {"low": 1e-2, "high": 1.0, "log": True},
    }
    stackable: ClassVar[bool] = False
    row: torch.Tensor

    def __init__(self, window: int, hyperparameters: Mapping[str, Any]) -> None:
        super().__init__(window, hyperparameters)
        k = self.settings.k
        if self.embedding_size != 1:
            raise InputError("hyper-parameters of KmerLogistic: embedding_size is always 1")
        check_positions(window - k + 1, window, f"k-mers of {k}")
        self.receptive_field = k
        places = ALPHABET_SIZE ** torch.arange(k)
        kmers = torch.arange(ALPHABET_SIZE**k)
        bases = kmers[:, None] // places % ALPHABET_SIZE
        # Reverse complements.
        turned = ((ALPHABET_SIZE - 1 - bases).flip(1) * places).sum(1)
        classes, inverse = torch.unique(torch.minimum(kmers, turned), return_inverse=True)
        # One extra row, of zero weight, for k-mers with an unknown base.
        self.register_buffer("row", torch.cat([inverse, torch.tensor([len(classes)])]), persistent=False)
        self.weights = nn.Embedding(len(classes) + 1, 1)
        nn.init.zeros_(self.weights.weight)
        self.bias = nn.Parameter(torch.zeros(1))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sums of k-mer weights (N, 1) of sequences (N, 4, L)."""
        check_window(x, self.window)
        k = self.settings.k
        # Larger than any k-mer, and so is every sum with it.
        unknown = ALPHABET_SIZE**k
        bases = torch.where(x.amax(1) == 1, x[:, 1] + 2 * x[:, 2] + 3 * x[:, 3], unknown).long()
        count = x.shape[2] - k + 1
        kmers = sum(bases[:, place : place + count] * ALPHABET_SIZE**place for place in range(k))
        sums: torch.Tensor = _Sum.apply(self.weights.weight, self.row[kmers.clamp_max(unknown)])
        return sums

    def classify(self, embedding: torch.Tensor) -> torch.Tensor:
        """Turn sums (N, 1) into logits (N,)."""
        return embedding.squeeze(1) + self.bias

    def readout(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight (1,) and bias () of the logit."""
        return torch.ones_like(self.bias), self.bias[0]
