"""Scores to files, block by block: TSV, BED, Parquet and bigWig, whole or not at all."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from tfbs_moe.errors import InputError
from tfbs_moe.tables import atomic

STANDARD_OUTPUT = "-"
FORMATS = (".tsv", ".tsv.gz", ".bed", ".bed.gz", ".parquet", ".bw")
# A BED score is a whole number up to this.
_BED_SCORE = 1000
_UNSAFE = r'["\t\r\n]'
_BED_COLUMNS = ("chrom", "start", "end", "name", "score", "strand")


class Sink(ABC):
    """Takes tables of one kind, one after the other."""

    @abstractmethod
    def write(self, table: pd.DataFrame) -> None:
        """Write the rows of a table; all tables have the same columns."""

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
    """Open a file for tables of scores; it gets its name when all of it is written.

    Args:
        path: its suffix says the format; ``-`` is TSV on the standard output.
        placed: whether rows have a place, as BED wants.
        sizes: gives the lengths of the chromosomes, which bigWig wants.
        tiled: bases from one window to the next, as bigWig wants.
        value: the column that bigWig shows.

    Raises:
        InputError: a suffix that is no format, or a format that does not fit the rows.
    """
    if str(path) == STANDARD_OUTPUT:
        stream = pa.PythonFile(sys.stdout.buffer, mode="w")
        yield _Text(stream, header=True)
        # It is not ours to close.
        stream.flush()
        return
    path = Path(path)
    kind = next((suffix for suffix in sorted(FORMATS, key=len, reverse=True) if path.name.endswith(suffix)), None)
    if kind is None:
        raise InputError(f"{path}: the name must end with one of {', '.join(FORMATS)}, which says the format")
    if kind.startswith(".bed") and not placed:
        raise InputError(f"{path}: these sequences have no place on a genome, which BED needs; write .tsv or .parquet")
    lengths = sizes() if sizes and kind == ".bw" and tiled else {}
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
            sink = _Bed(sink) if kind.startswith(".bed") else sink
        # A sink is closed before its file is renamed, and also when something went wrong.
        stack.callback(sink.close)
        yield sink


class _Text(Sink):
    """Tab-separated text; floats as few digits as tell them apart."""

    def __init__(self, stream: pa.NativeFile, header: bool) -> None:
        self._stream, self._header = stream, header

    def write(self, table: pd.DataFrame) -> None:
        if self._header:
            # pyarrow would quote the titles.
            self._stream.write(("\t".join(table.columns) + "\n").encode())
        options = pyarrow.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
        pyarrow.csv.write_csv(_plain(pa.Table.from_pandas(table, preserve_index=False)), self._stream, options)
        self._header = False

    def close(self) -> None:
        self._stream.flush()
        self._stream.close()


def _plain(table: pa.Table) -> pa.Table:
    """Replace what would break a line of text in names by an underscore."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            safe = pyarrow.compute.replace_substring_regex(table.column(place), pattern=_UNSAFE, replacement="_")
            table = table.set_column(place, field.name, safe)
    return table


class _Bed(Sink):
    """BED6 and the other columns behind; the score is the probability in thousandths."""

    def __init__(self, text: Sink) -> None:
        self._text = text

    def write(self, table: pd.DataFrame) -> None:
        bed = table.assign(
            start=table["start"].clip(lower=0),
            score=(table["probability"] * _BED_SCORE).round().astype(np.int64),
            strand=".",
        )
        rest = [name for name in table.columns if name not in _BED_COLUMNS]
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
            self._writer = pyarrow.parquet.ParquetWriter(self._path, rows.schema, compression="zstd")
        self._writer.write_table(rows)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _BigWig(Sink):
    """The value of each window, at the ``tiled`` bases in its middle."""

    def __init__(self, path: Path, sizes: Mapping[str, int], tiled: int, value: str) -> None:
        # It compiles with numba, which takes seconds; only those who write bigWig pay for it.
        from figwig import BigWigWriter

        self._value = value
        self._writer = BigWigWriter(path, dict(sizes), n_jobs=1)
        self._sizes = sizes
        self._order = {name: place for place, name in enumerate(sizes)}
        self._tiled = tiled
        self._end: tuple[int, int] = (-1, 0)

    def write(self, table: pd.DataFrame) -> None:
        middle = (table["start"] + table["end"]) // 2
        place = table["chrom"].map(self._order)
        starts = (middle - self._tiled // 2).clip(lower=0)
        ends = (middle - self._tiled // 2 + self._tiled).clip(upper=table["chrom"].map(self._sizes))
        number, start, end = (column.to_numpy(np.int64) for column in (place, starts, ends))
        before = np.r_[self._end[0], number[:-1]], np.r_[self._end[1], end[:-1]]
        # The last window of a stretch ends with it and may lie closer to the one before.
        same = before[0] == number
        if (number < before[0]).any() or (same & (end <= before[1])).any():
            row = int(np.flatnonzero((number < before[0]) | (same & (end <= before[1])))[0])
            raise InputError(
                f"bigWig wants windows in the order of the genome, and none twice; {table['chrom'].iloc[row]}:"
                f"{table['start'].iloc[row]} comes after another that lies behind it. Sort and merge the intervals "
                "(bedtools sort -g, bedtools merge), or write .bed"
            )
        start = np.where(same, np.maximum(start, before[1]), start)
        self._writer.write(
            table["chrom"].to_numpy().astype(str), start, table[self._value].to_numpy(np.float64), ends=end,
            missing=np.nan,
        )  # fmt: skip
        self._end = int(number[-1]), int(end[-1])

    def close(self) -> None:
        self._writer.close()
