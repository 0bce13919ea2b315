"""What every gate is: from the embeddings of K experts to one logit, and a weight for each expert."""

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
    """Hyper-parameters of every gate that learns to weigh.

    Attributes:
        entropy_bonus: what the entropy (nats) of the weights takes off the loss in training; it keeps
            a gate from settling on one expert.
    """

    entropy_bonus: float = 0.0


class Gate(nn.Module, ABC):
    """Mixes the embeddings of K experts into one logit.

    Embeddings are float (N, K, E). An expert whose embedding begins with NaN is absent from that row: its weight is 0
    and nothing of it is used. A gate with ``informed`` may be told what is known of the factor that is asked for:
    knowledge is float (N, 1 + K), the score of the factor's own matrix on the sequence and how like that matrix is to
    that of each expert's factor; NaN where it is not known.

    A subclass sets ``Parameters``, builds its layers and defines ``mix``.
    """

    Parameters: ClassVar[type[GateParameters]] = GateParameters
    # Whether ``mix`` looks at the logits of the experts; their heads are then kept in the gate.
    reads_logits: ClassVar[bool] = False
    informed: ClassVar[bool] = False

    head_weight: torch.Tensor
    head_bias: torch.Tensor

    def __init__(self, experts: int, embedding_size: int, hyperparameters: Mapping[str, Any]) -> None:
        """Check the hyper-parameters of a gate over ``experts`` embeddings (K) of ``embedding_size`` (E)."""
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
        """Turn embeddings (N, K, E) into logits (N,) and weights (N, K); they sum to 1, or to 0 where none is there."""
        present = ~embeddings[:, :, 0].isnan()
        embeddings = torch.where(present.unsqueeze(2), embeddings, 0.0)
        return self.mix(embeddings, present, knowledge if self.informed else None)

    def learn_heads(self, stack: ExpertStack) -> None:
        """Take over the heads of the experts whose embeddings it will see."""
        if self.reads_logits:
            weight, bias = stack.readouts()
            self.head_weight.copy_(weight)
            self.head_bias.copy_(bias)

    def logits_of_experts(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the experts' own logits (N, K)."""
        return torch.einsum("nke,ke->nk", embeddings, self.head_weight) + self.head_bias

    def choose(self, areas: torch.Tensor) -> None:
        """Settle what is not learnt by descent, given the experts' AUROCs (K,) on validation rows."""

    def penalty(self, weights: torch.Tensor) -> torch.Tensor | None:
        """Return what is added to the loss for weights (N, K), or None."""
        bonus = getattr(self.settings, "entropy_bonus", 0.0)
        return -bonus * entropy(weights).mean() if bonus else None


def entropy(weights: torch.Tensor) -> torch.Tensor:
    """Return the entropy in nats (N,) of weights (N, K); a weight of 0 adds nothing, and no gradient."""
    # The slope of -w log w is infinite at 0, and infinite times nothing is no number; at 1 the term is 0.
    return torch.special.entr(torch.where(weights > 0, weights, 1.0)).sum(dim=1)


def masked_softmax(scores: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Return the softmax (N, K) of scores over the experts that are present; zeros where none is."""
    lowest = torch.finfo(scores.dtype).min
    return torch.softmax(scores.masked_fill(~present, lowest), dim=1) * present
