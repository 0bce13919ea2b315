"""What a gate learns from: rows of several datasets, seen by every expert once."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from tfbs_moe.data.dataset import Dataset, read_dataset
from tfbs_moe.errors import InputError
from tfbs_moe.models.stack import ExpertStack

log = logging.getLogger(__name__)

# Larger arrays go to a memory-mapped file, which the system may drop from memory as it likes.
_MEMORY_BYTES = 2_000_000_000
# Rows of a pass times experts of the mixture, to bound what a pass holds.
_ROWS_TIMES_EXPERTS = 4096
_FLOAT_BYTES = 4

Source = Dataset | str | Path


def read_source(source: Source) -> Dataset:
    """Return a dataset that is given as such or as its file."""
    return source if isinstance(source, Dataset) else read_dataset(source)


def pool_rows(sources: Sequence[Source], rows: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    """Take rows out of several datasets put one after another; one dataset is in memory at a time.

    Args:
        sources: datasets of one length L, or their files.
        rows: positions (N,) in all of them together, in the order wanted.

    Returns:
        one-hot uint8 (N, 4, L) and labels uint8 (N,).

    Raises:
        InputError: datasets of different lengths.
    """
    inputs: np.ndarray | None = None
    labels = np.empty(len(rows), dtype=np.uint8)
    start = 0
    for source in sources:
        dataset = read_source(source)
        if inputs is None:
            inputs = np.empty((len(rows), *dataset.one_hot.shape[1:]), dtype=np.uint8)
        if dataset.one_hot.shape[1:] != inputs.shape[1:]:
            raise InputError(
                f"datasets of a mixture must have one length; got {inputs.shape[2]} and {dataset.length} bases"
            )
        here = (rows >= start) & (rows < start + len(dataset))
        inputs[here] = dataset.one_hot[rows[here] - start]
        labels[here] = dataset.label[rows[here] - start]
        start += len(dataset)
    assert inputs is not None
    return torch.from_numpy(inputs), labels


@contextmanager
def embedded(stack: ExpertStack, one_hot: torch.Tensor, folder: Path, name: str) -> Iterator[torch.Tensor]:
    """Embed sequences with every expert, each once.

    Args:
        stack: K experts, on the device to compute on.
        one_hot: uint8 (N, 4, L).
        folder: takes a temporary file where the result is large; it is gone afterwards.
        name: of that file.

    Yields:
        float32 (N, K, E) in main memory, or mapped from the file.

    Raises:
        InputError: the disk cannot hold it.
    """
    shape = (len(one_hot), len(stack), stack.embedding_size)
    size = int(np.prod(shape)) * _FLOAT_BYTES
    path = folder / f".{name}.embeddings"
    try:
        result = torch.empty(shape) if size <= _MEMORY_BYTES else _mapped(path, shape, size)
        device = next(stack.parameters()).device
        part = max(1, _ROWS_TIMES_EXPERTS // len(stack))
        with torch.inference_mode():
            for start in range(0, len(one_hot), part):
                x = one_hot[start : start + part].to(device).to(torch.float32)
                result[start : start + part] = stack(x).cpu()
        yield result
    finally:
        path.unlink(missing_ok=True)


def _mapped(path: Path, shape: tuple[int, ...], size: int) -> torch.Tensor:
    """Return a tensor backed by a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise InputError(
            f"the embeddings of {shape[0]} rows by {shape[1]} experts take {size / 1e9:.1f} GB, and {path.parent} has "
            f"{free / 1e9:.1f} GB free. Set max_rows for the gate."
        )
    log.info("embeddings of %d rows by %d experts: %.1f GB in a file", shape[0], shape[1], size / 1e9)
    return torch.from_file(str(path), shared=True, size=size // _FLOAT_BYTES, dtype=torch.float32).view(shape)
