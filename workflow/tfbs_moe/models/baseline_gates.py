"""Baseline gates, which a mixture must beat: trained on the same sequences over the same experts."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from tfbs_moe.models.gates import Gate, SoftmaxGate, masked_softmax


class StackingGate(Gate):
    """Stacking (Wolpert 1992): logistic regression on expert logits; weights are fractions of absolute coefficients."""

    reads_logits: ClassVar[bool] = True

    def __init__(self, experts: int, embedding_size: int, hyperparameters: Mapping[str, Any]) -> None:
        super().__init__(experts, embedding_size, hyperparameters)
        self.coefficients = nn.Parameter(torch.full((experts,), 1.0 / experts))
        self.bias = nn.Parameter(torch.zeros(1))

    def mix(
        self, embeddings: torch.Tensor, present: torch.Tensor, occupancy: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn embeddings (N, K, E) into logits (N,) and weights (N, K)."""
        said = self.logits_of_experts(embeddings) * present
        share = self.coefficients.abs() * present
        weights = share / share.sum(1, keepdim=True).clamp_min(torch.finfo(share.dtype).tiny)
        return said @ self.coefficients + self.bias, weights


class StaticGate(Gate):
    """One weight per expert, the same for every sequence: a gate's gain over it is the gain of gating by sequence."""

    reads_logits: ClassVar[bool] = True

    def __init__(self, experts: int, embedding_size: int, hyperparameters: Mapping[str, Any]) -> None:
        super().__init__(experts, embedding_size, hyperparameters)
        self.scores = nn.Parameter(torch.zeros(experts))
        self.scale = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def mix(
        self, embeddings: torch.Tensor, present: torch.Tensor, occupancy: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn embeddings (N, K, E) into logits (N,) and weights (N, K)."""
        weights = masked_softmax(self.scores.expand(len(embeddings), -1), present)
        said = self.logits_of_experts(embeddings) * present
        return F.softplus(self.scale) * (weights * said).sum(1) + self.bias, weights


class BestExpertGate(Gate):
    """The single expert with the highest AUROC on the pooled validation examples of all training factors."""

    reads_logits: ClassVar[bool] = True
    scores: torch.Tensor

    def __init__(self, experts: int, embedding_size: int, hyperparameters: Mapping[str, Any]) -> None:
        super().__init__(experts, embedding_size, hyperparameters)
        self.register_buffer("scores", torch.zeros(experts))

    def choose(self, areas: torch.Tensor) -> None:
        """Keep the experts' AUROCs (K,) on validation examples."""
        self.scores.copy_(areas)

    def mix(
        self, embeddings: torch.Tensor, present: torch.Tensor, occupancy: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn embeddings (N, K, E) into logits (N,) and weights (N, K)."""
        chosen = self.scores.masked_fill(~present, -1.0).argmax(1)
        weights = F.one_hot(chosen, self.experts).to(embeddings.dtype) * present
        return (weights * self.logits_of_experts(embeddings)).sum(1), weights


class RandomGate(SoftmaxGate):
    """The paper's gate with weights from a fixed random projection; everything else is trained."""

    def __init__(self, experts: int, embedding_size: int, hyperparameters: Mapping[str, Any]) -> None:
        super().__init__(experts, embedding_size, hyperparameters)
        # Embeddings have variance 1; scores of variance 1 let the weights differ from sequence to sequence.
        nn.init.normal_(self.scores.weight, std=(experts * embedding_size) ** -0.5)
        self.scores.requires_grad_(False)
