"""What attributions must show of the model: shift equivariance, sanity checks, and what shifts cost and gain.

With convolution and global pooling a shift of the sequence leaves the logit unchanged and moves the gradient along, so
that ShiftSmooth has nothing to smooth; strided pooling and dense layers over positions break that.

Attributions must change when the model loses what it has learned (Adebayo et al. 2018, NeurIPS): a method whose output
looks the same for a network with random weights, or one trained on random labels, shows the input and not the model.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from tfbs_moe.attribution.evaluation.agreement import cosine, rank_correlation
from tfbs_moe.attribution.methods.adapter import adapt
from tfbs_moe.attribution.methods.integrated_gradients import POINTS
from tfbs_moe.attribution.methods.registry import attribute, logits, settings_of
from tfbs_moe.attribution.methods.scorer import Scorer
from tfbs_moe.attribution.methods.shiftsmooth import shifted, unshifted
from tfbs_moe.errors import InputError
from tfbs_moe.runtime import torch_rng


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


def randomised(model: nn.Module, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """Yield the layer randomised last and a copy of the model, ever more of it randomised from output to input.

    The weights of a layer are permuted, so that their distribution stays; a bias or a norm's scale, for which that
    would do little, goes with the rest of its layer. It is the same copy each time, changed further.
    """
    changed = copy.deepcopy(model)
    layers = [name for name, layer in changed.named_modules() if any(True for _ in layer.parameters(recurse=False))]
    for name in reversed(layers):
        layer = changed.get_submodule(name)
        for each, parameter in layer.named_parameters(recurse=False):
            draw = torch_rng(seed, "weight randomisation", name, each)
            order = torch.randperm(parameter.numel(), generator=draw).to(parameter.device)
            with torch.no_grad():
                parameter.copy_(parameter.flatten()[order].view_as(parameter))
        yield name, changed


def weight_randomisation(
    model: nn.Module, X: np.ndarray, methods: Mapping[str, Mapping[str, Any]], *, seed: int = 0, batch_size: int = 1024
) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Return each layer's name and the rank correlations (N,) of attributions before and after randomising up to it.

    ``methods`` are names with their settings. Layers run from the output to the input; a sane method falls towards 0.
    """

    def explained(each: nn.Module) -> dict[str, np.ndarray]:
        with adapt(each, batch_size=batch_size) as scorer:
            return {name: attribute(scorer, X, name, seed=seed, **settings) for name, settings in methods.items()}

    original = explained(model)
    steps: dict[str, list[tuple[str, np.ndarray]]] = {method: [] for method in methods}
    for layer, other in randomised(model, seed):
        for method, values in explained(other).items():
            steps[method].append((layer, rank_correlation(original[method], values)))
    return steps


def similarity(model: nn.Module, other: nn.Module, X: np.ndarray, method: str, **options: Any) -> np.ndarray:
    """Return the rank correlations (N,) of two models' attributions of the same sequences (N, 4, L)."""
    return rank_correlation(attribute(model, X, method, **options), attribute(other, X, method, **options))


Evaluation = Callable[[np.ndarray], pd.DataFrame]

SUBSTITUTIONS_PER_POSITION = 3


def shift_curve(
    model: nn.Module | Scorer,
    X: np.ndarray,
    evaluated: Evaluation,
    *,
    method: str = "shiftsmooth",
    shifts: Sequence[int],
    **options: Any,
) -> pd.DataFrame:
    """Evaluate ShiftSmooth on X (N, 4, L) at each number of shifts n; 0 is the base method itself.

    ``evaluated`` turns an attribution into metrics per sequence (``evaluate_attribution``); its rows are returned for
    every n, with ``n`` and ``passes`` prepended.
    """
    tables = []
    for n in shifts:
        table = evaluated(attribute(model, X, method, n=n, **options))
        table.insert(0, "n", n)
        table.insert(1, "passes", passes(method, X.shape[2], n=n))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def passes(method: str, length: int, **settings: Any) -> int:
    """Return how many modified copies of each sequence a method sends through the network: its cost.

    Of integrated gradients with a tolerance it is the least: segments of the path are halved where they miss it.
    """
    values = settings_of(method, **settings)
    shuffles = values.get("shuffles", 1) if values.get("reference") == "dinucleotide_shuffle" else 1
    if method.startswith("shiftsmooth"):
        inner = passes(values["base"], length, **(values["base_settings"] or {}))
        return (2 * int(values["n"]) + 1) * inner
    if method.startswith("ism"):
        return SUBSTITUTIONS_PER_POSITION * length
    if method.startswith("random"):
        return 0
    if method.startswith("deeplift"):
        return 2 * int(shuffles)
    if method.startswith("integrated_gradients"):
        # The ends of a segment are scored to check its integral.
        return int(values["steps"]) * (POINTS + 2 * (values["tolerance"] is not None)) * int(shuffles)
    return int(values.get("draws", 1))
