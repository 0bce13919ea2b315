"""Attributions for a user's sequences, by any method, in a stream."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch
from torch import nn

from tfbs_moe.apply.outputs import Middles, open_sink
from tfbs_moe.apply.windows import SCORED, Source, Windows
from tfbs_moe.attribution.methods.registry import attribute, logits, settings_of
from tfbs_moe.errors import InputError, printable
from tfbs_moe.figures.logos import Explained, logos
from tfbs_moe.figures.style import save
from tfbs_moe.files import atomic, check_space
from tfbs_moe.sequence import ALPHABET, one_hot_from_codes

# The three are chosen from the first so many sequences.
MOST = 4096


class Logos:
    """Collects the first sequences of a stream; draws three to ``<stem>.pdf``, ``.png``, ``.svg`` and ``.tsv``."""

    def __init__(self, stem: str | Path, method: str) -> None:
        self._stem, self._method = Path(stem), method
        self._parts: list[tuple[np.ndarray, ...]] = []
        self._rows = 0

    def add(self, windows: Windows, X: np.ndarray, values: np.ndarray, logit: np.ndarray) -> None:
        """Add sequences (N, 4, L), their attributions (N, 4, L) and logits (N,)."""
        if self._rows < MOST:
            self._parts.append((X, values, logit, windows.name, windows.chrom, windows.start))
            self._rows += len(windows)

    def draw(self) -> None:
        """Draw the sequences with the highest, the median and the lowest logit."""
        X, values, logit, name, chrom, start = (np.concatenate(each) for each in zip(*self._parts, strict=True))
        label = [
            printable(f"{one}, {place}" if place and not f"{one}:".startswith(f"{place}:") else str(one))
            for one, place in zip(name, chrom, strict=True)
        ]
        figure, table = logos(Explained(X, np.arange(len(X)), logit, {self._method: values}, label=label, start=start))
        save(figure, table, self._stem)


HDF5 = ".h5"
FORMATS = (".tsv", ".tsv.gz", ".parquet", ".bw", HDF5)
_NOTHING = "there is nothing to explain: the input holds no sequence with a known base"
_BASES = np.array([*ALPHABET, "N"], dtype=object)
# Sequences held in memory with their attributions.
_ROWS = 2048
_GZIP_LEVEL = 4
# Bytes that HDF5 needs besides the arrays.
_MARGIN = 1_000_000


def explain(
    model: nn.Module,
    source: Source,
    method: str,
    *,
    device: torch.device | str | None = None,
    seed: int = 0,
    **settings: Any,
) -> Iterator[tuple[Windows, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield windows, one-hot sequences (N, 4, L), attributions (N, 4, L) and logits (N,), up to 2,048 at a time.

    Windows without a known base are passed over; ``source.notes`` counts them.

    Args:
        model: expert or mixture.
        source: of the windows, see ``open_source``.
        method: see ``attribution.methods.METHODS``.
        device: where to compute; None for the model's device.
        seed: for methods with random draws; their noise restarts every 2,048 sequences.
        settings: of the method.

    Raises:
        InputError: unknown method or setting, before anything is computed.
    """
    settings_of(method, **settings)
    for block in source.blocks():
        for first in range(0, len(block), _ROWS):
            part = block.rows(slice(first, first + _ROWS))
            part = part.rows(part.status == SCORED)
            if not len(part):
                continue
            X = one_hot_from_codes(part.codes)
            values = attribute(model, X, method, device=device, seed=seed, **settings)
            yield part, X, values, logits(model, X, device=device)


def explain_file(
    model: nn.Module,
    source: Source,
    method: str,
    output: str | Path,
    *,
    device: torch.device | str | None = None,
    seed: int = 0,
    **settings: Any,
) -> Iterator[tuple[Windows, np.ndarray, np.ndarray, np.ndarray]]:
    """Write the attributions of a source to a file, and yield what ``explain`` yields.

    HDF5 (``.h5``) gets everything: ``attribution`` (N, 4, L), ``one_hot``, ``logit``, ``name``, ``chrom``, ``start``. A
    table (formats: see ``open_sink``) has one row per base: ``name`` ``chrom`` ``position`` (0-based) ``base``
    ``attribution``, the contribution of the base that is there. A bigWig has these contributions for windows that tile
    a genome, from the middle of each window.
    """
    parts = explain(model, source, method, device=device, seed=seed, **settings)
    if str(output).endswith(HDF5):
        attributes = {"method": method, "seed": seed} | settings_of(method, **settings)
        yield from _to_hdf5(parts, Path(output), attributes)
        return
    bigwig = str(output).endswith(".bw")
    with ExitStack() as stack:
        sink = middles = None
        for windows, X, values, logit in parts:
            if sink is None:
                tiled = 1 if source.step else 0
                sink = stack.enter_context(
                    open_sink(output, placed=False, sizes=source.sizes, tiled=tiled, value="attribution")
                )
                middles = Middles(source.sizes(), source.step) if bigwig else None
            table = contributions(windows, X, values)
            sink.write(table if middles is None else _shown(table, windows, middles))
            yield windows, X, values, logit
        if sink is None:
            raise InputError(_NOTHING)


def contributions(windows: Windows, X: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    """Return one row per base of N windows: ``name`` ``chrom`` ``position`` (0-based) ``base`` ``attribution``."""
    count, length = windows.codes.shape
    position = windows.start[:, None] + np.arange(length)
    return pd.DataFrame(
        {
            "name": np.repeat(windows.name, length),
            "chrom": np.repeat(windows.chrom, length),
            "position": position.ravel(),
            "base": _BASES[windows.codes.ravel()],
            "attribution": (values * X).sum(axis=1, dtype=np.float32).ravel(),
        }
    )


def _shown(table: pd.DataFrame, windows: Windows, middles: Middles) -> pd.DataFrame:
    """Keep the bases that each window represents (see ``Middles``), as intervals."""
    length = windows.codes.shape[1]
    first, end = (np.repeat(each, length) for each in middles.of(windows.chrom, windows.start, length))
    kept = table[(table["position"] >= first) & (table["position"] < end)].rename(columns={"position": "start"})
    return kept.assign(end=kept["start"] + 1)


def _to_hdf5(
    parts: Iterator[tuple[Windows, np.ndarray, np.ndarray, np.ndarray]], path: Path, attributes: Mapping[str, Any]
) -> Iterator[tuple[Windows, np.ndarray, np.ndarray, np.ndarray]]:
    text = h5py.string_dtype("utf-8")
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        for name, value in attributes.items():
            file.attrs[name] = value if isinstance(value, str | int | float | bool) else repr(value)
        for windows, X, values, logit in parts:
            columns: dict[str, tuple[np.ndarray, Any]] = {
                "attribution": (values, np.float32),
                "one_hot": (X, np.uint8),
                "logit": (logit, np.float32),
                "name": (windows.name, text),
                "chrom": (windows.chrom, text),
                "start": (windows.start, np.int64),
            }
            # Uncompressed, so an overestimate: HDF5 ends the process when the disk is full.
            check_space(path, sum(np.asarray(column).nbytes for column, _ in columns.values()) + _MARGIN)
            for name, (column, kind) in columns.items():
                _append(file, name, column, kind)
            yield windows, X, values, logit
        if not len(file):
            raise InputError(_NOTHING)


def _append(file: h5py.File, name: str, column: np.ndarray, kind: Any) -> None:
    if name not in file:
        file.create_dataset(
            name, data=column, dtype=kind, maxshape=(None, *column.shape[1:]), chunks=(256, *column.shape[1:]),
            compression="gzip", compression_opts=_GZIP_LEVEL, shuffle=True,
        )  # fmt: skip
        return
    there = file[name]
    there.resize(len(there) + len(column), axis=0)
    there[-len(column) :] = column
