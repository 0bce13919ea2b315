"""Does an attribution hang on what the model learned? It must change when that is taken away.

Adebayo et al. (2018, NeurIPS): a method whose output looks the same for a network with random weights, or
for one that was trained on random labels, shows the input and not the model.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from tfbs_moe.attribution.agreement import rank_correlation
from tfbs_moe.attribution.methods import attribute
from tfbs_moe.runtime import torch_rng


def randomised(model: nn.Module, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """Yield a model with ever more of its layers randomised, from the output to the input.

    The weights of a layer are permuted among themselves, so that their distribution stays what it is; a
    bias or a norm's scale, for which that would do little, goes with the rest of its layer.

    Args:
        model: left as it is.
        seed: root seed of the permutations.

    Yields:
        The name of the layer that was randomised last, and a copy of the model: the same one, changed further.
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
    model: nn.Module, X: np.ndarray, method: str, *, seed: int = 0, **options: Any
) -> list[tuple[str, np.ndarray]]:
    """Compare attributions of a model with those of ever more randomised copies of it.

    Args:
        model: gives one logit per sequence.
        X: (N, 4, L).
        method: a name of ``methods.METHODS``.
        seed: root seed of the permutations.
        options: of ``methods.attribute``.

    Returns:
        Per layer, from the output to the input: its name and the rank correlations (N,) of the attributions.
        A sane method falls towards 0.
    """
    original = attribute(model, X, method, seed=seed, **options)
    return [
        (name, rank_correlation(original, attribute(other, X, method, seed=seed, **options)))
        for name, other in randomised(model, seed)
    ]


def likeness(model: nn.Module, other: nn.Module, X: np.ndarray, method: str, **options: Any) -> np.ndarray:
    """Return the rank correlations (N,) of two models' attributions of the same sequences.

    Args:
        model: gives one logit per sequence.
        other: so does this one, such as the same network trained on permuted labels (``data.relabelled``).
        X: (N, 4, L).
        method: a name of ``methods.METHODS``.
        options: of ``methods.attribute``.
    """
    return rank_correlation(attribute(model, X, method, **options), attribute(other, X, method, **options))
