"""A model under explanation, scored and differentiated in batches."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from tfbs_moe.errors import InputError

Output = Literal["logit", "probability"]


@dataclass(frozen=True, eq=False)
class Scorer:
    """A model in evaluation mode on one device; at most ``batch_size`` sequences go through it at once."""

    model: nn.Module  # (N, 4, L) → one logit per sequence (N,)
    device: torch.device
    batch_size: int  # copies of a sequence (shifts, noise, mutations) count one by one
    output: Output  # what is explained

    def logit(self, x: Tensor) -> Tensor:
        """Return the logits (N,) of sequences (N, 4, L), without gradients."""
        with torch.no_grad():
            return torch.cat([self._forward(part) for part in x.split(self.batch_size)])

    def score(self, x: Tensor) -> Tensor:
        """Return the explained output (N,)."""
        return self.explained(self.logit(x))

    def explained(self, logit: Tensor) -> Tensor:
        """Turn logits into the explained output."""
        return logit.sigmoid() if self.output == "probability" else logit

    def gradient(self, x: Tensor) -> Tensor:
        """Return the gradient (N, 4, L) of the explained output with respect to each sequence's columns."""
        return torch.cat([self._gradient(part) for part in x.split(self.batch_size)])

    def mean_gradient(self, copies: Tensor, weight: Tensor) -> Tensor:
        """Return the weighted sum (N, 4, L) of the gradients of copies (N, C, 4, L); weight is (C,)."""
        gradients = self.gradient(copies.flatten(0, 1)).view(copies.shape)
        return torch.einsum("nckl,c->nkl", gradients, weight)

    def noisy_gradient(self, x: Tensor, noise: Tensor) -> Tensor:
        """Return the mean gradient (N, 4, L) of sequences with each of the noises (D, 4, L) added."""
        return self.mean_gradient(x[:, None] + noise, noise.new_full((len(noise),), 1 / len(noise)))

    def shift_gradients(self, windows: Tensor, weight: Tensor) -> Tensor:
        """Return weighted gradients (N, 2n + 1, 4, L) of shifted copies; window j is n - j bases to the right.

        A subclass may move a base's gradient from one shift to another, if the sum over shifts at each base stays.
        """
        return self.gradient(windows.flatten(0, 1)).view(windows.shape) * weight[:, None, None]

    def mutation_effects(self, x: Tensor) -> Tensor:
        """Return the change of the score (N, 4, L) when a position is set to a base; the present base gets 0.

        At a column that is not one-hot all four bases are tried. Batches mix the substitutions of several sequences.
        """
        reference = self.score(x)
        effect = torch.zeros_like(x)
        sequence, base, position = torch.nonzero(x != 1, as_tuple=True)
        for part in torch.arange(len(sequence), device=x.device).split(self.batch_size):
            rows, bases, positions = sequence[part], base[part], position[part]
            mutants = x[rows]
            index = torch.arange(len(rows), device=x.device)
            mutants[index, :, positions] = 0
            mutants[index, bases, positions] = 1
            effect[rows, bases, positions] = self.score(mutants) - reference[rows]
        return effect

    def _gradient(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_(True)
            score = self.explained(self._forward(leaf))
            if not score.requires_grad:
                raise InputError(
                    f"{type(self.model).__name__} cannot be differentiated with respect to its input: its output "
                    "does not depend on it (does it compute under torch.no_grad()?)"
                )
            # Sequences are independent in evaluation mode, so the gradient of the sum is each one's own.
            return torch.autograd.grad(score.sum(), leaf)[0]

    def _forward(self, x: Tensor) -> Tensor:
        logit = self.model(x)
        if logit.shape != (len(x),):
            raise InputError(
                f"{type(self.model).__name__} must give one logit per sequence, shape ({len(x)},); "
                f"it gives {tuple(logit.shape)}"
            )
        return logit
