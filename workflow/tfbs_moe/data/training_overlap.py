"""Which test rows share sequence with what the experts were trained on."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tfbs_moe.data.dataset import Dataset
from tfbs_moe.data.overlap import shared_kmers
from tfbs_moe.sequence import codes_from_one_hot


def training_overlap(test: Dataset, training: Mapping[str, Sequence[Dataset]], k: int) -> pd.DataFrame:
    """Say for every test row whether it shares a k-mer, on either strand, with a training positive.

    Args:
        test: the test rows, N of them.
        training: by training experiment, its datasets of every split that a model sees.
        k: length of the words; 31 marks the same place of the genome or a repeat of it.

    Returns:
        N rows: ``row``, ``overlaps_training``, and ``shares_kmer_<experiment>`` for each experiment.
    """
    codes = codes_from_one_hot(test.one_hot)
    table = pd.DataFrame({"row": np.arange(len(test), dtype=np.int32)})
    shares = {
        f"shares_kmer_{name}": shared_kmers(codes, _positives(datasets), k) for name, datasets in training.items()
    }
    table["overlaps_training"] = np.any(list(shares.values()), axis=0) if shares else False
    return table.assign(**shares)


def _positives(datasets: Sequence[Dataset]) -> np.ndarray:
    """Return the codes (M, L) of the bound rows of datasets."""
    return codes_from_one_hot(np.concatenate([part.one_hot[part.label == 1] for part in datasets]))
