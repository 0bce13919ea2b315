"""The mixture of experts: frozen experts, and a gate that weighs them for each sequence."""

from collections.abc import Mapping

import torch
from torch import nn

from tfbs_moe.errors import InputError
from tfbs_moe.models.gate import Gate
from tfbs_moe.models.interface import Expert
from tfbs_moe.models.stack import ExpertStack


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

    @property
    def padding(self) -> dict[str, float]:
        """The fewest columns that an expert sets on each side of the sequence, and their value."""
        return self.experts.padding

    def predict(self, x: torch.Tensor, knowledge: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (N,) and gate weights (N, K) of sequences (N, 4, L) in one pass.

        Args:
            x: the sequences.
            knowledge: float (N, 1 + K), what is known of the factor that is asked for; see ``Gate``.
        """
        return self.gate(self.experts(x), knowledge)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logit (N,) of sequences (N, 4, L), with no knowledge of the factor."""
        return self.predict(x)[0]

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """Return the gate's weights (N, K) for sequences (N, 4, L)."""
        return self.predict(x)[1]
