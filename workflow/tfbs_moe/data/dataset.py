"""One-hot sequences with labels and origins, in memory and as HDF5 (file format: ``docs/files.md``).

Everything above the data layer reads sequences through ``Dataset`` and ``read_dataset``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np

from tfbs_moe.errors import InputError, LeftOutError
from tfbs_moe.hdf5 import new_hdf5, open_hdf5, write_arrays
from tfbs_moe.runtime import rng
from tfbs_moe.sequence import check_one_hot

UNPAIRED = -1
UNPLACED = -1
STRANDS = ("+", "-", ".", "")

Attribute = str | int | float | bool

_NUMBERS: dict[str, type[np.generic]] = {
    "one_hot": np.uint8,
    "label": np.uint8,
    "pair": np.int32,
    "start": np.int64,
    "end": np.int64,
}
_TEXTS = ("chrom", "strand", "source")
_CHUNK_ROWS = 1024


@dataclass(frozen=True, eq=False)
class Dataset:
    """Sequences of one length with labels and origins; raises InputError where the arrays do not fit together."""

    one_hot: np.ndarray  # (N, 4, L), uint8: A, C, G, T; a zero column is an unknown base
    label: np.ndarray  # (N,), uint8: 1 bound, 0 unbound
    # (N,), int32: the row of the positive a negative was made from, a positive's own row, -1 where unpaired
    pair: np.ndarray
    chrom: np.ndarray  # (N,), str; empty where the position is unknown
    start: np.ndarray  # (N,), int64, 0-based; -1 where unknown
    end: np.ndarray  # (N,), int64, exclusive; -1 where unknown
    # (N,), str: ``-`` for a reverse-complemented sequence, ``+`` or ``.`` for a forward one, empty without a position
    strand: np.ndarray
    source: np.ndarray  # (N,), str: what the sequence was made from, such as the name of a peak
    attributes: dict[str, Attribute] = field(default_factory=dict)  # of the whole dataset

    def __post_init__(self) -> None:
        _check_columns(self)
        _check_pairs(self.label, self.pair)
        _check_places(self)
        _check_attributes(self.attributes)

    def __len__(self) -> int:
        return len(self.label)

    @property
    def length(self) -> int:
        """Bases per sequence."""
        return int(self.one_hot.shape[2])


def make_dataset(
    one_hot: np.ndarray,
    label: np.ndarray | Sequence[int],
    *,
    pair: np.ndarray | None = None,
    chrom: np.ndarray | Sequence[str] | None = None,
    start: np.ndarray | None = None,
    end: np.ndarray | None = None,
    strand: np.ndarray | Sequence[str] | None = None,
    source: np.ndarray | Sequence[str] | None = None,
    attributes: Mapping[str, Attribute] | None = None,
) -> Dataset:
    """Make a dataset with the dtypes of ``Dataset``; what is not given is unknown, and no sequence paired."""
    count = len(one_hot)

    def text(values: np.ndarray | Sequence[str] | None) -> np.ndarray:
        return np.full(count, "", dtype=np.str_) if values is None else np.asarray(values, dtype=np.str_)

    def integers(values: np.ndarray | None, dtype: type[np.generic]) -> np.ndarray:
        return np.full(count, -1, dtype=dtype) if values is None else np.asarray(values).astype(dtype)

    return Dataset(
        one_hot=np.ascontiguousarray(one_hot, dtype=np.uint8),
        label=np.asarray(label).astype(np.uint8),
        pair=integers(pair, np.int32),
        chrom=text(chrom),
        start=integers(start, np.int64),
        end=integers(end, np.int64),
        strand=text(strand),
        source=text(source),
        attributes=dict(attributes or {}),
    )


LEFT_OUT, SMALLER = "left_out", "smaller"
# Set by ``build``, which reverse-complements no sequence; see ``Dataset.strand``.
ORIENTATION, FORWARD = "orientation", "forward"
ROWS_FOUND, ROWS_WANTED = "rows_found", "rows_wanted"


def left_out_dataset(length: int, reason: str, attributes: Mapping[str, Attribute]) -> Dataset:
    """Return an empty dataset of windows of ``length`` bases, with ``reason`` as its attribute ``left_out``."""
    return make_dataset(np.zeros((0, 4, length), dtype=np.uint8), [], attributes={**attributes, LEFT_OUT: reason})


def left_out(dataset: Dataset) -> str:
    """Return why a dataset was excluded, or an empty string."""
    return str(dataset.attributes.get(LEFT_OUT, ""))


def in_or_out_together(datasets: Sequence[Dataset]) -> list[Dataset]:
    """Return the datasets of one experiment, all excluded, for the same reason, where one of them is."""
    reason = next((left_out(dataset) for dataset in datasets if left_out(dataset)), "")
    return [
        left_out_dataset(dataset.length, reason, dataset.attributes) if reason and not left_out(dataset) else dataset
        for dataset in datasets
    ]


def require_minimum(dataset: Dataset, minimum: int, why: str = "") -> None:
    """Raise LeftOutError where a class has fewer sequences than ``minimum``; ``why`` ends the message."""
    positives = int(dataset.label.sum())
    negatives = len(dataset) - positives
    if min(positives, negatives) < minimum:
        raise LeftOutError(
            f"{positives} bound and {negatives} unbound rows are left for {dataset.attributes['split']}, and at least "
            f"{minimum} of each are needed (negatives.minimum_rows). {why}".strip()
        )


def write_dataset(dataset: Dataset, path: str | Path) -> None:
    """Write a dataset as compressed HDF5, with a checksum on every chunk and the same bytes each time."""
    with new_hdf5(path) as file:
        columns = {name: getattr(dataset, name) for name in _NUMBERS}
        for name in _TEXTS:
            encoded = np.char.encode(getattr(dataset, name), "utf-8")
            width = max(1, encoded.dtype.itemsize)
            columns[name] = encoded.astype(f"S{width}").astype(h5py.string_dtype("utf-8", width))
        write_arrays(file, columns, _CHUNK_ROWS)
        for key in sorted(dataset.attributes):
            file.attrs[key] = dataset.attributes[key]


def read_dataset(path: str | Path) -> Dataset:
    """Read a file that ``write_dataset`` wrote; raise InputError where it is missing, damaged or no dataset."""
    with open_hdf5(path, "a dataset", (*_NUMBERS, *_TEXTS)) as file:
        numbers = {name: file[name][()] for name in _NUMBERS}
        texts = {name: _as_text(name, file[name]) for name in _TEXTS}
        return Dataset(**numbers, **texts, attributes=file.attributes)


def concatenate(datasets: Sequence[Dataset], attributes: Mapping[str, Attribute] | None = None) -> Dataset:
    """Concatenate datasets; ``pair`` points at the same sequences as before.

    ``attributes`` None keeps those on which all datasets agree. Raises InputError where none is given or lengths
    differ.
    """
    if not datasets:
        raise InputError("no dataset was given to concatenate")
    lengths = sorted({dataset.length for dataset in datasets})
    if len(lengths) > 1:
        raise InputError(f"datasets of different sequence lengths cannot be concatenated: {lengths} bases")
    offsets = np.cumsum([0, *(len(dataset) for dataset in datasets[:-1])])
    pairs = [
        np.where(dataset.pair == UNPAIRED, UNPAIRED, dataset.pair + offset)
        for dataset, offset in zip(datasets, offsets, strict=True)
    ]
    columns = {
        name: np.concatenate([getattr(dataset, name) for dataset in datasets])
        for name in (*_NUMBERS, *_TEXTS)
        if name != "pair"
    }
    pair = np.concatenate(pairs).astype(np.int32)
    return Dataset(**columns, pair=pair, attributes=_agreed(datasets) if attributes is None else dict(attributes))


def subset(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """Return the given rows in the given order; a negative whose positive is excluded becomes unpaired.

    ``rows`` are distinct integers (M,) or a mask, bool (N,). Raises InputError where a row is named twice or does not
    exist.
    """
    rows = np.asarray(rows)
    if rows.dtype == bool:
        if len(rows) != len(dataset):
            raise InputError(f"a mask of {len(rows)} values does not fit a dataset of {len(dataset)} rows")
        rows = np.flatnonzero(rows)
    rows = rows.astype(np.int64)
    if len(rows) and (rows.min() < 0 or rows.max() >= len(dataset)):
        raise InputError(f"rows {rows.min()} to {rows.max()} were requested; the dataset has {len(dataset)}")
    if len(np.unique(rows)) != len(rows):
        raise InputError("a row was requested twice; a dataset holds each row once")
    # One entry more than rows: UNPAIRED (-1) indexes the last and stays UNPAIRED.
    new_row = np.full(len(dataset) + 1, UNPAIRED, dtype=np.int32)
    new_row[rows] = np.arange(len(rows), dtype=np.int32)
    columns = {name: getattr(dataset, name)[rows] for name in (*_NUMBERS, *_TEXTS)}
    return replace(dataset, **columns | {"pair": new_row[columns["pair"]]})


def leaders(dataset: Dataset) -> np.ndarray:
    """Return the row that each sequence is paired with, int (N,); its own where it has no pair."""
    return np.where(dataset.pair == UNPAIRED, np.arange(len(dataset)), dataset.pair)


def _check_columns(dataset: Dataset) -> None:
    check_one_hot(dataset.one_hot, "one_hot")
    for name, dtype in _NUMBERS.items():
        values = getattr(dataset, name)
        if values.dtype != dtype:
            raise InputError(f"{name} must be {np.dtype(dtype).name}; it is {values.dtype}")
    for name in _TEXTS:
        if getattr(dataset, name).dtype.kind != "U":
            raise InputError(f"{name} must be an array of str; it is {getattr(dataset, name).dtype}")
    count = len(dataset.one_hot)
    for name in (*_NUMBERS, *_TEXTS):
        values = getattr(dataset, name)
        if len(values) != count or (name != "one_hot" and values.ndim != 1):
            raise InputError(f"{name} has shape {values.shape} for {count} sequences")
    if count and dataset.label.max() > 1:
        row = int(np.flatnonzero(dataset.label > 1)[0])
        raise InputError(f"row {row} has label {dataset.label[row]}; labels are 0 and 1")


def _check_pairs(label: np.ndarray, pair: np.ndarray) -> None:
    if len(pair) and (pair.min() < UNPAIRED or pair.max() >= len(pair)):
        raise InputError(f"pair must lie between -1 and {len(pair) - 1}; it goes from {pair.min()} to {pair.max()}")
    paired = np.flatnonzero(pair != UNPAIRED)
    partner = pair[paired]
    wrong = (label[partner] != 1) | (pair[partner] != partner) | ((label[paired] == 1) & (partner != paired))
    if wrong.any():
        row = int(paired[wrong][0])
        raise InputError(
            f"row {row} is paired with row {pair[row]}; pair must name a positive, and a positive's pair is its own row"
        )


def _check_places(dataset: Dataset) -> None:
    placed = dataset.chrom != ""
    width = dataset.end - dataset.start
    wrong = np.where(
        placed, (dataset.start < 0) | (width != dataset.length), (dataset.start != UNPLACED) | (dataset.end != UNPLACED)
    )
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        place = f"{dataset.chrom[row] or '(no chromosome)'}:{dataset.start[row]}-{dataset.end[row]}"
        raise InputError(
            f"row {row} lies at {place}; expected a chromosome, a start from 0 and an end {dataset.length} bases on, "
            "or none of the three (empty, -1, -1)"
        )
    strange = ~np.isin(dataset.strand, STRANDS)
    if strange.any():
        row = int(np.flatnonzero(strange)[0])
        raise InputError(f"row {row} has strand {str(dataset.strand[row])!r}; it must be +, -, . or empty")


def _check_attributes(attributes: Mapping[str, Attribute]) -> None:
    for key, value in attributes.items():
        if not isinstance(value, str | int | float | bool):
            raise InputError(f"attribute {key} is a {type(value).__name__}; it must be a str, int, float or bool")


def _as_text(name: str, column: h5py.Dataset) -> np.ndarray:
    if h5py.check_string_dtype(column.dtype) is None:
        raise InputError(f"{name} must hold text; it holds {column.dtype}")
    encoded = column[()]
    # np.char.decode is slow, and ASCII does not need it.
    return encoded.astype(np.str_) if encoded.tobytes().isascii() else np.char.decode(encoded, "utf-8")


def _agreed(datasets: Sequence[Dataset]) -> dict[str, Attribute]:
    first, *others = (dataset.attributes for dataset in datasets)
    return {key: value for key, value in first.items() if all(o.get(key) == value for o in others)}


def with_random_labels(dataset: Dataset, seed: int) -> Dataset:
    """Permute the labels of a dataset and unpair its rows, for the label test of ``attribution.evaluation.sanity``."""
    order = rng(seed, "label randomisation").permutation(len(dataset))
    return replace(dataset, label=dataset.label[order], pair=np.full(len(dataset), UNPAIRED, dtype=np.int32))
