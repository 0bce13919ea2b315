"""Windows of one length, a block at a time, from the usual file formats.

Bases beyond the end of a sequence are unknown (N): a sequence shorter than a window is centred in it. A longer one is
covered by windows at every step, and by a last one that ends with it.
"""

import codecs
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from tfbs_moe.apply.input_tables import read_sequences
from tfbs_moe.data.assembly_check import in_genome_names
from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.data.peaks import holds_peaks, read_peaks
from tfbs_moe.data.windows import window_start
from tfbs_moe.errors import InputError
from tfbs_moe.files import check_is_file, open_bytes
from tfbs_moe.genome.assemblies import NameMatcher, name_matcher, translation
from tfbs_moe.genome.fasta import read_fasta
from tfbs_moe.genome.genome import Genome, padded_windows
from tfbs_moe.sequence import UNKNOWN, codes_from_one_hot, reverse_complement

log = logging.getLogger(__name__)

# Windows per block; a multiple of a model's batch.
BLOCK_ROWS = 16384

_SHORT = "shorter than a window, with unknown bases on both sides"
_VCF_MAGIC = b"##fileformat=VCF"
_HDF5_MAGIC = b"\x89HDF"
_BEGIN_BYTES = 1 << 16
_EMPTY = "windows left out that hold only unknown bases"
_LEFT_OUT_BEYOND = "windows left out that lie beyond the end of the chromosome"
_LACKING = "intervals left out, on a chromosome that the genome lacks"
_NO_SUMMIT = "intervals without a summit: the window is around their middle"

# Status of a window, or of an allele.
SCORED = "scored"
ONLY_UNKNOWN = "only unknown bases"
NO_CHROMOSOME = "chromosome not in the genome"
BEYOND = "beyond the end of the chromosome"

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
        status: (N,), ``SCORED``, or why a window has no known base.
    """

    codes: np.ndarray
    record: np.ndarray
    name: np.ndarray
    chrom: np.ndarray
    start: np.ndarray
    status: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def rows(self, rows: slice | np.ndarray) -> "Windows":
        """Return a slice of the windows, or those of a mask."""
        return Windows(**{name: getattr(self, name)[rows] for name in _COLUMNS})


_COLUMNS = tuple(each.name for each in fields(Windows))


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
    merge: bool = False,
    chromosome_names: str | Path | None = None,
    rna: bool = False,
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
        merge: with ``tile``, sort the intervals as the genome is and merge those that overlap, as bigWig needs.
        chromosome_names: how intervals name chromosomes, see ``genome.assemblies.name_matcher``.
        rna: read U as T in FASTA and tables.

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
        peaks = _Peaks(path, Genome.open(genome), name_matcher(chromosome_names))
        return _tiled(peaks, window, step, merge) if tile else _around_summits(peaks, window)
    if tile:
        raise InputError(f"only intervals can be tiled; longer sequences of {path} are covered with windows anyway")
    if chromosome_names is not None:
        raise InputError(f"{path} holds sequences itself: there are no chromosome names to look up in a genome")
    if kind == "fasta":
        return _fasta(path, window, step, rna)
    if kind == "dataset":
        return _dataset(path, window)
    return _table(path, window, step, rna)


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
    if begin.startswith(b"@") and begin.split(b"\n", 3)[2:3] and begin.split(b"\n", 3)[2].startswith(b"+"):
        raise InputError(f"{path} is FASTQ, which holds reads; FASTA of them is read: seqtk seq -A {path}")
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


def tile_count(length: int, window: int, step: int) -> int:
    """Return the number of ``tile_starts``."""
    steps, rest = divmod(max(0, length - window), step)
    return steps + 1 + (rest > 0)


def _gathered(parts: Iterable[Windows]) -> Iterator[Windows]:
    """Regroup windows into blocks of one size, so that what a model sees does not depend on the file's layout."""
    waiting: list[Windows] = []
    rows = 0
    for part in parts:
        waiting.append(part)
        rows += len(part)
        if rows >= BLOCK_ROWS:
            whole = _joined(waiting)
            full = rows // BLOCK_ROWS * BLOCK_ROWS
            for first in range(0, full, BLOCK_ROWS):
                yield whole.rows(slice(first, first + BLOCK_ROWS))
            waiting, rows = [whole.rows(slice(full, None))], rows - full
    if rows:
        yield _joined(waiting)


def _joined(parts: list[Windows]) -> Windows:
    if len(parts) == 1:
        return parts[0]
    return Windows(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS})


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
            numbers, starts = np.arange(record, record + count), np.zeros(count, np.int64)
            yield Windows(sequences, numbers, all_names, chrom, starts, _counted(sequences, notes))
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
                    _counted(found, notes),
                )
            record += 1


def _counted(codes: np.ndarray, notes: dict[str, int], why: str | np.ndarray = ONLY_UNKNOWN) -> np.ndarray:
    """Return the status of windows (N, L), which is ``why``, of all or (N,), without a known base; count these."""
    status = np.where((codes != UNKNOWN).any(axis=1), SCORED, why).astype(object)
    for reason, number in Counter(status[status != SCORED]).items():
        notes[reason] += number
    return status


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
    return {_SHORT: 0, _EMPTY: 0, ONLY_UNKNOWN: 0}


def _fasta(path: Path, window: int, step: int, rna: bool) -> Source:
    notes = _new_notes()

    def batches() -> Iterator[tuple[list[str], list[np.ndarray] | np.ndarray]]:
        names: list[str] = []
        codes: list[np.ndarray] = []
        for name, one in read_fasta(path, rna=rna):
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
        lambda: _gathered(_of_sequences(batches(), window, step, notes, True)),
        sizes=lambda: {name: len(codes) for name, codes in read_fasta(path, rna=rna)},
        step=step,
        notes=notes,
    )


def _table(path: Path, window: int, step: int, rna: bool) -> Source:
    notes = _new_notes()

    def parts() -> Iterator[Windows]:
        return _of_sequences(read_sequences(path, rna=rna), window, step, notes, False)

    return Source(lambda: _gathered(parts()), step=step, notes=notes)


def _dataset(path: Path, window: int) -> Source:
    dataset = read_dataset(path)
    if dataset.length != window:
        raise InputError(f"{path} holds sequences of {dataset.length} bases; the model takes {window}")
    chrom = np.asarray(dataset.chrom, dtype=object)
    places = zip(chrom, dataset.start, strict=True)
    name = np.array([f"{one}:{start}" if one else f"row{row}" for row, (one, start) in enumerate(places)], dtype=object)
    # Positions count along the forward strand, so windows are on it.
    turned = (dataset.strand == "-")[:, None, None]
    notes = _new_notes()
    codes = codes_from_one_hot(np.where(turned, reverse_complement(dataset.one_hot), dataset.one_hot))
    whole = Windows(
        codes,
        np.arange(len(dataset), dtype=np.int64),
        name,
        chrom,
        # As in a table of sequences, where a row has no position.
        np.where(chrom == "", 0, dataset.start).astype(np.int64),
        _counted(codes, notes),
    )
    return Source(lambda: _gathered([whole]), total=len(dataset), notes=notes)


class _Peaks:
    """The intervals of a file, on a genome.

    Attributes:
        table: see ``data.peaks``; chromosomes have the names that the genome gives them.
        placed: bool (N,): which lie on a chromosome of the genome.
        genome: the genome.
        notes: the rows that were lost, by reason.
    """

    def __init__(self, path: Path, genome: Genome, matcher: NameMatcher) -> None:
        peaks, counts = read_peaks(path)
        table = counts.table()
        lost = table[table["rows_out"] < table["rows_in"]]
        self.notes = dict(zip(lost["reason"], (lost["rows_in"] - lost["rows_out"]).astype(int), strict=True))
        self.notes |= _new_notes()
        self.table = in_genome_names(peaks, genome, matcher=matcher)
        self.placed = self.table["chrom"].isin(list(genome.sizes)).to_numpy()
        self.genome = genome
        if not self.placed.all():
            absent = list(pd.unique(self.table["chrom"][~self.placed]))
            message = lacking_chromosomes(f"{(~self.placed).sum()} of {len(peaks)} intervals of {path}", absent, genome)
            if not self.placed.any():
                raise InputError(message)
            log.warning(message)


def lacking_chromosomes(what: str, absent: Sequence[str], genome: Genome) -> str:
    """Say that a genome lacks the chromosomes of something, with the names on both sides and the remedy."""
    here, there = (", ".join(list(names)[:3]) for names in (absent, genome.sizes))
    names = translation(absent, genome.sizes)
    remedy = (
        "--chromosome-names auto reads {} as {}".format(*next(iter(names.items())))
        if names
        else "is it the right assembly? A table of names may help, --chromosome-names FILE"
    )
    return f"{genome.path} lacks the chromosomes of {what}: they name {here}, it has {there}; {remedy}"


def _around_summits(peaks: _Peaks, window: int) -> Source:
    """Return one window for each interval, also where there is no sequence for it."""
    table, genome = peaks.table, peaks.genome
    notes = peaks.notes | {BEYOND: 0, NO_CHROMOSOME: 0, _NO_SUMMIT: int((~table["summit_known"]).sum())}
    chrom = table["chrom"].to_numpy(dtype=object)
    start = window_start(table["summit"].to_numpy(np.int64), window)
    size = table["chrom"].map(genome.sizes).fillna(0).to_numpy(np.int64)
    on = peaks.placed & (start > -window) & (start < size)
    why = np.where(peaks.placed, np.where(on, ONLY_UNKNOWN, BEYOND), NO_CHROMOSOME)
    places = zip(*(table[name] for name in ("name", "chrom", "start", "end")), strict=True)
    label = np.array([_label(*place) for place in places], dtype=object)

    def blocks() -> Iterator[Windows]:
        for first in range(0, len(table), BLOCK_ROWS):
            rows = np.arange(first, min(first + BLOCK_ROWS, len(table)))
            codes = np.full((len(rows), window), UNKNOWN, dtype=np.uint8)
            known = rows[on[rows]]
            for name, places in pd.Series(known).groupby(chrom[known]).indices.items():
                here = known[places]
                codes[here - first] = genome.padded(str(name), start[here], window)
            status = _counted(codes, notes, why[rows])
            yield Windows(codes, rows, label[rows], chrom[rows], start[rows], status)

    return Source(blocks, total=len(table), sizes=lambda: genome.sizes, notes=notes)


def _tiled(peaks: _Peaks, window: int, step: int, merge: bool) -> Source:
    """Return windows at every step of each interval."""
    genome = peaks.genome
    table = peaks.table[peaks.placed].reset_index(drop=True)
    table = _merged(table, genome) if merge else table
    notes = peaks.notes | {_LEFT_OUT_BEYOND: 0, _LACKING: int((~peaks.placed).sum())}

    def parts() -> Iterator[Windows]:
        columns = (table[name] for name in ("chrom", "start", "end", "name"))
        for row, (chrom, start, end, name) in enumerate(zip(*columns, strict=True)):
            # Its end may be far beyond that of the chromosome, where windows are only counted.
            size, count = genome.sizes[chrom], tile_count(end - start, window, step)
            starts = np.arange(start, size, step) if end > size + window and count > 1 else None
            starts = start + tile_starts(end - start, window, step) if starts is None else starts
            starts = starts[(starts < size) & (starts + window > 0)]
            notes[_LEFT_OUT_BEYOND] += count - len(starts)
            label = _label(name, chrom, start, end)
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
                    _counted(codes, notes),
                )

    return Source(lambda: _gathered(parts()), sizes=lambda: genome.sizes, step=step, notes=notes)


def _merged(table: pd.DataFrame, genome: Genome) -> pd.DataFrame:
    """Return intervals in the order of the genome, those that overlap or touch as one, without names."""
    order = table["chrom"].map({name: number for number, name in enumerate(genome.sizes)})
    table = table.assign(order=order).sort_values(["order", "start"])
    reach = table.groupby("order")["end"].cummax().groupby(table["order"]).shift(fill_value=-1)
    joined = table.groupby((table["start"] > reach).cumsum(), sort=True)
    return joined.agg(chrom=("chrom", "first"), start=("start", "min"), end=("end", "max")).assign(name=".")


def _label(name: object, chrom: str, start: int, end: int) -> str:
    return name if isinstance(name, str) and name not in ("", ".") else f"{chrom}:{start}-{end}"
