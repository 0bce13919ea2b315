"""Sanity checks: attributions must change when the model loses what it has learned.

Adebayo et al. (2018, NeurIPS): a method whose output looks the same for a network with random weights, or for one
trained on random labels, shows the input and not the model.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from tfbs_moe.attribution.evaluation.agreement import rank_correlation
from tfbs_moe.attribution.methods.adapter import adapt
from tfbs_moe.attribution.methods.registry import attribute
from tfbs_moe.runtime import torch_rng


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
