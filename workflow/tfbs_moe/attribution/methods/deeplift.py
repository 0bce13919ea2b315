"""DeepLIFT with the rescale rule, averaged over references (DeepLIFT/SHAP), by tangermeme."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from tfbs_moe.attribution.methods.integrated_gradients import mean_gradient_between
from tfbs_moe.attribution.methods.references import Reference, references
from tfbs_moe.attribution.methods.scorer import Scorer
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.models.residual import Exponential

log = logging.getLogger(__name__)

# Initial segments of the line between two embeddings, and the tolerated error of the integral over a gate; segments
# are halved at the kinks of a gate's ReLU.
GATE_STEPS = 4
GATE_TOLERANCE = 1e-5
# Fraction of the difference that may stay unexplained without a warning.
INCOMPLETE = 0.01


def deeplift_shap(
    scorer: Scorer,
    x: Tensor,
    rng: np.random.Generator,
    *,
    reference: Reference = "dinucleotide_shuffle",
    shuffles: int = 10,
) -> Tensor:
    """Return hypothetical contributions (N, 4, L) by DeepLIFT (Shrikumar et al. 2017; Lundberg & Lee 2017).

    Contributions times the input sum to the score's difference from the mean over references. A mixture is split by
    the chain rule: integrated gradients over the embeddings for its gate, DeepLIFT for its experts. A layer for
    which DeepLIFT has no rule (a recurrent one) is treated as linear; the log then says how much of the difference
    is unexplained.
    """
    copies = max(1, shuffles) if reference == "dinucleotide_shuffle" else 1
    parts, differences = [], []
    for part in x.split(max(1, scorer.batch_size // (2 * copies))):
        others = references(part, reference, shuffles, rng)
        differences.append(scorer.score(part) - scorer.score(others.flatten(0, 1)).view(others.shape[:2]).mean(1))
        parts.append(_explain(scorer, part, others))
    result = torch.cat(parts)
    _tell(scorer.model, (result * x).sum((1, 2)), torch.cat(differences))
    return result


def _explain(scorer: Scorer, x: Tensor, reference: Tensor) -> Tensor:
    # tangermeme and its numba take seconds to import, which other methods need not wait for.
    from tangermeme._deep_lift_utils import _nonlinear
    from tangermeme.deep_lift_shap import deep_lift_shap

    count, copies = reference.shape[:2]
    pairs = x[:, None].expand_as(reference).flatten(0, 1)
    others = reference.flatten(0, 1)
    with _one_by_one(scorer.model), _undoing_pooling(), warnings.catch_warnings():
        # tangermeme warns in every batch of soft columns and unexplained differences; ``_tell`` does so once.
        warnings.simplefilter("ignore")
        view, args = _view(scorer, pairs, others)
        found = deep_lift_shap(
            view,
            pairs,
            args=args,
            references=others[:, None],
            additional_nonlinear_ops={Exponential: _nonlinear},
            batch_size=max(1, scorer.batch_size // 2),
            hypothetical=True,
            only_warn=True,
            device=scorer.device,
        ).to(x)
    return found.view(count, copies, *x.shape[1:]).mean(1)


class _Logit(nn.Module):
    """The explained output as the single column (N, 1) that tangermeme expects."""

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.model = scorer.model
        self.link = nn.Sigmoid() if scorer.output == "probability" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.link(self.model(x))[:, None]


class _Embeddings(nn.Module):
    """Expert embeddings weighted by the gate's gradient ``worth`` (N, K, E), summed to (N, 1)."""

    def __init__(self, mixture: MixtureOfExperts) -> None:
        super().__init__()
        self.experts = mixture.experts

    def forward(self, x: Tensor, worth: Tensor) -> Tensor:
        return (self.experts(x) * worth).sum((1, 2))[:, None]


def _view(scorer: Scorer, x: Tensor, reference: Tensor) -> tuple[nn.Module, tuple[Tensor] | None]:
    # tangermeme restores the mode of the module it is given; training mode would spread to the layers of the model.
    if not isinstance(scorer.model, MixtureOfExperts):
        return _Logit(scorer).eval(), None
    return _Embeddings(scorer.model).eval(), (_worth(scorer, scorer.model, x, reference),)


def _worth(scorer: Scorer, mixture: MixtureOfExperts, x: Tensor, reference: Tensor) -> Tensor:
    """Return the gate's gradient (N, K, E), averaged along the line from reference to sequence embeddings."""
    with torch.no_grad():
        near, far = (
            torch.cat([mixture.experts(part) for part in each.split(scorer.batch_size)]) for each in (reference, x)
        )

    def score(embeddings: Tensor) -> Tensor:
        return scorer.explained(mixture.gate(embeddings)[0])

    def mean_gradient(copies: Tensor, share: Tensor) -> Tensor:
        with torch.enable_grad():
            flat = copies.flatten(0, 1).detach().requires_grad_(True)
            gradient = torch.autograd.grad(score(flat).sum(), flat)[0].view(copies.shape)
        return torch.einsum("ncke,c->nke", gradient, share)

    with torch.no_grad():
        return mean_gradient_between(score, mean_gradient, near, far, steps=GATE_STEPS, tolerance=GATE_TOLERANCE)


@contextmanager
def _undoing_pooling() -> Iterator[None]:
    """Allow max-unpooling in deterministic mode: tangermeme unpools disjoint windows, which write no position twice."""
    before = torch.get_deterministic_debug_mode()
    # Not ``use_deterministic_algorithms``, which loads the compiler first: see ``runtime.configure_torch``.
    torch.set_deterministic_debug_mode(min(before, 1))
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


@contextmanager
def _one_by_one(model: nn.Module) -> Iterator[None]:
    """Let a mixture call its experts' layers one by one, where DeepLIFT can hook into them."""
    if not isinstance(model, MixtureOfExperts):
        yield
        return
    before = model.experts.batched
    model.experts.batched = False
    try:
        yield
    finally:
        model.experts.batched = before


def _tell(model: nn.Module, explained: Tensor, difference: Tensor) -> None:
    missing = (explained - difference).abs().mean() / difference.abs().mean().clamp_min(1e-12)
    if missing > INCOMPLETE:
        log.warning(
            "DeepLIFT leaves %.1f %% of the score's differences of %s unexplained: it takes as linear what it has no "
            "rule for (recurrent layers, functions that are not modules)",
            100 * float(missing),
            type(model).__name__,
        )
