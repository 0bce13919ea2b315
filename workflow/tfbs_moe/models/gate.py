"""The interface of gates: from the embeddings of K experts to one logit, and a weight for each expert."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from tfbs_moe.models.parameters import as_json, parse
from tfbs_moe.models.stack import ExpertStack


@dataclass(frozen=True)
class GateParameters:
    """Hyper-parameters that every gate has: none."""


@dataclass(frozen=True)
class LearningGateParameters(GateParameters):
    """Hyper-parameters of every gate with learned weights."""

    # Coefficient of the weights' mean entropy (nats), subtracted from the training loss: keeps a gate from collapsing
    # onto one expert.
    entropy_bonus: float = 0.0


class Gate(nn.Module, ABC):
    """Mixes the embeddings of K experts into one logit.

    Embeddings are float (N, K, E); an expert whose embedding begins with NaN is absent for that sequence: its weight is
    0 and nothing of it is used. A motif-conditioned gate (``informed``) also takes a motif prior ``knowledge`` of the
    factor being scored, float (N, 1 + K): the score of the factor's own motif on the sequence, and that motif's
    similarity to the motif of each expert's factor; NaN where unknown.

    A subclass sets ``Parameters``, builds its layers and defines ``mix``.
    """

    Parameters: ClassVar[type[GateParameters]] = GateParameters
    # Whether ``mix`` uses the experts' logits; the gate then keeps a copy of their heads.
    reads_logits: ClassVar[bool] = False
    informed: ClassVar[bool] = False

    head_weight: torch.Tensor
    head_bias: torch.Tensor

    def __init__(self, experts: int, embedding_size: int, hyperparameters: Mapping[str, Any]) -> None:
        """Check the hyper-parameters of a gate over K = ``experts`` embeddings of size E = ``embedding_size``."""
        super().__init__()
        self.settings: Any = parse(self.Parameters, hyperparameters, f"hyper-parameters of {type(self).__name__}")
        self.hyperparameters = as_json(self.settings)
        self.experts = experts
        self.embedding_size = embedding_size
        if self.reads_logits:
            self.register_buffer("head_weight", torch.zeros(experts, embedding_size))
            self.register_buffer("head_bias", torch.zeros(experts))

    @abstractmethod
    def mix(
        self, embeddings: torch.Tensor, present: torch.Tensor, knowledge: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn embeddings (N, K, E), zero where not ``present`` (N, K), into logits (N,) and weights (N, K)."""

    def forward(
        self, embeddings: torch.Tensor, knowledge: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn embeddings (N, K, E) into logits (N,) and weights (N, K), which sum to 1, or to 0 without any expert."""
        present = ~embeddings[:, :, 0].isnan()
        embeddings = torch.where(present.unsqueeze(2), embeddings, 0.0)
        return self.mix(embeddings, present, knowledge if self.informed else None)

    def learn_heads(self, stack: ExpertStack) -> None:
        """Copy the heads of the experts, if ``mix`` uses their logits."""
        if self.reads_logits:
            weight, bias = stack.readouts()
            self.head_weight.copy_(weight)
            self.head_bias.copy_(bias)

    def logits_of_experts(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the experts' own logits (N, K)."""
        return torch.einsum("nke,ke->nk", embeddings, self.head_weight) + self.head_bias

    def choose(self, areas: torch.Tensor) -> None:
        """Set what gradient descent does not learn, from the experts' AUROCs (K,) on validation examples."""

    def penalty(self, weights: torch.Tensor) -> torch.Tensor | None:
        """Return the term added to the loss for weights (N, K), or None."""
        bonus = getattr(self.settings, "entropy_bonus", 0.0)
        return -bonus * entropy(weights).mean() if bonus else None


def entropy(weights: torch.Tensor) -> torch.Tensor:
    """Return the entropy in nats (N,) of weights (N, K); a weight of 0 adds nothing, and no gradient."""
    # The slope of -w log w is infinite at 0 and would give NaN gradients; a weight of 1 stands in, whose term is 0.
    return torch.special.entr(torch.where(weights > 0, weights, 1.0)).sum(dim=1)


def masked_softmax(scores: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Return the softmax (N, K) of scores over the experts present; zeros where none is."""
    lowest = torch.finfo(scores.dtype).min
    return torch.softmax(scores.masked_fill(~present, lowest), dim=1) * present
