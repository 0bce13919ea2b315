"""The mixture of experts: frozen experts, and a gate that weighs them for each sequence."""

from collections.abc import Mapping

import torch
from torch import nn

from tfbs_moe.errors import InputError
from tfbs_moe.models.expert import PREDICTION_BATCH, Expert, Sequences, predict_in_batches
from tfbs_moe.models.expert_stack import ExpertStack
from tfbs_moe.models.gates import Gate


class MixtureOfExperts(nn.Module):
    """Frozen experts, in the order of the gate's weights, and a gate over their embeddings."""

    def __init__(self, experts: Mapping[str, Expert], gate: Gate) -> None:
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
    def dimensions(self) -> int:
        """Numbers in the embeddings of all experts together."""
        return self.gate.experts * self.gate.embedding_size

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the experts, in the order of the weights."""
        return self.experts.names

    @property
    def window(self) -> int:
        """Length L in bases of the sequences."""
        return self.experts.window

    @property
    def padding(self) -> dict[str, float]:
        """The smallest padding of any expert, which sequences may bring along; see ``Expert.pad``."""
        return self.experts.padding

    def logits_and_weights(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (N,) and gate weights (N, K) of sequences (N, 4, L) in one pass, without a motif prior."""
        return self.gate(self.experts(x), None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (N,) of sequences (N, 4, L)."""
        return self.logits_and_weights(x)[0]

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """Return the gate's weights (N, K) for sequences (N, 4, L)."""
        return self.logits_and_weights(x)[1]

    def predict(self, sequences: Sequences, *, batch_size: int = PREDICTION_BATCH) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (N,) and weights (N, K), float32 on the CPU without gradients; see ``Expert.predict``."""
        logits, weights = predict_in_batches(self, self.logits_and_weights, sequences, self.window, batch_size)
        return logits, weights
