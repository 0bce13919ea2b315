"""The mixture of experts: frozen experts, and a gate that weighs them for each sequence."""

from collections.abc import Mapping

import torch
from torch import nn

from tfbs_moe.errors import InputError
from tfbs_moe.models.gate import Gate
from tfbs_moe.models.interface import PREDICTION_BATCH, Expert, Sequences, predict_in_batches
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

    def logits_and_weights(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (N,) and gate weights (N, K) of sequences (N, 4, L) in one pass, with their gradients."""
        return self.gate(self.experts(x), None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logit (N,) of sequences (N, 4, L), with no knowledge of the factor."""
        return self.logits_and_weights(x)[0]

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """Return the gate's weights (N, K) for sequences (N, 4, L)."""
        return self.logits_and_weights(x)[1]

    def predict(self, sequences: Sequences, *, batch_size: int = PREDICTION_BATCH) -> tuple[torch.Tensor, torch.Tensor]:
        """Score sequences in batches, without gradients, as the trained model.

        Args:
            sequences: N strings of length L, or a one-hot array or tensor (N, 4, L), rows A C G T.
            batch_size: sequences at a time.

        Returns:
            float32 on the CPU: logits (N,), and the gate's weights (N, K) in the order of ``names``.

        Raises:
            InputError: the sequences are of another length or no DNA.
        """
        parts = predict_in_batches(self, self.logits_and_weights, sequences, self.window, batch_size)
        return torch.cat([logits for logits, _ in parts]), torch.cat([weights for _, weights in parts])
