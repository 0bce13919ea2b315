"""How far a model is from shift equivariance, under which ShiftSmooth has nothing to smooth.

With convolution and global pooling a shift leaves the logit unchanged and moves the gradient along; strided pooling
and dense layers over positions break that.
"""

import numpy as np
import pandas as pd
from torch import nn

from tfbs_moe.attribution.evaluation.agreement import cosine, rank_correlation
from tfbs_moe.attribution.methods.registry import attribute, logits
from tfbs_moe.attribution.methods.scorer import Scorer
from tfbs_moe.attribution.methods.shiftsmooth import shifted, unshifted
from tfbs_moe.errors import InputError


def equivariance(
    model: nn.Module | Scorer,
    X: np.ndarray,
    *,
    n: int = 2,
    padding: str = "neutral",
    device: str | None = None,
    batch_size: int = 1024,
) -> pd.DataFrame:
    """Compare a model's logit and gradient on X (N, 4, L) and on copies shifted by up to ``n`` bases each way.

    Returns a row per sequence and non-zero shift: ``logit_change`` is absolute, ``logit_change_relative`` the same
    in standard deviations of the logit over X (NaN where it is constant), ``gradient_change`` the norm of the
    difference over the norm of the gradient. Gradients are compared at positions that the shift keeps within the
    window.
    """
    if n < 1 or n >= X.shape[2]:
        raise InputError(f"n, the largest shift, must lie between 1 and {X.shape[2] - 1}; it is {n}")
    if padding not in ("neutral", "circular"):
        raise InputError(f"padding must be 'neutral' or 'circular'; it is {padding!r}")
    logit = logits(model, X, device=device, batch_size=batch_size)
    gradient = attribute(model, X, "gradient", device=device, batch_size=batch_size)
    spread = float(logit.std()) if len(logit) else 0.0
    tables = []
    for shift in (s for s in range(-n, n + 1) if s):
        moved = shifted(X, shift, padding)
        back, kept = unshifted(attribute(model, moved, "gradient", device=device, batch_size=batch_size), shift)
        change = np.abs(logits(model, moved, device=device, batch_size=batch_size) - logit)
        window = slice(None) if padding == "circular" else kept
        a, b = gradient[..., window], back[..., window]
        size = np.linalg.norm(a, axis=(1, 2))
        difference = np.linalg.norm(b - a, axis=(1, 2))
        tables.append(
            pd.DataFrame(
                {
                    "sequence": np.arange(len(X)),
                    "shift": shift,
                    "logit_change": change,
                    "logit_change_relative": change / spread if spread else np.nan,
                    "gradient_rank_correlation": rank_correlation(a, b),
                    "gradient_cosine": cosine(a, b),
                    "gradient_change": np.divide(difference, size, out=np.full(len(a), np.nan), where=size > 0),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
