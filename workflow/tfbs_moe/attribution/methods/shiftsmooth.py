"""ShiftSmooth: attributions of shifted copies of a sequence, shifted back and averaged.

S(x) = Σₛ wₛ · roll₋ₛ( A(rollₛ(x)) ) / Σₛ wₛ over s = −n … n, with A the gradient of the logit and
all weights equal in the original (arXiv 2507.09754).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfbs_moe.attribution.methods.gradients import gradient
from tfbs_moe.attribution.methods.references import NEUTRAL
from tfbs_moe.attribution.methods.scorer import Scorer
from tfbs_moe.errors import InputError


def shifted(X: np.ndarray, shift: int, padding: str) -> np.ndarray:
    """Return sequences shifted ``shift`` bases to the right (to the left if negative), float32 (N, 4, L)."""
    moved = np.roll(X.astype(np.float32), shift, axis=2)
    if padding == "neutral" and shift:
        moved[..., slice(None, shift) if shift > 0 else slice(shift, None)] = NEUTRAL
    return moved


def unshifted(attribution: np.ndarray, shift: int) -> tuple[np.ndarray, slice]:
    """Return an attribution shifted back, and the positions that never left the window."""
    length = attribution.shape[2]
    kept = slice(0, length - shift) if shift > 0 else slice(-shift, length)
    return np.roll(attribution, -shift, axis=2), kept


Base = Callable[[Scorer, Tensor, np.random.Generator], Tensor]
Padding = Literal["neutral", "circular", "flanks", "inside"]
Weighting = Literal["uniform", "triangular", "gaussian"]


def shiftsmooth(
    scorer: Scorer,
    x: Tensor,
    rng: np.random.Generator,
    *,
    base: Base,
    base_settings: Mapping[str, Any] | None = None,
    n: int = 2,
    padding: Padding = "neutral",
    weights: Weighting | Sequence[float] = "uniform",
    flanks: Tensor | None = None,
) -> Tensor:
    """Average a base method over shifts of −n to n bases of sequences (N, 4, L); an n of 0 is the base method.

    A base that a shift pushes out of the window is averaged over the shifts that keep it (all of them where the padding
    is circular, or inside). A shift brings in columns of 0.25 (``neutral``), the bases that left at the other end
    (``circular``, the paper's), the genomic sequence in ``flanks`` (N, 4, L + 2n), or nothing: the sequence moves
    within the neutral columns that the network pads it with itself (``inside``). ``weights`` is a name, or 2n + 1
    numbers for s = −n … n. ``attribute`` takes the name of ``base`` and binds ``base_settings``.
    """
    weight = shift_weights(n, weights)
    if padding == "inside":
        # ``MotifScorer`` takes only sequences of the network's own length.
        scorer = Scorer(scorer.model, scorer.device, scorer.batch_size, scorer.output)
        _check_inside(scorer.model, n)
    extended = _extended(x, n, padding, flanks)
    copies = 2 * n + 1
    sequences_at_once = max(1, scorer.batch_size // copies)
    parts = zip(x.split(sequences_at_once), extended.split(sequences_at_once), strict=True)
    return torch.cat([_smooth(scorer, rng, base, part, wide, weight, padding) for part, wide in parts])


def shift_weights(n: int, weights: Weighting | Sequence[float] = "uniform") -> np.ndarray:
    """Return the weights (2n + 1,) of the shifts −n … n.

    ``triangular`` falls linearly to 1 / (n + 1); ``gaussian`` has a standard deviation of n / 2.
    """
    if n < 0:
        raise InputError(f"n, the shifts each way, must not be negative; it is {n}")
    distance = np.abs(np.arange(-n, n + 1))
    if isinstance(weights, str):
        if weights == "uniform":
            return np.ones(2 * n + 1)
        if weights == "triangular":
            return 1 - distance / (n + 1)
        if weights == "gaussian":
            return np.exp(-0.5 * (2 * distance / max(n, 1)) ** 2)
        raise InputError(f"weights must be 'uniform', 'triangular', 'gaussian' or numbers; they are {weights!r}")
    given = np.asarray(weights, dtype=float)
    if given.shape != (2 * n + 1,) or not np.isfinite(given).all() or (given < 0).any() or given[n] <= 0:
        raise InputError(
            f"weights must be {2 * n + 1} numbers, none negative and the middle one positive; they are {list(weights)}"
        )
    return given


def _check_inside(model: nn.Module, n: int) -> None:
    """Refuse a model that does not pad a sequence with n neutral columns on either side."""
    own = getattr(model, "padding", None)
    columns = int(own.get("columns", 0)) if isinstance(own, Mapping) and own.get("value") == NEUTRAL else 0
    if n > columns:
        raise InputError(
            f"padding 'inside' shifts within the neutral columns that a network sets beside a sequence itself, and "
            f"{type(model).__name__} sets {columns} for shifts of up to {n} bases; take another padding or a smaller n"
        )


def _extended(x: Tensor, n: int, padding: Padding, flanks: Tensor | None) -> Tensor:
    """Return (N, 4, L + 2n), of which every shifted copy is a window; (N, 4, L + 4n) where none loses a base."""
    length = x.shape[2]
    if n >= length:
        raise InputError(f"n, the shifts each way, must be smaller than the sequence of {length} bases; it is {n}")
    if (padding == "flanks") != (flanks is not None):
        raise InputError("padding 'flanks' and an array of flanks go together; one of them is missing")
    if padding == "neutral":
        return F.pad(x, (n, n), value=NEUTRAL)
    if padding == "inside":
        return F.pad(x, (2 * n, 2 * n), value=NEUTRAL)
    if padding == "circular":
        return torch.cat([x[..., length - n :], x, x[..., :n]], dim=2)
    if padding == "flanks" and flanks is not None:
        expected = (len(x), 4, length + 2 * n)
        if flanks.shape != expected:
            raise InputError(f"flanks must have shape {expected} (L + 2n columns); they have {tuple(flanks.shape)}")
        if not torch.equal(flanks[..., n : n + length], x):
            raise InputError("flanks do not hold the sequences in their middle: columns n to n + L must equal X")
        return flanks
    raise InputError(f"padding must be 'neutral', 'circular', 'flanks' or 'inside'; it is {padding!r}")


def _smooth(
    scorer: Scorer,
    rng: np.random.Generator,
    base: Base,
    x: Tensor,
    extended: Tensor,
    weight: np.ndarray,
    padding: Padding,
) -> Tensor:
    count, _, bases = x.shape
    copies = len(weight)
    n = copies // 2
    length = extended.shape[2] - 2 * n
    # Window j of the extended sequence is the copy shifted by s = n - j bases to the right.
    windows = extended.unfold(2, length, 1).permute(0, 2, 1, 3).contiguous()
    share = extended.new_tensor(weight[::-1].copy())
    if base is gradient:
        explained = scorer.shift_gradients(windows, share)
    else:
        explained = base(scorer, windows.flatten(0, 1), rng).view(windows.shape) * share[:, None, None]
    total = torch.zeros_like(extended)
    coverage = extended.new_zeros(length + 2 * n)
    for j in range(copies):
        total[..., j : j + length] += explained[:, j]
        coverage[j : j + length] += share[j]
    if padding == "circular" and n:
        for wrapped in (total, coverage):
            wrapped[..., n : 2 * n] += wrapped[..., length + n :].clone()
            wrapped[..., length : length + n] += wrapped[..., :n].clone()
    start = (extended.shape[2] - bases) // 2
    return total[..., start : start + bases] / coverage[start : start + bases]
