"""Datasets with permuted labels: there is nothing to learn in them but single rows."""

from dataclasses import replace

import numpy as np

from tfbs_moe.data.dataset import UNPAIRED, Dataset
from tfbs_moe.runtime import rng


def with_random_labels(dataset: Dataset, seed: int) -> Dataset:
    """Return a dataset whose labels are permuted, to train the network of the label test on.

    Rows and the number of positives stay what they are; no row is paired any more.
    See ``attribution.sanity``.
    """
    order = rng(seed, "label randomisation").permutation(len(dataset))
    return replace(dataset, label=dataset.label[order], pair=np.full(len(dataset), UNPAIRED, dtype=np.int32))
