"""A model under explanation: scored and differentiated, never more than a batch at once."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from tfbs_moe.errors import InputError

Output = Literal["logit", "probability"]


@dataclass(frozen=True, eq=False)
class Scorer:
    """A model in evaluation mode on one device; no more than ``batch_size`` rows go through it at once.

    Attributes:
        model: gives one logit per sequence, (N, 4, L) → (N,).
        device: where the model is and where its input has to be.
        batch_size: rows per pass, copies of a sequence (shifts, noise draws, mutations) counted one by one.
        output: what is explained, the logit or the probability.
    """

    model: nn.Module
    device: torch.device
    batch_size: int
    output: Output

    def logit(self, x: Tensor) -> Tensor:
        """Return the logits (N,) of sequences (N, 4, L), without a graph."""
        with torch.no_grad():
            return torch.cat([self._forward(part) for part in x.split(self.batch_size)])

    def score(self, x: Tensor) -> Tensor:
        """Return what is explained (N,), logits or probabilities, without a graph.

        Raises:
            InputError: the model is a part whose gradient means something, but not its value.
        """
        if getattr(self.model, "gradient_only", False):
            raise InputError(
                f"{type(self.model).__name__} is a part of a mixture that gradients alone can tell from the whole; "
                "explain it by gradient, shiftsmooth, smoothgrad or integrated_gradients"
            )
        return self.explained(self.logit(x))

    def explained(self, logit: Tensor) -> Tensor:
        """Turn logits into what is explained."""
        return logit.sigmoid() if self.output == "probability" else logit

    def gradient(self, x: Tensor) -> Tensor:
        """Return the gradient (N, 4, L) of what is explained with respect to each sequence's columns.

        Raises:
            InputError: the model cuts the graph between its input and its output.
        """
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

        A subclass may count a base's gradient in one shift under another, as long as the sum over shifts
        at each base of the sequence stays what it is.
        """
        return self.gradient(windows.flatten(0, 1)).view(windows.shape) * weight[:, None, None]

    def mutation_effects(self, x: Tensor) -> Tensor:
        """Return the change of the score (N, 4, L) when a position is set to a base.

        The base that is there gets 0; at a column that is not one-hot all four bases are tried. The
        substitutions of all sequences go through the model in common batches.
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
                    "hangs on no graph (does it compute under torch.no_grad()?)"
                )
            # Sequences do not mix in evaluation mode, so the gradient of the sum is each one's own.
            return torch.autograd.grad(score.sum(), leaf)[0]

    def _forward(self, x: Tensor) -> Tensor:
        logit = self.model(x)
        if logit.shape != (len(x),):
            raise InputError(
                f"{type(self.model).__name__} must give one logit per sequence, shape ({len(x)},); "
                f"it gives {tuple(logit.shape)}"
            )
        return logit
