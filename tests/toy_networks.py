"""Small networks whose attributions are known, and sequences for them."""

import numpy as np
import torch
from torch import nn

LENGTH = 12


class Linear(nn.Module):
    """f(x) = ⟨W, x⟩ + 0.5 with a weight of its own at every position."""

    def __init__(self, length=LENGTH):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, length, generator=torch.Generator().manual_seed(1)))
        self.window = length

    def forward(self, x):
        return (x * self.weight).sum((1, 2)) + 0.5


class Strided(nn.Module):
    """A small network with padding of its own, strided pooling and a dense layer: not blind to position."""

    def __init__(self, length=LENGTH):
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.padding = {"columns": 3, "value": 0.25}
        self.read = length + 6
        self.convolution = nn.Conv1d(4, 5, 3, padding=1)
        self.dense = nn.Linear(5 * (self.read // 3), 1)
        self.drop = nn.Dropout(0.5)
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=generator)

    def forward(self, x):
        beside = (self.read - x.shape[2]) // 2
        x = nn.functional.pad(x, (beside, beside), value=0.25)
        hidden = nn.functional.max_pool1d(torch.relu(self.convolution(x)), 3)
        return self.dense(self.drop(hidden.flatten(1))).squeeze(1)


class Filter(nn.Module):
    """One filter, the global maximum: blind to position."""

    def __init__(self, width=3):
        super().__init__()
        kernel = torch.randn(1, 4, width, generator=torch.Generator().manual_seed(3))
        self.register_buffer("kernel", kernel)

    def forward(self, x):
        return nn.functional.conv1d(x, self.kernel).amax((1, 2))


class Bounded(nn.Module):
    """Counts the rows of the largest batch it sees."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.padding = model.padding
        self.largest = 0

    def forward(self, x):
        self.largest = max(self.largest, len(x))
        return self.model(x)


class Broken(nn.Module):
    """Fails on its second batch."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(LENGTH, 1), nn.Dropout(0.5))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls > 1:
            raise RuntimeError("out of memory")
        return self.inner(x.sum(1)).squeeze(1)


def sequences(count=5, length=LENGTH, seed=0):
    codes = np.random.default_rng(seed).integers(4, size=(count, length))
    return np.ascontiguousarray(np.eye(4, dtype=np.uint8)[codes].transpose(0, 2, 1))


def one_best_match():
    """A sequence for ``Filter``: its best match in the middle of neutral columns."""
    X = np.full((1, 4, 39), 0.25)
    X[0, :, 19:22] = np.eye(4)[Filter().kernel[0].numpy().argmax(0)].T
    return X


def extra(name, X, n=2):
    """Settings that a method cannot do without, or that make it quick."""
    if name.startswith("integrated"):
        return {"steps": 2, "tolerance": None}
    if name.startswith("deeplift"):
        return {"shuffles": 2}
    if "flanks" not in name:
        return {}
    left, right = sequences(len(X), n, seed=8), sequences(len(X), n, seed=9)
    return {"flanks": np.concatenate([left, X, right], axis=2), "n": n}
