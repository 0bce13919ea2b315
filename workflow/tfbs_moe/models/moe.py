"""The mixture of experts: frozen experts, and a gate that weighs them for each sequence."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from tfbs_moe.errors import InputError
from tfbs_moe.models.interface import Expert
from tfbs_moe.models.parameters import as_json, parse
from tfbs_moe.models.stack import ExpertStack


@dataclass(frozen=True)
class GateParameters:
    """Hyper-parameters that every gate has.

    Attributes:
        entropy_bonus: what the entropy (nats) of the weights takes off the loss in training; it keeps
            a gate from settling on one expert.
    """

    entropy_bonus: float = 0.0


class Gate(nn.Module, ABC):
    """Mixes the embeddings of K experts into one logit.

    A subclass sets ``Parameters``, builds its layers and defines ``forward``.
    """

    Parameters: ClassVar[type[GateParameters]] = GateParameters

    def __init__(self, experts: int, embedding_size: int, hyperparameters: Mapping[str, Any]) -> None:
        """Check the hyper-parameters of a gate over ``experts`` embeddings (K) of ``embedding_size`` (E)."""
        super().__init__()
        self.settings: Any = parse(self.Parameters, hyperparameters, f"hyper-parameters of {type(self).__name__}")
        self.hyperparameters = as_json(self.settings)
        self.experts = experts
        self.embedding_size = embedding_size

    @abstractmethod
    def forward(self, embeddings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn embeddings (N, K, E) into logits (N,) and weights (N, K) that sum to 1."""

    def penalty(self, weights: torch.Tensor) -> torch.Tensor | None:
        """Return what is added to the loss for weights (N, K), or None."""
        if not self.settings.entropy_bonus:
            return None
        return -self.settings.entropy_bonus * entropy(weights).mean()


@dataclass(frozen=True)
class SoftmaxGateParameters(GateParameters):
    """Hyper-parameters of the paper's gate.

    Attributes:
        normalise: scale each embedding to length 1 first.
        temperature: divides the gate's scores; above 1 it evens the weights out.
    """

    normalise: bool = False
    temperature: float = 1.0


class SoftmaxGate(Gate):
    """The paper's gate (arXiv 2507.09754).

    weights = softmax(Linear(K·E → K)(all embeddings) / temperature); each embedding goes through a
    linear layer of its own; the weighted sum goes through a last linear layer.
    """

    Parameters = SoftmaxGateParameters

    def __init__(self, experts: int, embedding_size: int, hyperparameters: Mapping[str, Any]) -> None:
        """Build the gate; see ``Gate``."""
        super().__init__(experts, embedding_size, hyperparameters)
        if self.settings.temperature <= 0:
            raise InputError(
                f"hyper-parameters of SoftmaxGate: temperature is {self.settings.temperature}; must be > 0"
            )
        self.scores = nn.Linear(experts * embedding_size, experts)
        # The experts' own linear layers, with the first weights that torch gives a Linear.
        bound = embedding_size**-0.5
        self.transform = nn.Parameter(torch.empty(experts, embedding_size, embedding_size).uniform_(-bound, bound))
        self.shift = nn.Parameter(torch.empty(experts, embedding_size).uniform_(-bound, bound))
        self.head = nn.Linear(embedding_size, 1)

    def forward(self, embeddings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn embeddings (N, K, E) into logits (N,) and weights (N, K)."""
        if self.settings.normalise:
            embeddings = F.normalize(embeddings, dim=2)
        weights = torch.softmax(self.scores(embeddings.flatten(1)) / self.settings.temperature, dim=1)
        # Σ_k w_k (e_k T_k + s_k) is one matrix product over k and E together.
        weighted = (weights.unsqueeze(2) * embeddings).flatten(1)
        mixed = weighted @ self.transform.flatten(0, 1) + weights @ self.shift
        return self.head(mixed).squeeze(1), weights


class MixtureOfExperts(nn.Module):
    """Frozen experts and a gate over their embeddings.

    Attributes:
        names: of the experts, in the order of the weights.
        window: L.
        experts: the ``ExpertStack``; set ``experts.batched = False`` for methods that hook into layers.
        gate: the ``Gate``.
    """

    def __init__(self, experts: Mapping[str, Expert], gate: Gate) -> None:
        """Join experts, by name and in order, and a gate that was built for as many."""
        super().__init__()
        self.experts = ExpertStack(experts)
        self.gate = gate
        self.experts.requires_grad_(False)
        if gate.experts != len(self.experts) or gate.embedding_size != self.experts.embedding_size:
            raise InputError(
                f"this gate takes {gate.experts} embeddings of size {gate.embedding_size}; the experts give "
                f"{len(self.experts)} of size {self.experts.embedding_size}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the experts, in the order of the weights."""
        return self.experts.names

    @property
    def window(self) -> int:
        """Bases L of the sequences it takes."""
        return self.experts.window

    def predict(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (N,) and gate weights (N, K) of sequences (N, 4, L) in one pass."""
        return self.gate(self.experts(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logit (N,) of sequences (N, 4, L)."""
        return self.predict(x)[0]

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """Return the gate's weights (N, K) for sequences (N, 4, L)."""
        return self.predict(x)[1]


def entropy(weights: torch.Tensor) -> torch.Tensor:
    """Return the entropy in nats (N,) of weights (N, K)."""
    return torch.special.entr(weights).sum(dim=1)
