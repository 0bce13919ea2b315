"""A reference genome as integer codes, from which windows are cut.

``prepare_genome`` turns a FASTA file into HDF5 with one uncompressed dataset of codes per chromosome. It is
memory-mapped: opening it costs nothing, a window costs the bytes it holds, and all jobs of a study share the same
pages; each block of codes is checked against its checksum on first use. A FASTA file may be opened as it is, too; it is
read by random access, or whole into memory where that is not possible.
"""

import mmap
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
import pandas as pd

from tfbs_moe.errors import InputError
from tfbs_moe.files import atomic, check_is_file, check_space
from tfbs_moe.genome.fasta import read_fasta
from tfbs_moe.hdf5 import open_hdf5
from tfbs_moe.sequence import UNKNOWN, one_hot_from_codes

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_FORMAT = "tfbs-moe genome 2"
_CHECKSUM = "crc32"
_CHECKED_BASES = 4096  # per checksum: what must be read to verify one window
_MARGIN = 100_000  # bytes that HDF5 needs beside the codes and checksums
_BLOCK_ROWS = 2048  # windows at a time, so that their codes and one-hot rows stay within a processor's cache
_LISTED = 8  # chromosomes named in a message
_DAMAGED = "delete it and prepare the genome again"

Chroms = Sequence[str] | np.ndarray | pd.Series


class Store(Protocol):
    """Where the codes of chromosomes are read from."""

    def stretch(self, name: str, first: int, last: int) -> np.ndarray:
        """Return the codes from base ``first`` to before ``last`` of a chromosome, which must not be written."""

    def windows(self, name: str, start: np.ndarray, length: int) -> np.ndarray:
        """Return windows that lie within a chromosome, uint8 (N, L)."""

    def release(self) -> None:
        """Give back memory that need not be held."""


class Genome:
    """Chromosomes as codes, 0 to 3 for A, C, G, T and 4 for N, without soft-masking; see ``Genome.open``."""

    def __init__(self, sizes: dict[str, int], store: Store, path: str | Path) -> None:
        self.sizes = sizes  # bases by chromosome, in the order of the file
        self.path = Path(path)
        self._store = store
        self._sizes = pd.Series(sizes, dtype=np.int64)

    @classmethod
    def open(cls, path: str | Path) -> "Genome":
        """Open a prepared genome or a FASTA file (plain, gzip or bgzip); raise InputError if it is damaged or neither.

        A prepared genome is mapped. A FASTA is read by random access, see ``indexed_fasta``, or else whole, at a byte
        per base.
        """
        path = Path(path)
        check_is_file(path)
        with path.open("rb") as handle:
            prepared = handle.read(len(_HDF5_MAGIC)) == _HDF5_MAGIC
        if prepared:
            return cls._map(path)
        # Imported late, as the jobs of a study read prepared genomes.
        from tfbs_moe.genome.indexed_fasta import open_indexed

        indexed = open_indexed(path)
        return cls(indexed.sizes, indexed, path) if indexed else cls._read(path)

    @classmethod
    def _map(cls, path: Path) -> "Genome":
        with open_hdf5(path, "a prepared genome", ["chrom"]) as file:
            if file.attributes.get("format") != _FORMAT:
                raise InputError("it is HDF5, but not a prepared genome of this version; rebuild it")
            names = [str(name) for name in file["chrom"].asstr()[()]]
            records = [file[f"codes/{number}"] for number in range(len(names))]
            places = {name: (_offset(each), len(each)) for name, each in zip(names, records, strict=True)}
            checksums = [file[f"{_CHECKSUM}/{number}"][()] for number in range(len(names))]
            noted = file.attributes.get(_CHECKSUM)
            for name, record, checksum in zip(names, records, checksums, strict=True):
                if checksum.shape != (-(-len(record) // _CHECKED_BASES),) or checksum.dtype.kind != "u":
                    raise InputError(f"{name} does not have a checksum for every {_CHECKED_BASES} bases; {_DAMAGED}")
        if max((offset + size for offset, size in places.values()), default=0) > path.stat().st_size:
            raise InputError(f"{path} is cut short; {_DAMAGED}")
        sizes = {name: size for name, (_, size) in places.items()}
        if _checksum_of(sizes, checksums) != noted:
            raise InputError(f"{path} is damaged: its list of chromosomes does not have the checksum noted; {_DAMAGED}")
        with path.open("rb") as handle:
            mapped = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
        codes = {
            name: np.frombuffer(mapped, dtype=np.uint8, count=size, offset=offset)
            for name, (offset, size) in places.items()
        }
        return cls(sizes, _Mapped(path, mapped, codes, dict(zip(names, checksums, strict=True))), path)

    @classmethod
    def _read(cls, path: Path) -> "Genome":
        # One growing buffer: joining a list of chromosomes would need their memory twice.
        joined = bytearray()
        sizes = {}
        for name, codes in read_fasta(path):
            joined += codes.data
            sizes[name] = len(codes)
        ends = np.cumsum(list(sizes.values()))
        return cls(sizes, _Whole(dict(zip(sizes, np.split(np.frombuffer(joined, np.uint8), ends), strict=False))), path)

    def check(self) -> None:
        """Verify the checksums of the whole genome, which opening does not do; raise InputError where one differs."""
        for name in self.sizes:
            self.codes(name)
            self.release()

    def release(self) -> None:
        """Return mapped pages to the system, after each chromosome of a whole-genome read; they map again on use."""
        self._store.release()

    def codes(self, chrom: str) -> np.ndarray:
        """Return the codes of a chromosome, uint8 (size,), as a view that must not be written.

        Raises InputError where the genome lacks it or it is damaged.
        """
        return self._store.stretch(chrom, 0, self._size(chrom))

    def size_of(self, chrom: Chroms) -> np.ndarray:
        """Return the size of each named chromosome, int64 (N,); 0 for one that the genome lacks."""
        number, names = _numbered(chrom)
        return self._sizes.reindex(names, fill_value=0).to_numpy(np.int64)[number]

    def windows(self, chrom: Chroms, start: np.ndarray, length: int) -> np.ndarray:
        """Cut windows of L = ``length`` bases at 0-based starts (N,), as uint8 (N, L) of codes.

        Raises InputError, which names the first window beyond a chromosome's end or on none, or where the genome is
        damaged.
        """
        windows = np.empty((len(start), length), dtype=np.uint8)
        for rows, codes in self._blocks(chrom, start, length):
            windows[rows] = codes
        return windows

    def one_hot(self, chrom: Chroms, start: np.ndarray, length: int) -> np.ndarray:
        """Cut windows as one-hot uint8 (N, 4, L) of A, C, G, T; see ``windows``."""
        windows = np.empty((len(start), 4, length), dtype=np.uint8)
        for rows, codes in self._blocks(chrom, start, length):
            windows[rows] = one_hot_from_codes(codes)
        return windows

    def padded(self, chrom: str, start: np.ndarray, length: int) -> np.ndarray:
        """Cut windows of one chromosome, uint8 (N, L); bases beyond its ends are unknown."""
        size = self._size(chrom)
        inside = (start >= 0) & (start + length <= size)
        if inside.all():
            return self._store.windows(chrom, start, length)
        found = np.full((len(start), length), UNKNOWN, dtype=np.uint8)
        found[inside] = self._store.windows(chrom, start[inside], length)
        for row in np.flatnonzero(~inside):
            first, last = max(0, int(start[row])), min(size, int(start[row]) + length)
            if first < last:
                found[row, first - start[row] : last - start[row]] = self._store.stretch(chrom, first, last)
        return found

    def _size(self, chrom: str) -> int:
        if chrom not in self.sizes:
            names = list(self.sizes)
            more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            raise InputError(f"{self.path} has no chromosome {chrom}; it has {', '.join(names[:_LISTED])}{more}")
        return self.sizes[chrom]

    def _blocks(self, chrom: Chroms, start: np.ndarray, length: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows and codes of some thousand windows at a time, chromosome by chromosome."""
        if length < 1:
            raise InputError(f"windows of {length} bases were requested; the length must be 1 or more")
        start = np.asarray(start, dtype=np.int64)
        number, names = _numbered(chrom)
        size = self._sizes.reindex(names, fill_value=0).to_numpy(np.int64)[number]
        wrong = (start < 0) | (start + length > size)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            name = str(np.asarray(chrom)[row])
            end = f"{self.sizes[name]} bases long" if name in self.sizes else f"not in {self.path}"
            raise InputError(f"window {row}, {name}:{start[row]}-{start[row] + length}, cannot be cut: {name} is {end}")
        order = np.argsort(number, kind="stable")
        ends = np.searchsorted(number[order], np.arange(len(names)), side="right")
        for name, first, last in zip(names, [0, *ends], ends, strict=False):
            for at in range(first, last, _BLOCK_ROWS):
                rows = order[at : min(last, at + _BLOCK_ROWS)]
                yield rows, self._store.windows(str(name), start[rows], length)


class _Whole:
    """Chromosomes in memory."""

    def __init__(self, codes: Mapping[str, np.ndarray]) -> None:
        self._codes = codes

    def stretch(self, name: str, first: int, last: int) -> np.ndarray:
        return self._codes[name][first:last]

    def windows(self, name: str, start: np.ndarray, length: int) -> np.ndarray:
        return windows_at(self._codes[name], start, length)

    def release(self) -> None:
        """Do nothing: there are no mapped pages."""


class _Mapped(_Whole):
    """Chromosomes of a prepared genome; each block is checked against its checksum once, on first use."""

    def __init__(
        self, path: Path, mapped: mmap.mmap, codes: Mapping[str, np.ndarray], checksums: Mapping[str, np.ndarray]
    ) -> None:
        super().__init__(codes)
        self._path = path
        self._mapped = mapped
        self._checksums = checksums
        self._seen = {name: np.zeros(len(row), dtype=bool) for name, row in checksums.items()}

    def stretch(self, name: str, first: int, last: int) -> np.ndarray:
        self._check(name, np.arange(first // _CHECKED_BASES, -(-last // _CHECKED_BASES)))
        return super().stretch(name, first, last)

    def windows(self, name: str, start: np.ndarray, length: int) -> np.ndarray:
        first, last = start // _CHECKED_BASES, (start + length - 1) // _CHECKED_BASES
        most = int((last - first).max(initial=0))
        self._check(name, np.unique(np.minimum(first[:, None] + np.arange(most + 1), last[:, None])))
        windows = super().windows(name, start, length)
        # The system maps 16 pages for each one touched.
        self.release()
        return windows

    def release(self) -> None:
        self._mapped.madvise(mmap.MADV_DONTNEED)

    def _check(self, name: str, blocks: np.ndarray) -> None:
        seen, codes = self._seen[name], self._codes[name].data
        blocks = blocks[~seen[blocks]]
        for start, noted in zip(
            (blocks * _CHECKED_BASES).tolist(), self._checksums[name][blocks].tolist(), strict=True
        ):
            if zlib.crc32(codes[start : start + _CHECKED_BASES]) != noted:
                raise InputError(
                    f"{self._path} is damaged: {name} does not have the checksum noted with it near base {start}; "
                    f"{_DAMAGED}"
                )
        # Whoever wrote the checksums may have written what is no base.
        for run in np.split(blocks, np.flatnonzero(np.diff(blocks) > 1) + 1) if len(blocks) else ():
            if self._codes[name][run[0] * _CHECKED_BASES : (run[-1] + 1) * _CHECKED_BASES].max() > UNKNOWN:
                raise InputError(f"{self._path} is damaged: {name} holds codes above {UNKNOWN}; {_DAMAGED}")
        seen[blocks] = True


def windows_at(codes: np.ndarray, start: np.ndarray, length: int) -> np.ndarray:
    """Copy windows, uint8 (N, L), out of one contiguous array of codes, uint8 (S,); starts are 0 to S - L."""
    if not len(start):
        return np.empty((0, length), dtype=np.uint8)
    # A window as one item of L bytes is copied twice as fast as a row of L items.
    every = np.ndarray(shape=(len(codes) - length + 1,), dtype=f"V{length}", buffer=codes, strides=(1,))
    return every[start].view(np.uint8).reshape(len(start), length)


def padded_windows(codes: np.ndarray, start: np.ndarray, length: int) -> np.ndarray:
    """Cut windows, uint8 (N, L), out of one sequence of codes; bases beyond its ends are unknown."""
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
    """Turn a FASTA file (plain, gzip or bgzip) into a prepared genome, one chromosome in memory at a time.

    The HDF5 file holds ``chrom`` (names), ``codes/<number>``, uint8, uncompressed, and ``crc32/<number>``, uint32, the
    checksum of every 4,096 bases. Raises InputError as ``fasta.read_fasta`` does, and then leaves nothing behind.
    """
    sizes, checksums = {}, []
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        for number, (name, codes) in enumerate(_records(fasta)):
            starts = range(0, len(codes), _CHECKED_BASES)
            checksum = np.array([zlib.crc32(codes[at : at + _CHECKED_BASES].data) for at in starts], dtype=np.uint32)
            # On a full disk HDF5 itself would end the process without a message.
            check_space(path, len(codes) + checksum.nbytes + _MARGIN)
            # Contiguous and uncompressed, so that it can be mapped.
            file.create_dataset(f"codes/{number}", data=codes)
            file.create_dataset(f"{_CHECKSUM}/{number}", data=checksum)
            sizes[name] = len(codes)
            checksums.append(checksum)
        file.create_dataset("chrom", data=list(sizes), dtype=h5py.string_dtype("utf-8"))
        file.attrs["format"] = _FORMAT
        file.attrs[_CHECKSUM] = _checksum_of(sizes, checksums)


def _records(fasta: str | Path) -> Iterator[tuple[str, np.ndarray]]:
    from tfbs_moe.genome.indexed_fasta import open_indexed

    indexed = open_indexed(fasta)
    if indexed is None:
        yield from read_fasta(fasta)
        return
    for name, size in indexed.sizes.items():
        yield name, indexed.stretch(name, 0, size)


def _checksum_of(sizes: Mapping[str, int], checksums: Sequence[np.ndarray]) -> int:
    """Return one checksum of the names, sizes and checksums of chromosomes."""
    total = zlib.crc32("\n".join(f"{name}\t{size}" for name, size in sizes.items()).encode())
    for each in checksums:
        total = zlib.crc32(each.astype("<u4").tobytes(), total)
    return total


def _offset(record: h5py.Dataset) -> int:
    """Return where in the file a record's bytes lie."""
    offset = record.id.get_offset()
    if offset is None or record.dtype != np.uint8 or record.ndim != 1:
        raise OSError(f"{record.name} cannot be mapped")
    return int(offset)


def _numbered(chrom: Chroms) -> tuple[np.ndarray, np.ndarray]:
    """Return a number per row and the names they stand for, so that each name is looked up once."""
    numbers, names = pd.factorize(chrom if isinstance(chrom, np.ndarray | pd.Series) else np.array(chrom, dtype=object))
    return numbers, np.asarray(names)
