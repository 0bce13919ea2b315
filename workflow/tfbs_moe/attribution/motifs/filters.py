"""Motifs of a network's first-layer filters, from the windows that activate them most."""

import numpy as np
import torch
from torch import nn

from tfbs_moe.attribution.motifs.motif import Motif
from tfbs_moe.errors import InputError
from tfbs_moe.models.expert import ALPHABET_SIZE

# As in DeepBind and Basset: windows that reach half of the filter's largest activation.
SHARE_OF_LARGEST = 0.5


def first_convolution(model: nn.Module) -> tuple[str, nn.Conv1d | nn.Conv2d]:
    """Return name and layer of the first convolution over four channels, one position high, or raise InputError."""
    for name, layer in model.named_modules():
        if not isinstance(layer, nn.Conv1d | nn.Conv2d) or layer.in_channels != ALPHABET_SIZE or layer.groups != 1:
            continue
        if len(layer.kernel_size) == 1 or layer.kernel_size[0] == 1:
            return name, layer
    raise InputError(f"{type(model).__name__} has no convolution over the four bases whose filters could be drawn")


def has_filters(model: nn.Module) -> bool:
    """Return whether a network has a convolution over the four bases, whose filters can be drawn."""
    try:
        first_convolution(model)
    except InputError:
        return False
    return True


def filter_motifs(model: nn.Module, X: np.ndarray, *, share: float = SHARE_OF_LARGEST) -> list[Motif]:
    """Return a motif ``filter_<k>`` for each filter that any window of X (N, 4, L) activates.

    It counts the bases of the windows that reach ``share`` of the filter's largest activation over X;
    ``contribution`` holds the filter's weights, ``members`` the number of windows. The convolution may have any
    stride, but dilation 1.
    """
    _, layer = first_convolution(model)
    weight = layer.weight.detach().cpu().flatten(2)
    width = weight.shape[2]
    if X.shape[2] < width or set(layer.dilation) != {1}:
        raise InputError(f"filters of {width} bases do not fit sequences of {X.shape[2]} bases")
    bias = None if layer.bias is None else layer.bias.detach().cpu()
    with torch.no_grad():
        hits = nn.functional.conv1d(torch.from_numpy(X.astype(np.float32)), weight, bias).numpy()
    windows = np.lib.stride_tricks.sliding_window_view(X, width, axis=2)
    motifs = []
    for index in range(len(weight)):
        mine = hits[:, index]
        largest = mine.max(initial=0)
        if largest <= 0:
            continue
        sequence, start = np.nonzero(mine >= share * largest)
        counts = windows[sequence, :, start].sum(axis=0, dtype=float)
        motifs.append(Motif(f"filter_{index}", counts, weight[index].numpy(), len(sequence)))
    return motifs
