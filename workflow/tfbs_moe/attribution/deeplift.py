"""DeepLIFT with the rescale rule, averaged over references (DeepLIFT/SHAP), by tangermeme."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from tfbs_moe.attribution.references import Reference, references
from tfbs_moe.attribution.scorer import Scorer
from tfbs_moe.models.moe import MixtureOfExperts

log = logging.getLogger(__name__)

# A gate is smooth between two points; so many steps of Gauss-Legendre leave an error below rounding.
GATE_STEPS = 16
# Share of the difference that may be left unexplained before a reader is told.
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

    Contributions times the input add up to the score's difference from the mean over references. A mixture
    is taken in two steps, which chain exactly: its gate by integrated gradients over the embeddings, its
    experts by DeepLIFT. A layer for which DeepLIFT has no rule (a recurrent one) is taken as linear; the
    log then says how much of the difference is left unexplained.

    Args:
        scorer: the model.
        x: (N, 4, L).
        rng: where shuffles come from.
        reference: see ``references``.
        shuffles: references per sequence, where they are shuffles.
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
    # tangermeme and numba behind it take seconds to import; the other methods do without.
    from tangermeme.deep_lift_shap import deep_lift_shap

    count, copies = reference.shape[:2]
    pairs = x[:, None].expand_as(reference).flatten(0, 1)
    others = reference.flatten(0, 1)
    with _one_by_one(scorer.model), _undoing_pooling(), warnings.catch_warnings():
        # It warns once for every batch, of soft columns and of what it leaves unexplained; that is said once, below.
        warnings.simplefilter("ignore")
        view, args = _view(scorer, pairs, others)
        found = deep_lift_shap(
            view,
            pairs,
            args=args,
            references=others[:, None],
            batch_size=max(1, scorer.batch_size // 2),
            hypothetical=True,
            only_warn=True,
            device=scorer.device,
        ).to(x)
    return found.view(count, copies, *x.shape[1:]).mean(1)


class _Logit(nn.Module):
    """What is explained of a network, as the single column that tangermeme expects."""

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.model = scorer.model
        self.link = nn.Sigmoid() if scorer.output == "probability" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.link(self.model(x))[:, None]


class _Embeddings(nn.Module):
    """The embeddings of a mixture's experts, weighted by what each of their units is worth to the gate."""

    def __init__(self, mixture: MixtureOfExperts) -> None:
        super().__init__()
        self.experts = mixture.experts

    def forward(self, x: Tensor, worth: Tensor) -> Tensor:
        return (self.experts(x) * worth).sum((1, 2))[:, None]


def _view(scorer: Scorer, x: Tensor, reference: Tensor) -> tuple[nn.Module, tuple[Tensor] | None]:
    if not isinstance(scorer.model, MixtureOfExperts):
        return _Logit(scorer), None
    return _Embeddings(scorer.model), (_worth(scorer, scorer.model, x, reference),)


def _worth(scorer: Scorer, mixture: MixtureOfExperts, x: Tensor, reference: Tensor) -> Tensor:
    """Return the gate's gradient (N, K, E), averaged between the embeddings of reference and sequence."""
    node, weight = np.polynomial.legendre.leggauss(GATE_STEPS)
    with torch.no_grad():
        near, far = (
            torch.cat([mixture.experts(part) for part in each.split(scorer.batch_size)]) for each in (reference, x)
        )
    total = torch.zeros_like(far)
    for place, share in zip((node + 1) / 2, weight / 2, strict=True):
        with torch.enable_grad():
            between = (near + float(place) * (far - near)).requires_grad_(True)
            score = scorer.explained(mixture.gate(between)[0]).sum()
            total += float(share) * torch.autograd.grad(score, between)[0]
    return total


@contextmanager
def _undoing_pooling() -> Iterator[None]:
    """Let a maximum be undone under deterministic algorithms, of which torch says that it may not be.

    tangermeme takes that way only where windows do not overlap, and then no place is written twice.
    """
    enabled, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(enabled, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warns)


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
            "DeepLIFT leaves %.1f %% of the score's differences of %s unexplained: it has no rule for some of what "
            "the network does (recurrent layers, functions that are no modules)",
            100 * float(missing),
            type(model).__name__,
        )
