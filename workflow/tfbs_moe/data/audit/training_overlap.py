"""Which test rows share sequence with the training rows of the experts."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from tfbs_moe.data.dataset import Dataset, read_dataset
from tfbs_moe.data.kmers import KmerIndex
from tfbs_moe.hdf5 import new_hdf5, open_hdf5, write_arrays
from tfbs_moe.sequence import check_codes, codes_from_one_hot

_ORDER = "experiments"


def training_overlaps(
    tests: Sequence[Dataset], training: Iterable[tuple[str, np.ndarray]], k: int
) -> list[pd.DataFrame]:
    """Return a table per test set: which rows share a k-mer, on either strand, with a training positive.

    Columns are ``row``, ``overlaps_training`` and ``shares_kmer_<experiment>`` for each experiment. ``training`` yields
    name and codes (M, L) of the bound rows of each experiment, held one at a time. A shared 31-mer marks the same locus
    of the genome or a repeat of it.
    """
    # Deduplicated: bound rows are the same for every kind of negatives.
    rows = codes_from_one_hot(np.concatenate([test.one_hot for test in tests]))
    once, number = np.unique(rows, axis=0, return_inverse=True)
    index, places = KmerIndex.with_places(once, k)
    shares = {
        f"shares_kmer_{name}": np.append(index.held_by(positives), False)[places].any(axis=1)[number.ravel()]
        for name, positives in training
    }
    row = np.concatenate([np.arange(len(test), dtype=np.int32) for test in tests])
    anywhere = np.any(list(shares.values()), axis=0) if shares else np.zeros(len(row), dtype=bool)
    table = pd.DataFrame({"row": row, "overlaps_training": anywhere, **shares})
    ends = np.cumsum([len(test) for test in tests])
    return [table[end - len(test) : end].reset_index(drop=True) for test, end in zip(tests, ends, strict=True)]


def write_positives(paths: Iterable[str | Path], path: str | Path) -> None:
    """Write the codes of the bound rows of training datasets by experiment, in order of first appearance, as HDF5.

    Datasets are ``experiments`` and ``codes/<experiment>``, uint8 (M, L): one file to compare every test set with.
    """
    files: dict[str, list[str | Path]] = {}
    for each in paths:
        with open_hdf5(each, "a dataset", []) as file:
            files.setdefault(str(file.attributes["experiment"]), []).append(each)
    with new_hdf5(path) as file:
        file.create_dataset(_ORDER, data=list(files), dtype=h5py.string_dtype())
        for name, parts in files.items():
            datasets = [read_dataset(part) for part in parts]
            bound = np.concatenate([dataset.one_hot[dataset.label == 1] for dataset in datasets])
            write_arrays(file, {f"codes/{name}": codes_from_one_hot(bound)}, rows=None)


def read_positives(path: str | Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each experiment's name and bound codes (M, L) from ``write_positives``; InputError if unreadable."""
    with open_hdf5(path, "bound training rows", [_ORDER]) as file:
        for name in file[_ORDER].asstr()[:]:
            yield str(name), check_codes(file[f"codes/{name}"][:])
