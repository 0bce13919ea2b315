"""Datasets with permuted labels, which a network can only memorise."""

from dataclasses import replace

import numpy as np

from tfbs_moe.data.dataset import UNPAIRED, Dataset
from tfbs_moe.runtime import rng


def with_random_labels(dataset: Dataset, seed: int) -> Dataset:
    """Permute the labels of a dataset and unpair its rows, for the label test of ``attribution.sanity``."""
    order = rng(seed, "label randomisation").permutation(len(dataset))
    return replace(dataset, label=dataset.label[order], pair=np.full(len(dataset), UNPAIRED, dtype=np.int32))
