"""Parts of a mixture that can be explained by themselves: one expert through the gate, one gate weight."""

import torch
from torch import Tensor, nn

from tfbs_moe.errors import InputError
from tfbs_moe.models.interface import Expert
from tfbs_moe.models.moe import MixtureOfExperts


class ThroughExpert(nn.Module):
    """A mixture's logit whose gradient flows through one expert alone.

    The gradient is the part of the mixture's that the expert carries through its embedding, in the sum and in the gate.
    The parts of all experts add up to the mixture's gradient, and so do their ShiftSmooth, SmoothGrad and integrated
    gradients. Methods that use values and not gradients (ISM, DeepLIFT) see the whole mixture and are refused.
    """

    gradient_only = True  # ``Scorer.score`` refuses such models

    def __init__(self, mixture: MixtureOfExperts, expert: str) -> None:
        """Select ``expert`` by its name in the mixture."""
        super().__init__()
        self.mixture = mixture
        self.place = _place(mixture, expert)
        self.window = mixture.window

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixture's logit (N,) of sequences (N, 4, L)."""
        with torch.no_grad():
            fixed = self.mixture.experts(x)
        expert = self.mixture.experts.members[self.place]
        assert isinstance(expert, Expert)
        own = expert.embed(x)
        own = nn.functional.pad(own, (0, fixed.shape[2] - own.shape[1]))
        embeddings = [own if place == self.place else each for place, each in enumerate(fixed.unbind(1))]
        return self.mixture.gate(torch.stack(embeddings, 1))[0]


class GateWeight(nn.Module):
    """The logarithm of the weight that a mixture's gate gives to one expert."""

    def __init__(self, mixture: MixtureOfExperts, expert: str) -> None:
        """Select ``expert`` by its name in the mixture."""
        super().__init__()
        self.mixture = mixture
        self.place = _place(mixture, expert)
        self.window = mixture.window

    def forward(self, x: Tensor) -> Tensor:
        """Return the log weight (N,) for sequences (N, 4, L)."""
        weight = self.mixture.weights(x)[:, self.place]
        # A gate may give an excluded expert a weight of exactly 0.
        return weight.clamp_min(torch.finfo(weight.dtype).tiny).log()


def _place(mixture: MixtureOfExperts, expert: str) -> int:
    if expert not in mixture.names:
        raise InputError(f"the mixture has no expert {expert!r}; it has {', '.join(mixture.names)}")
    return mixture.names.index(expert)
