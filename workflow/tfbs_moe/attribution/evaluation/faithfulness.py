"""Faithfulness of attributions to the model: deletion and insertion curves, infidelity, sensitivity, stability."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from tfbs_moe.attribution.evaluation.agreement import rank_correlation
from tfbs_moe.attribution.methods.references import Reference, references
from tfbs_moe.attribution.methods.registry import logits
from tfbs_moe.attribution.methods.scorer import Scorer
from tfbs_moe.attribution.methods.shiftsmooth import shifted, unshifted
from tfbs_moe.errors import InputError
from tfbs_moe.runtime import rng as named_rng

Explain = Callable[[np.ndarray], np.ndarray]


def substituted(
    X: np.ndarray, count: int, *, seed: int, protected: np.ndarray | None = None, name: object = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Substitute ``count`` random positions of each one-hot sequence (N, 4, L), or as many as may change.

    Returns the sequences, still on the simplex, and the changed positions, bool (N, L). Unknown bases and ``protected``
    positions, bool (N, L), do not change; draws of different ``name`` are independent.
    """
    if count < 1:
        raise InputError(f"the number of substitutions must be at least 1; it is {count}")
    stream = named_rng(seed, "attribution substitutions", name)
    known = X.sum(axis=1) == 1
    free = known if protected is None else known & ~protected
    # The positions of the largest independent uniform draws are a uniform sample without replacement.
    order = np.argsort(-np.where(free, stream.random(free.shape), -1), axis=1, kind="stable")[:, :count]
    changed = np.zeros(free.shape, dtype=bool)
    np.put_along_axis(changed, order, True, axis=1)
    changed &= free
    step = stream.integers(1, 4, size=free.shape)
    old = X.argmax(axis=1)
    new = np.where(changed, (old + step) % 4, old)
    result = X.copy()
    sequence, position = np.nonzero(changed)
    result[sequence, :, position] = np.eye(4, dtype=X.dtype)[new[sequence, position]]
    return result, changed


def substitution_stability(
    explain: Explain,
    X: np.ndarray,
    attribution: np.ndarray,
    *,
    seed: int,
    count: int = 3,
    protected: np.ndarray | None = None,
) -> np.ndarray:
    """Return the rank correlation (N,) at unchanged positions after substitutions outside known sites."""
    changed_X, changed = substituted(X, count, seed=seed, protected=protected)
    return rank_correlation(attribution, explain(changed_X), mask=~changed[:, None, :])


def shift_stability(explain: Explain, X: np.ndarray, attribution: np.ndarray, *, shift: int = 1) -> np.ndarray:
    """Return the rank correlation (N,) after a shift, moved back, at positions that stay; mean of both directions."""
    both = []
    for step in (-shift, shift):
        back, kept = unshifted(explain(shifted(X, step, "neutral")), step)
        both.append(rank_correlation(attribution[..., kept], back[..., kept]))
    return np.mean(both, axis=0)


SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0)


def perturbation_curves(
    model: nn.Module | Scorer,
    X: np.ndarray,
    score: np.ndarray,
    *,
    shares: Sequence[float] = SHARES,
    reference: Reference = "dinucleotide_shuffle",
    shuffles: int = 5,
    seed: int = 0,
    device: torch.device | str | None = None,
    batch_size: int = 1024,
) -> tuple[np.ndarray, np.ndarray]:
    """Replace the highest-scoring positions by a reference (deletion), or all others (insertion).

    Returns the logits (N, len(shares) + 1) of both curves (Petsiuk et al. 2018, BMVC), from the fraction 0 on, for
    ``score`` (N, L), whose ties go to the leftmost position. The reference is a shuffle of the same sequence, so
    that what the model sees stays on the simplex; logits are averaged over shuffles, which methods with the same
    seed share.
    """
    if score.shape != (len(X), X.shape[2]):
        raise InputError(f"one score per position was expected, {(len(X), X.shape[2])}; there are {score.shape}")
    if not all(0 <= share <= 1 for share in shares):
        raise InputError(f"shares of positions must lie between 0 and 1; they are {list(shares)}")
    length = X.shape[2]
    counts = _counts(length, shares)
    rank = np.empty(score.shape, dtype=np.int64)
    np.put_along_axis(rank, np.argsort(-score, axis=1, kind="stable"), np.arange(length)[None], axis=1)
    stream = named_rng(seed, "perturbation curves")
    curves = np.zeros((2, len(X), len(counts)))
    at_once = max(1, batch_size // (2 * len(counts) * shuffles))
    for first in range(0, len(X), at_once):
        part = slice(first, first + at_once)
        x = torch.from_numpy(X[part].astype(np.float32))
        others = references(x, reference, shuffles, stream).numpy()
        top = rank[part][:, None, None, None] < counts[:, None, None]
        own = X[part, None, None].astype(np.float32)
        mixed = np.stack([np.where(top, others[:, :, None], own), np.where(top, own, others[:, :, None])])
        value = logits(model, mixed.reshape(-1, 4, length), device=device, batch_size=batch_size)
        curves[:, part] = value.reshape(mixed.shape[:4]).mean(axis=2)
    return curves[0], curves[1]


def mean_change(curve: np.ndarray, length: int, shares: Sequence[float] = SHARES) -> np.ndarray:
    """Return the mean change of the logit (N,) along a curve: the area between it and its start.

    A good attribution makes deletion fall early (more negative) and insertion rise early (more positive).
    """
    place = _counts(length, shares) / length
    change = curve - curve[:, :1]
    return np.trapezoid(change, place, axis=1) / (place[-1] - place[0])


def _counts(length: int, shares: Sequence[float]) -> np.ndarray:
    """Return the number of positions of each fraction, 0 first."""
    return np.array([0, *(round(share * length) for share in shares)])


def infidelity(
    model: nn.Module | Scorer,
    X: np.ndarray,
    attribution: np.ndarray,
    *,
    count: int = 5,
    draws: int = 20,
    seed: int = 0,
    device: torch.device | str | None = None,
    batch_size: int = 1024,
) -> np.ndarray:
    """Return the fraction (N,) of the score's changes that an attribution does not predict.

    Infidelity (Yeh et al. 2019, NeurIPS) with random substitutions, which stay on the simplex: the squared error of
    Σ attribution · (x - x') against f(x) - f(x'), at the best scale per sequence, over the sum of squares of f(x) -
    f(x'). 0 is perfect, 1 uninformative; NaN where no substitution changes the logit. Methods with the same seed
    share the copies.
    """
    reference = logits(model, X, device=device, batch_size=batch_size)
    predicted = np.zeros((len(X), draws))
    changed = np.zeros((len(X), draws))
    # Preparing a model takes longer than scoring some dozens of sequences, so draws share a pass.
    at_once = max(1, batch_size // max(1, len(X)))
    for first in range(0, draws, at_once):
        part = range(first, min(first + at_once, draws))
        copies = np.stack([substituted(X, count, seed=seed, name=draw)[0] for draw in part])
        value = logits(model, copies.reshape(-1, *X.shape[1:]), device=device, batch_size=batch_size)
        changed[:, part] = reference[:, None] - value.reshape(len(part), len(X)).T
        difference = X.astype(np.float32) - copies
        predicted[:, part] = np.einsum("nkl,dnkl->nd", attribution, difference, dtype=np.float64)
    power = (predicted**2).sum(axis=1)
    scale = np.divide((predicted * changed).sum(axis=1), power, out=np.zeros(len(X)), where=power > 0)
    left = ((scale[:, None] * predicted - changed) ** 2).sum(axis=1)
    total = (changed**2).sum(axis=1)
    return np.divide(left, total, out=np.full(len(X), np.nan), where=total > 0)


def sensitivity(
    explain: Explain, X: np.ndarray, attribution: np.ndarray, *, draws: int = 5, seed: int = 0
) -> np.ndarray:
    """Return the largest relative change (N,) of an attribution under one substitution.

    Max-sensitivity (Yeh et al. 2019, NeurIPS) on the simplex: the norm of the change at unchanged positions over
    the norm of the attribution, for the worst of ``draws`` substitutions; NaN where the attribution is zero.
    """
    worst = np.zeros(len(X))
    size = np.linalg.norm(attribution, axis=(1, 2))
    for draw in range(draws):
        copies, moved = substituted(X, 1, seed=seed, name=draw)
        change = (explain(copies) - attribution) * ~moved[:, None, :]
        worst = np.maximum(worst, np.linalg.norm(change, axis=(1, 2)))
    return np.divide(worst, size, out=np.full(len(X), np.nan), where=size > 0)
