"""A reference genome as integer codes, from which windows are cut by the thousand.

A FASTA file is turned once into a prepared file (``prepare_genome``): HDF5 with one uncompressed
dataset of codes per chromosome. It is mapped into memory, so that opening it costs nothing, a
window costs the bytes it holds, and every job of a study shares the same pages. A FASTA file may be
opened as it is, too; it is then read whole into memory.
"""

import mmap
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from tfbs_moe.data.fasta import read_fasta
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import UNKNOWN, one_hot_from_codes
from tfbs_moe.tables import atomic, check_space

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_FORMAT = "tfbs-moe genome 1"
_CHECKSUM = "crc32"
# What HDF5 needs beside the codes, in bytes.
_MARGIN = 100_000
# Windows handled at a time: their codes and one-hot rows stay within a processor's cache.
_BLOCK_ROWS = 2048

Chroms = Sequence[str] | np.ndarray | pd.Series


class Genome:
    """Chromosomes as codes: 0 to 3 for A, C, G, T and 4 for N, soft-masking dropped.

    Attributes:
        sizes: length in bases by chromosome, in the order of the file.
        path: the file it came from.
    """

    def __init__(
        self, sizes: dict[str, int], offsets: dict[str, int], codes: bytes | mmap.mmap, path: str | Path
    ) -> None:
        """Take codes in which chromosome c lies at offsets[c]; ``Genome.open`` makes these."""
        self.sizes = sizes
        self.path = Path(path)
        self._bytes = codes
        self._codes = np.frombuffer(codes, dtype=np.uint8)
        self._sizes = pd.Series(sizes, dtype=np.int64)
        self._offsets = pd.Series(offsets, dtype=np.int64)
        self._checksums: dict[str, int] = {}

    @classmethod
    def open(cls, path: str | Path) -> "Genome":
        """Open a prepared genome or a FASTA file (plain, gzip or bgzip).

        A prepared one is mapped, not read; a FASTA is read whole, with up to two bytes of memory per base.

        Raises:
            InputError: the file is missing, damaged or neither of the two.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: there is no such genome file")
        with path.open("rb") as handle:
            prepared = handle.read(len(_HDF5_MAGIC)) == _HDF5_MAGIC
        return cls._map(path) if prepared else cls._read(path)

    @classmethod
    def _map(cls, path: Path) -> "Genome":
        try:
            with h5py.File(path, "r") as file:
                if file.attrs.get("format") != _FORMAT:
                    raise InputError(f"{path} is HDF5 but no prepared genome of this version; make it again")
                names = [str(name) for name in file["chrom"].asstr()[()]]
                records = [file[f"codes/{number}"] for number in range(len(names))]
                sizes = {name: len(record) for name, record in zip(names, records, strict=True)}
                places = {name: _offset(record) for name, record in zip(names, records, strict=True)}
                checksums = {
                    name: int(record.attrs[_CHECKSUM])
                    for name, record in zip(names, records, strict=True)
                    if _CHECKSUM in record.attrs
                }
        except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is damaged ({error}); delete it and prepare the genome again") from None
        end = max((places[name] + sizes[name] for name in names), default=0)
        if end > path.stat().st_size:
            raise InputError(f"{path} is cut short; delete it and prepare the genome again")
        with path.open("rb") as handle:
            genome = cls(sizes, places, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ), path)
        genome._checksums = checksums
        return genome

    @classmethod
    def _read(cls, path: Path) -> "Genome":
        records = list(read_fasta(path))
        ends = np.cumsum([0, *(len(codes) for _, codes in records)])
        offsets = {name: int(offset) for (name, _), offset in zip(records, ends, strict=False)}
        sizes = {name: len(codes) for name, codes in records}
        return cls(sizes, offsets, b"".join(codes.data for _, codes in records), path)

    def check(self) -> None:
        """Read the whole genome once and compare it with its checksums, which opening it does not do.

        Raises:
            InputError: a chromosome's bytes are not those that were written.
        """
        for name, checksum in self._checksums.items():
            if zlib.crc32(self.codes(name).data) != checksum:
                raise InputError(
                    f"{self.path} is damaged: {name} does not have the checksum noted with it; "
                    "delete it and prepare the genome again"
                )
            self.release()

    def release(self) -> None:
        """Give mapped pages back to the system: for who reads a whole genome, chromosome by chromosome.

        Nothing is lost; a base that is looked at again is mapped again.
        """
        if isinstance(self._bytes, mmap.mmap):
            self._bytes.madvise(mmap.MADV_DONTNEED)

    def codes(self, chrom: str) -> np.ndarray:
        """Return the codes of a chromosome, uint8 (size,), as a view that must not be written."""
        if chrom not in self.sizes:
            raise InputError(f"{self.path} has no chromosome {chrom}; it has {_listed(self.sizes)}")
        offset = int(self._offsets[chrom])
        return self._codes[offset : offset + self.sizes[chrom]]

    def size_of(self, chrom: Chroms) -> np.ndarray:
        """Return the size of each named chromosome, int64 (N,); 0 for one that the genome lacks."""
        return _looked_up([self._sizes], chrom)[0]

    def windows(self, chrom: Chroms, start: np.ndarray, length: int) -> np.ndarray:
        """Cut windows.

        Args:
            chrom: chromosome per window, (N,).
            start: 0-based start per window, (N,).
            length: bases L per window.

        Returns:
            uint8 (N, L) of codes.

        Raises:
            InputError: a window lies on no chromosome or reaches over an end; the first is named.
        """
        places = self._places(chrom, start, length)
        windows = np.empty((len(places), length), dtype=np.uint8)
        for rows, codes in self._blocks(places, length):
            windows[rows] = codes
        return windows

    def one_hot(self, chrom: Chroms, start: np.ndarray, length: int) -> np.ndarray:
        """Cut windows as one-hot uint8 (N, 4, L), rows A, C, G, T; see ``windows``."""
        places = self._places(chrom, start, length)
        windows = np.empty((len(places), 4, length), dtype=np.uint8)
        for rows, codes in self._blocks(places, length):
            one_hot_from_codes(codes, out=windows[rows])
        return windows

    def _blocks(self, places: np.ndarray, length: int) -> Iterator[tuple[slice, np.ndarray]]:
        for first in range(0, len(places), _BLOCK_ROWS):
            rows = slice(first, first + _BLOCK_ROWS)
            yield rows, windows_at(self._codes, places[rows], length)

    def _places(self, chrom: Chroms, start: np.ndarray, length: int) -> np.ndarray:
        """Return where each window starts in the codes of the whole genome."""
        if length < 1:
            raise InputError(f"windows of {length} bases were asked for; the length must be 1 or more")
        start = np.asarray(start, dtype=np.int64)
        size, offset = _looked_up([self._sizes, self._offsets], chrom)
        wrong = (start < 0) | (start + length > size)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            name = str(np.asarray(chrom)[row])
            end = f"{self.sizes[name]} bases long" if name in self.sizes else f"not in {self.path}"
            raise InputError(f"window {row}, {name}:{start[row]}-{start[row] + length}, cannot be cut: {name} is {end}")
        return offset + start


def windows_at(codes: np.ndarray, start: np.ndarray, length: int) -> np.ndarray:
    """Copy windows out of one stretch of codes.

    Args:
        codes: uint8 (S,), contiguous.
        start: int (N,), each from 0 to S - L.
        length: bases L per window, at most S where there is a window at all.

    Returns:
        uint8 (N, L).
    """
    if not len(start):
        return np.empty((0, length), dtype=np.uint8)
    # A window as one item of L bytes is copied twice as fast as a row of L items.
    every = np.ndarray(shape=(len(codes) - length + 1,), dtype=f"V{length}", buffer=codes, strides=(1,))
    return every[start].view(np.uint8).reshape(len(start), length)


def padded_windows(codes: np.ndarray, start: np.ndarray, length: int) -> np.ndarray:
    """Cut windows of L bases, uint8 (N, L), out of one sequence of codes; bases beyond its ends are unknown."""
    inside = (start >= 0) & (start + length <= len(codes))
    if inside.all():
        return windows_at(codes, start, length)
    found = np.full((len(start), length), UNKNOWN, dtype=np.uint8)
    found[inside] = windows_at(codes, start[inside], length)
    for row in np.flatnonzero(~inside):
        first, last = max(0, start[row]), min(len(codes), start[row] + length)
        if first < last:
            found[row, first - start[row] : last - start[row]] = codes[first:last]
    return found


def prepare_genome(fasta: str | Path, path: str | Path) -> None:
    """Turn a FASTA file into a prepared genome, one chromosome in memory at a time.

    Args:
        fasta: plain, gzip or bgzip.
        path: the HDF5 file to write: ``chrom`` (names) and ``codes/<number>``, uint8, uncompressed.

    Raises:
        InputError: see ``fasta.read_fasta``; nothing is left behind then.
    """
    names = []
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        for number, (name, codes) in enumerate(read_fasta(fasta)):
            # HDF5 itself would end the process without a message.
            check_space(path, len(codes) + _MARGIN)
            # Contiguous and uncompressed, which is what can be mapped.
            file.create_dataset(f"codes/{number}", data=codes).attrs[_CHECKSUM] = zlib.crc32(codes.data)
            names.append(name)
        file.create_dataset("chrom", data=names, dtype=h5py.string_dtype("utf-8"))
        file.attrs["format"] = _FORMAT


def _offset(record: h5py.Dataset) -> int:
    """Return where in the file a record's bytes lie."""
    offset = record.id.get_offset()
    if offset is None or record.dtype != np.uint8 or record.ndim != 1:
        raise OSError(f"{record.name} cannot be mapped")
    return int(offset)


def _looked_up(tables: list[pd.Series], chrom: Chroms) -> list[np.ndarray]:
    """Return each table's value for every name, int64 (N,); 0 for a name it lacks."""
    # Each name is looked up once, not once per window.
    numbers, names = pd.factorize(chrom if isinstance(chrom, np.ndarray | pd.Series) else np.array(chrom, dtype=object))
    return [table.reindex(names, fill_value=0).to_numpy(np.int64)[numbers] for table in tables]


def _listed(names: dict[str, int], most: int = 8) -> str:
    shown = ", ".join(list(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
