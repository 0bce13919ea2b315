"""Windows of one length, a block at a time, from the usual file formats.

Bases beyond the end of a sequence are unknown (N): a sequence shorter than a window is centred in it. A longer one is
covered by windows at every step, and by a last one that ends with it.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from tfbs_moe.apply.sequence_table import read_sequences
from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.data.peaks import holds_peaks, read_peaks
from tfbs_moe.data.windows import window_start
from tfbs_moe.errors import InputError
from tfbs_moe.genome.fasta import read_fasta
from tfbs_moe.genome.genome import Genome, padded_windows
from tfbs_moe.sequence import UNKNOWN, codes_from_one_hot, reverse_complement
from tfbs_moe.tables import check_is_file, open_bytes

# Windows per block; a multiple of a model's batch.
BLOCK_ROWS = 16384

_SHORT = "shorter than a window, with unknown bases on both sides"
_VCF_MAGIC = b"##fileformat=VCF"
_HDF5_MAGIC = b"\x89HDF"
_BEGIN_BYTES = 1 << 16
_EMPTY = "windows left out that hold only unknown bases"
_BEYOND = "windows left out that lie beyond the end of the chromosome"

Format = Literal["fasta", "intervals", "table", "dataset"]
_BY_SUFFIX: dict[str, Format] = {
    **dict.fromkeys([".fa", ".fasta", ".fna", ".fas"], "fasta"),
    **dict.fromkeys([".bed", ".narrowpeak", ".broadpeak", ".gappedpeak", ".gff", ".gff3", ".gtf"], "intervals"),
    **dict.fromkeys([".tsv", ".txt", ".csv", ".seq"], "table"),
    ".h5": "dataset",
}


@dataclass(frozen=True, eq=False)
class Windows:
    """A block of windows.

    Attributes:
        codes: uint8 (N, L): 0 to 3 for A, C, G, T and 4 for an unknown base.
        record: int64 (N,), index of each window's record in the input, from 0.
        name: (N,), names of the records.
        chrom: (N,), the sequence that ``start`` counts on; empty for records without coordinates.
        start: int64 (N,), 0-based; negative where a window begins before its sequence.
    """

    codes: np.ndarray
    record: np.ndarray
    name: np.ndarray
    chrom: np.ndarray
    start: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def rows(self, rows: slice) -> "Windows":
        """Return a slice of the windows."""
        return Windows(self.codes[rows], self.record[rows], self.name[rows], self.chrom[rows], self.start[rows])


@dataclass(frozen=True)
class Source:
    """A stream of windows from a file.

    Attributes:
        blocks: starts the stream of blocks, each of ``BLOCK_ROWS`` windows but the last.
        total: number of windows, where known in advance.
        sizes: returns the lengths of the sequences that windows lie on; empty where they have no coordinates.
        step: bases from one window to the next where windows tile their sequences, else 0.
        notes: remarks on the input and their number of rows, filled while it is read.
    """

    blocks: Callable[[], Iterator[Windows]]
    total: int | None = None
    sizes: Callable[[], Mapping[str, int]] = dict
    step: int = 0
    notes: dict[str, int] = field(default_factory=dict)


def open_source(
    path: str | Path,
    window: int,
    *,
    format: Format | None = None,  # noqa: A002
    genome: str | Path | None = None,
    step: int | None = None,
    tile: bool = False,
) -> Source:
    """Open a file of sequences or intervals.

    Args:
        path: FASTA; peaks or intervals (with ``genome``); a table with a column ``sequence``, or one sequence per line;
            or a dataset of a study (HDF5), whose sequences on ``-`` are turned to the forward strand. Plain or gzip.
        window: length L that the model takes, in bases.
        format: of the file; None to tell by its name and first byte.
        genome: FASTA or prepared genome that the intervals lie on.
        step: bases between windows of a longer sequence; None for half a window.
        tile: cover intervals with windows, instead of one window around each summit or midpoint.

    Raises:
        InputError: the file or the genome is missing or invalid, or options do not fit.
    """
    path = Path(path)
    check_is_file(path)
    if step is not None and step < 1:
        raise InputError(f"a step of {step} bases was requested; it must be 1 or more")
    step = step or max(1, window // 2)
    kind = format or guess_format(path)
    if kind not in get_args(Format):
        raise InputError(f"the format {kind!r} is unknown; known are {', '.join(get_args(Format))}")
    if genome is not None and kind != "intervals":
        raise InputError(f"a genome was given, but {path} holds sequences itself; leave the genome out")
    if kind == "intervals":
        if genome is None:
            raise InputError(f"{path} holds genomic intervals; name their genome: --genome FASTA")
        return _intervals(path, Genome.open(genome), window, step, tile)
    if tile:
        raise InputError(f"only intervals can be tiled; longer sequences of {path} are covered with windows anyway")
    if kind == "fasta":
        return _fasta(path, window, step)
    if kind == "dataset":
        return _dataset(path, window)
    return _table(path, window, step)


def guess_format(path: Path) -> Format:
    """Return the format of a file by its name or how it begins; InputError where it holds variants, or is binary."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".bgz")]
    suffix = suffixes[-1] if suffixes else ""
    with open_bytes(path) as handle:
        begin = handle.read(_BEGIN_BYTES)
    if begin.startswith(_VCF_MAGIC) or suffix in (".vcf", ".bcf"):
        raise InputError(f"{path} holds variants; score them with: tfbs-moe variants MODEL {path} --genome FASTA")
    by_name = _BY_SUFFIX.get(suffix)
    if by_name not in (None, "table"):
        return by_name
    if begin.startswith(_HDF5_MAGIC):
        return "dataset"
    if b"\0" in begin:
        raise InputError(f"{path} is binary; text (FASTA, peaks, a table), plain or gzip, was expected")
    if begin.removeprefix(codecs.BOM_UTF8).startswith(b">"):
        return "fasta"
    return "intervals" if holds_peaks(begin) else "table"


def tile_starts(length: int, window: int, step: int) -> np.ndarray:
    """Return the starts, int64, of windows that cover ``length`` bases: at every step, and one that ends with them.

    A sequence shorter than the window gets one, centred on it.
    """
    if length <= window:
        return np.array([(length - window) // 2], dtype=np.int64)
    starts = np.arange(0, length - window + 1, step, dtype=np.int64)
    last = length - window
    return starts if starts[-1] == last else np.append(starts, last)


class _Gathering:
    """Regroups windows into blocks of one size, so that what a model sees does not depend on the file's layout."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._parts: list[Windows] = []
        self._rows = 0

    def add(self, part: Windows) -> Iterator[Windows]:
        self._parts.append(part)
        self._rows += len(part)
        if self._rows >= BLOCK_ROWS:
            whole = self._joined()
            full = self._rows // BLOCK_ROWS * BLOCK_ROWS
            for first in range(0, full, BLOCK_ROWS):
                yield whole.rows(slice(first, first + BLOCK_ROWS))
            self._parts, self._rows = [whole.rows(slice(full, None))], self._rows - full

    def rest(self) -> Iterator[Windows]:
        if self._rows:
            yield self._joined()

    def _joined(self) -> Windows:
        names = ("codes", "record", "name", "chrom", "start")
        if len(self._parts) == 1:
            return self._parts[0]
        return Windows(**{name: np.concatenate([getattr(part, name) for part in self._parts]) for name in names})


def _gathered(parts: Iterable[Windows], window: int) -> Iterator[Windows]:
    gathering = _Gathering(window)
    for part in parts:
        yield from gathering.add(part)
    yield from gathering.rest()


def _repeated(text: str, count: int) -> np.ndarray:
    return np.full(count, text, dtype=object)


def _of_sequences(
    batches: Iterable[tuple[list[str], list[np.ndarray] | np.ndarray]],
    window: int,
    step: int,
    notes: dict[str, int],
    placed: bool,
) -> Iterator[Windows]:
    """Yield the windows of batches of sequences (names, and the codes of each)."""
    record = 0
    for names, sequences in batches:
        if isinstance(sequences, np.ndarray) and sequences.shape[1] == window:
            count = len(names)
            all_names = np.array(names, dtype=object)
            chrom = all_names if placed else _repeated("", count)
            yield Windows(sequences, np.arange(record, record + count), all_names, chrom, np.zeros(count, np.int64))
            record += count
            continue
        for name, codes in zip(names, sequences, strict=True):
            starts = tile_starts(len(codes), window, step)
            short = len(codes) < window
            notes[_SHORT] += short
            # A chromosome has millions of windows.
            for first in range(0, len(starts), BLOCK_ROWS):
                some = starts[first : first + BLOCK_ROWS]
                found, some = _with_bases(padded_windows(codes, some, window), some, len(starts) > 1, notes)
                yield Windows(
                    found,
                    np.full(len(some), record, np.int64),
                    _repeated(name, len(some)),
                    _repeated(name if placed else "", len(some)),
                    some,
                )
            record += 1


def _with_bases(
    codes: np.ndarray, start: np.ndarray, several: bool, notes: dict[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Drop windows of only unknown bases (gaps of a genome), where a sequence has several windows."""
    known = (codes != UNKNOWN).any(axis=1)
    if known.all() or not several:
        return codes, start
    notes[_EMPTY] += int((~known).sum())
    return codes[known], start[known]


def _new_notes() -> dict[str, int]:
    return {_SHORT: 0, _EMPTY: 0}


def _fasta(path: Path, window: int, step: int) -> Source:
    notes = _new_notes()

    def batches() -> Iterator[tuple[list[str], list[np.ndarray] | np.ndarray]]:
        names: list[str] = []
        codes: list[np.ndarray] = []
        for name, one in read_fasta(path):
            if len(one) != window:
                if names:
                    yield names, np.stack(codes)
                    names, codes = [], []
                yield [name], [one]
                continue
            names.append(name)
            codes.append(one)
            if len(names) == BLOCK_ROWS:
                yield names, np.stack(codes)
                names, codes = [], []
        if names:
            yield names, np.stack(codes)

    return Source(
        lambda: _gathered(_of_sequences(batches(), window, step, notes, True), window),
        sizes=lambda: {name: len(codes) for name, codes in read_fasta(path)},
        step=step,
        notes=notes,
    )


def _table(path: Path, window: int, step: int) -> Source:
    notes = _new_notes()

    def parts() -> Iterator[Windows]:
        return _of_sequences(read_sequences(path), window, step, notes, False)

    return Source(lambda: _gathered(parts(), window), step=step, notes=notes)


def _dataset(path: Path, window: int) -> Source:
    dataset = read_dataset(path)
    if dataset.length != window:
        raise InputError(f"{path} holds sequences of {dataset.length} bases; the model takes {window}")
    chrom = np.asarray(dataset.chrom, dtype=object)
    places = zip(chrom, dataset.start, strict=True)
    name = np.array([f"{one}:{start}" if one else f"row{row}" for row, (one, start) in enumerate(places)], dtype=object)
    # Positions count along the forward strand, so windows are on it.
    turned = (dataset.strand == "-")[:, None, None]
    whole = Windows(
        codes_from_one_hot(np.where(turned, reverse_complement(dataset.one_hot), dataset.one_hot)),
        np.arange(len(dataset), dtype=np.int64),
        name,
        chrom,
        np.asarray(dataset.start, dtype=np.int64),
    )
    return Source(lambda: _gathered([whole], window), total=len(dataset))


def _intervals(path: Path, genome: Genome, window: int, step: int, tile: bool) -> Source:
    peaks, counts = read_peaks(path)
    table = counts.table()
    lost = table[table["rows_out"] < table["rows_in"]]
    notes = dict(zip(lost["reason"], (lost["rows_in"] - lost["rows_out"]).astype(int), strict=True))
    known = peaks["chrom"].isin(list(genome.sizes)).to_numpy()
    if not known.any():
        odd = ", ".join(sorted(set(peaks["chrom"]))[:3])
        raise InputError(
            f"{path}: no interval lies on a chromosome of {genome.path}; it names {odd}. Is this the right assembly?"
        )
    notes |= _new_notes() | {_BEYOND: 0, "on a chromosome that the genome lacks": int((~known).sum())}
    peaks = peaks[known].reset_index(drop=True)
    return Source(
        lambda: _gathered(_cut_intervals(peaks, genome, window, step if tile else None, notes), window),
        total=None if tile else len(peaks),
        sizes=lambda: genome.sizes,
        step=step if tile else 0,
        notes=notes,
    )


def _cut_intervals(
    peaks: pd.DataFrame, genome: Genome, window: int, step: int | None, notes: dict[str, int]
) -> Iterator[Windows]:
    """Yield windows around summits, or at every ``step`` of each interval."""
    columns = (peaks[name] for name in ("chrom", "start", "end", "summit", "name"))
    for row, (chrom, start, end, summit, name) in enumerate(zip(*columns, strict=True)):
        around = window_start(np.array([summit]), window)
        starts = around if step is None else start + tile_starts(end - start, window, step)
        on = (starts < genome.sizes[chrom]) & (starts + window > 0)
        notes[_BEYOND] += int((~on).sum())
        starts = starts[on]
        label = name if isinstance(name, str) and name not in ("", ".") else f"{chrom}:{start}-{end}"
        # An interval may be a whole chromosome.
        for first in range(0, len(starts), BLOCK_ROWS):
            some = starts[first : first + BLOCK_ROWS]
            codes, some = _with_bases(genome.padded(chrom, some, window), some, len(starts) > 1, notes)
            yield Windows(
                codes,
                np.full(len(some), row, np.int64),
                _repeated(label, len(some)),
                _repeated(chrom, len(some)),
                some,
            )
