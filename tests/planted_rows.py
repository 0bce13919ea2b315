"""Made sequences that hold a motif, and a quick training that learns it."""

from pathlib import Path

import numpy as np
import torch

from tfbs_moe.data.dataset import Dataset, make_dataset
from tfbs_moe.sequence import one_hot_from_codes
from tfbs_moe.training.expert import train_expert

WINDOW = 41
MOTIF = np.array([2, 0, 3, 0, 0, 2])  # GATAAG
CPU = torch.device("cpu")
HYPERPARAMETERS = {"motif_width": 8, "motifs": 8, "weight_sd": 0.1}
SETTINGS = {"learning_rate": 1e-2, "batch_size": 64, "max_epochs": 4, "patience": 4, "optimizer": "adamw"}


def planted(count: int, seed: int, motif: np.ndarray = MOTIF) -> Dataset:
    """Random sequences; the first half holds the motif somewhere."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (count, WINDOW))
    for row in range(count // 2):
        start = rng.integers(0, WINDOW - len(motif))
        codes[row, start : start + len(motif)] = motif
    return make_dataset(one_hot_from_codes(codes), np.arange(count) < count // 2)


TRAIN, VALIDATION = planted(800, 0), planted(300, 1)


def train(folder: Path, **changes: object) -> dict:
    """Train an expert on ``TRAIN`` with some arguments changed; return what it wrote of itself."""
    arguments = {
        "architecture": "convnet",
        "hyperparameters": HYPERPARAMETERS,
        "settings": SETTINGS,
        "seed": 1,
        "folder": folder,
        "device": CPU,
        "description": {"factor": "GATA"},
    }
    return train_expert(TRAIN, VALIDATION, **(arguments | changes))
