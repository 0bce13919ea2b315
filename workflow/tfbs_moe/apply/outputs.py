"""Scores to files, block by block: TSV, BED, Parquet and bigWig, written completely or not at all."""

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from tfbs_moe.errors import InputError
from tfbs_moe.files import atomic

STANDARD_OUTPUT = "-"
FORMATS = (".tsv", ".tsv.gz", ".bed", ".bed.gz", ".parquet", ".bw")
# Highest score in BED, an integer.
_BED_SCORE = 1000
# Also those that a terminal would obey.
_UNSAFE = r'["\x00-\x1f\x7f-\x9f]'
_UNSAFE_RE2 = r'["\x00-\x1f\x7f\x{80}-\x{9f}]'
_UNPLACED = "BED needs genomic coordinates, which these sequences lack; write .tsv or .parquet"
_BED_COLUMNS = ("chrom", "start", "end", "name", "score", "strand")


class Sink(ABC):
    """Writes tables with the same columns, one after another."""

    @abstractmethod
    def write(self, table: pd.DataFrame) -> None:
        """Append the rows of a table."""

    @abstractmethod
    def close(self) -> None:
        """Finish the file."""


@contextmanager
def open_sink(
    path: str | Path,
    *,
    placed: bool = True,
    sizes: Callable[[], Mapping[str, int]] | None = None,
    tiled: int = 0,
    value: str = "probability",
) -> Iterator[Sink]:
    """Open a file for tables of scores; it gets its name once it is complete.

    Args:
        path: its suffix gives the format (``FORMATS``); ``-`` is TSV on standard output.
        placed: whether rows have coordinates, as BED needs.
        sizes: returns the lengths of the chromosomes, for bigWig and to clip BED.
        tiled: bases from one window to the next, for bigWig.
        value: the column for bigWig.

    Raises:
        InputError: unknown suffix, or a format that does not fit the rows.
    """
    if str(path) == STANDARD_OUTPUT:
        stream = pa.PythonFile(sys.stdout.buffer, mode="w")
        yield _Text(stream, header=True)
        # Standard output stays open.
        stream.flush()
        sys.stdout.buffer.flush()
        return
    path, kind = Path(path), output_format(path)
    if kind.startswith(".bed") and not placed:
        raise InputError(f"{path}: {_UNPLACED}")
    lengths = sizes() if sizes and (kind.startswith(".bed") or (kind == ".bw" and tiled)) else {}
    if kind == ".bw" and not lengths:
        raise InputError(
            f"{path}: bigWig needs windows that tile a genome: give a FASTA of chromosomes, or intervals with --genome "
            "and --tile; or write .bed, .tsv or .parquet"
        )
    with ExitStack() as stack:
        temporary = stack.enter_context(atomic(path))
        if kind == ".parquet":
            sink: Sink = _Parquet(temporary)
        elif kind == ".bw":
            sink = _BigWig(temporary, lengths, tiled, value)
        else:
            compression = "gzip" if kind.endswith(".gz") else None
            sink = _Text(pa.output_stream(str(temporary), compression), header=kind.startswith(".tsv"))
            sink = _Bed(sink, lengths, path) if kind.startswith(".bed") else sink
        # The sink is closed before its file is renamed, and after an error.
        stack.callback(sink.close)
        yield sink


def output_format(path: str | Path, formats: Sequence[str] = FORMATS) -> str:
    """Return which suffix of ``formats`` a file's name ends with; InputError where it is none of them."""
    found = [suffix for suffix in formats if Path(path).name.endswith(suffix)]
    if not found:
        raise InputError(f"{path}: the name must end with one of {', '.join(formats)}, which sets the format")
    return max(found, key=len)


class _Text(Sink):
    """Tab-separated text; floats have as few digits as identify them."""

    def __init__(self, stream: pa.NativeFile, header: bool) -> None:
        self._stream, self._header = stream, header

    def write(self, table: pd.DataFrame) -> None:
        if self._header:
            # pyarrow would quote the header.
            self._stream.write(("\t".join(re.sub(_UNSAFE, "_", name) for name in table.columns) + "\n").encode())
        options = pyarrow.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
        pyarrow.csv.write_csv(_plain(pa.Table.from_pandas(table, preserve_index=False)), self._stream, options)
        self._header = False

    def close(self) -> None:
        self._stream.flush()
        self._stream.close()


def _plain(table: pa.Table) -> pa.Table:
    """Replace characters in names that would break a line of text by an underscore."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            safe = pyarrow.compute.replace_substring_regex(table.column(place), pattern=_UNSAFE_RE2, replacement="_")
            table = table.set_column(place, field.name, safe)
    return table


class _Bed(Sink):
    """BED6 followed by the other columns, clipped to the chromosome; the score is the probability in thousandths."""

    def __init__(self, text: Sink, sizes: Mapping[str, int], path: Path) -> None:
        self._text, self._sizes, self._path = text, sizes, path

    def write(self, table: pd.DataFrame) -> None:
        # Of a dataset, some rows may have coordinates and later ones none.
        if (table["chrom"] == "").any():
            raise InputError(f"{self._path}: {_UNPLACED}")
        bed = table.assign(
            start=table["start"].clip(lower=0),
            end=np.fmin(table["end"], table["chrom"].map(self._sizes)).astype(np.int64),
            score=(table["probability"] * _BED_SCORE).round().astype(np.int64),
            strand=".",
        )
        rest = [name for name in table.columns if name not in (*_BED_COLUMNS, "status")]
        self._text.write(bed[[*_BED_COLUMNS, *rest]])

    def close(self) -> None:
        self._text.close()


class _Parquet(Sink):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pyarrow.parquet.ParquetWriter | None = None

    def write(self, table: pd.DataFrame) -> None:
        rows = pa.Table.from_pandas(table, preserve_index=False)
        if self._writer is None:
            # A column of text of which the first rows have none would have no type.
            kinds = [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in rows.schema]
            self._writer = pyarrow.parquet.ParquetWriter(self._path, pa.schema(kinds), compression="zstd")
        self._writer.write_table(rows.cast(self._writer.schema))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class Middles:
    """Assigns each base of a genome to the window in whose middle it lies, of windows that tile it."""

    def __init__(self, sizes: Mapping[str, int], step: int) -> None:
        self._sizes = sizes
        self._order = {name: place for place, name in enumerate(sizes)}
        self._step = step
        # Chromosome, start and end of the previous window.
        self._before = (-1, 0, 0)

    def of(self, chrom: np.ndarray, start: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the first base and the end (exclusive), int64 (N,) each, of what the next windows represent.

        The last window of a region ends with it and may lie closer to the previous one, which keeps its bases; where
        none is left, both numbers are equal. Nothing reaches beyond a chromosome's end; ``start``, 0-based, may be
        negative. InputError where windows are not in the order of the genome.
        """
        number = np.array([self._order[name] for name in chrom], dtype=np.int64)
        size = np.array([self._sizes[name] for name in chrom], dtype=np.int64)
        # With a step above their length windows leave bases between them that none of them holds.
        width = min(self._step, length)
        first = np.asarray(start, np.int64) + length // 2 - width // 2
        end = np.minimum(first + width, size)
        whole = zip(self._before, (number, start, end), strict=True)
        number_before, start_before, end_before = (np.r_[one, each][:-1] for one, each in whole)
        same = number_before == number
        wrong = np.flatnonzero((number < number_before) | (same & (start <= start_before)))
        if len(wrong):
            raise InputError(
                f"bigWig needs windows in genomic order, each once; {chrom[wrong[0]]}:{start[wrong[0]]} "
                "follows one that lies at or after it. Sort and merge the intervals (bedtools sort -g, bedtools "
                "merge), or write .bed"
            )
        if len(number):
            self._before = int(number[-1]), int(start[-1]), int(end[-1])
        first = np.maximum(first, np.where(same, end_before, 0))
        return first, np.maximum(first, end)


class _BigWig(Sink):
    """The value of each window, at the ``tiled`` bases in its middle."""

    def __init__(self, path: Path, sizes: Mapping[str, int], tiled: int, value: str) -> None:
        # It compiles with numba, which takes seconds, so only bigWig imports it.
        from figwig import BigWigWriter

        self._value = value
        self._writer = BigWigWriter(path, dict(sizes), n_jobs=1)
        self._middles = Middles(sizes, tiled)

    def write(self, table: pd.DataFrame) -> None:
        chrom, starts = table["chrom"].to_numpy(), table["start"].to_numpy(np.int64)
        start, end = self._middles.of(chrom, starts, int((table["end"] - table["start"]).max()) if len(table) else 0)
        shown = end > start
        values = table[self._value].to_numpy(np.float64)[shown]
        self._writer.write(chrom[shown].astype(str), start[shown], values, ends=end[shown], missing=np.nan)

    def close(self) -> None:
        self._writer.close()
