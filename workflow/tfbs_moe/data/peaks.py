"""Reading peak files: narrowPeak, broadPeak, BED with 3 columns or more, and what ``peak_formats`` knows.

Odd rows are corrected by a rule or excluded, and counted either way; a file that cannot be trusted as a whole is an
InputError.

Columns of a peak table, throughout this package: ``chrom``; ``start`` (0-based) and ``end`` (exclusive); ``name``;
``score``; ``strand``; ``signal``, ``p`` and ``q`` (as in the file, -log10 in narrowPeak; missing where it has none);
``summit`` (0-based, absolute; the midpoint where the file has none) and ``summit_known``.
"""

import logging
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from tfbs_moe.data.counts import Counts
from tfbs_moe.data.peak_formats import as_narrow_peaks
from tfbs_moe.errors import InputError
from tfbs_moe.files import open_bytes, read_whole

log = logging.getLogger(__name__)

COLUMNS = ("chrom", "start", "end", "name", "score", "strand", "signal", "p", "q", "summit", "summit_known")
# With a larger fraction of unusable rows, a file is of another format.
MAX_UNUSABLE = 0.5
MAX_COORDINATE = 2**40

_BED_COLUMNS = 6
_BROAD_COLUMNS = 9
# BED12 holds blocks, not a summit, in its tenth column.
_BLOCK_COLUMNS = 12
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_BLANK = re.compile(r"[^\S\t\n]")
_MAX_NUMBER_LENGTH = 40
# Columns of numbers, one per line, that need no parsing field by field; a float holds 15 digits exactly.
_PLAIN_WHOLE = re.compile(r"(\d{1,15}\n)*", re.ASCII)
_PLAIN = re.compile(r"([+-]?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,2})?\n)*", re.ASCII)
_MISSING = frozenset({".", "", "NA", "nan", "NaN"})
_INFINITE = {"inf": math.inf, "Inf": math.inf, "-inf": -math.inf, "-Inf": -math.inf}
_HEADER = re.compile(r"(track|browser)(\s|$)|#")
# What Arrow reads as a number but this module may not: hexadecimals, forty digits and more.
_ODD = (b"\0", b"\t0x", b"\t0X", b"0" * (_MAX_NUMBER_LENGTH - 1))
_ODD_BLANKS = b" \r\v\f\x1c\x1d\x1e\x1f"
_NARROW_TYPES = dict.fromkeys(("chrom", "name", "strand"), pa.string())
_NARROW_TYPES |= dict.fromkeys(("start", "end", "offset"), pa.int64())
_NARROW_TYPES |= dict.fromkeys(("score", "signal", "p", "q"), pa.float64())
_NARROW = ("chrom", "start", "end", "name", "score", "strand", "signal", "p", "q", "offset")
# Of the first column; HOMER's annotatePeaks adds its command to "PeakID".
_COLUMN_TITLES = re.compile(r"#?(chrom|chr|seqnames?|chromosome|geneid|position|peakid( .*)?)", re.IGNORECASE)
# Rows looked at to tell what a file holds.
_LOOKED_AT = 100
_SEQUENCE = re.compile(r"[ACGTUN]{10,}", re.IGNORECASE)
_STRENGTHS = ("signal", "p", "q", "score")
_OFFSET = "offset"
_UNKNOWN_OFFSET = -1
_NOT_AVAILABLE = -1.0
_SHOWN = 80

_WRONG_WIDTH = "another number of columns than most rows"
_TOO_NARROW = "fewer than 3 columns"
_NO_NUMBER = "start or end is not a whole number"
_NEGATIVE = "start below 0"
_NOT_BEFORE = "start not below end"
_TOO_FAR = "end beyond any chromosome"
_NO_NAME = "no chromosome name"
_BAD_STRENGTH = "score, signal, p or q is not a number"
_BAD_SUMMIT = "summit is not a whole number"


@dataclass(frozen=True)
class _Fault:
    line: int
    reason: str
    shown: str

    def __str__(self) -> str:
        return f"{self.line}: {self.shown!r} is not a peak ({self.reason})"


@dataclass(frozen=True, eq=False)
class _Parsed:
    """Usable rows with the offsets of their summits, faults, and the numbers of data rows and of lines."""

    table: pd.DataFrame
    faults: list[_Fault]
    rows: int
    lines: int


def read_peaks(path: str | Path) -> tuple[pd.DataFrame, Counts]:
    """Read a peak file (plain, gzip or bgzip; separated by tabs, or by blanks where there are none), counting its rows.

    Rules, all counted: a summit of -1 or ``.``, or one outside the peak, becomes the midpoint; one on the peak's end
    (offset equal to its width) becomes the last base; of rows with the same interval and summit the strongest stays;
    comments, ``track`` and ``browser`` lines, column titles and blank lines are skipped. Raises InputError, naming the
    first wrong line, where the file is missing, damaged, empty, binary or of another format (such as more than half of
    its rows unusable).
    """
    path = Path(path)
    parsed = _parse(path)
    counts = Counts()
    counts.begin("read", parsed.lines, f"lines of {path.name}")
    counts.drop("read", parsed.lines - parsed.rows, "comment, header or blank line")
    for reason, number in sorted(Counter(fault.reason for fault in parsed.faults).items()):
        counts.drop("read", number, reason)
    if len(parsed.faults) > MAX_UNUSABLE * parsed.rows:
        raise InputError(
            f"{path}, line {parsed.faults[0]}; {len(parsed.faults)} of {parsed.rows} rows have faults. "
            "A narrowPeak or BED file was expected: chromosome, 0-based start, end, and more columns separated by tabs."
        )
    table = _with_summits(parsed.table, path, counts)
    return _without_duplicates(table, counts), counts


def read_intervals(path: str | Path) -> pd.DataFrame:
    """Read intervals, possibly overlapping, that must all be valid: ``chrom``, ``start``, ``end``; else InputError."""
    parsed = _parse(Path(path))
    if parsed.faults:
        raise InputError(f"{path}, line {parsed.faults[0]}. Correct the row or remove it.")
    return parsed.table[["chrom", "start", "end"]]


def _parse(path: Path) -> "_Parsed":
    with open_bytes(path) as handle:
        data = read_whole(handle, path)
    plain = _plain(data)
    if plain is not None:
        return _Parsed(plain, [], len(plain), len(plain))
    numbered, titles, lines = _rows(path, data)
    if not numbered:
        raise InputError(f"{path} holds no peak: {lines} lines, none of them a row of data")
    rows, kind = as_narrow_peaks([fields for _, fields in numbered], titles)
    if kind:
        log.info("%s is read as %s", path, kind)
    numbered = [(line, fields) for (line, _), fields in zip(numbered, rows, strict=True)]
    width = _usual_width(path, rows)
    usual = [(line, fields) for line, fields in numbered if len(fields) == width]
    layout = _layout(width, [fields for _, fields in usual])
    table, faults = _columns(usual, width, layout)
    for line, fields in numbered:
        if len(fields) != width:
            reason = _TOO_NARROW if len(fields) < 3 else _WRONG_WIDTH
            faults.append(_Fault(line, reason, " ".join(fields)[:_SHOWN]))
    return _Parsed(table, sorted(faults, key=lambda fault: fault.line), len(numbered), lines)


def _plain(data: bytes) -> pd.DataFrame | None:
    """Return the rows of a narrowPeak file without anything odd in it, as nearly all are; None for any other.

    The result is that of ``_rows`` and ``_columns`` in a tenth of the time: a job may read many factors' peaks.
    """
    if not data.isascii() or any(odd in data for odd in _ODD) or len(data.translate(None, _ODD_BLANKS)) < len(data):
        return None
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            pyarrow.csv.ReadOptions(column_names=list(_NARROW), use_threads=False),
            pyarrow.csv.ParseOptions(delimiter="\t", quote_char=False),
            pyarrow.csv.ConvertOptions(column_types=_NARROW_TYPES, null_values=[], strings_can_be_null=False),
        )
    except pa.ArrowInvalid:
        return None
    columns = table.to_pandas()
    start, end = columns["start"].to_numpy(), columns["end"].to_numpy()
    names = pd.unique(columns["chrom"])
    whole = len(start) == data.count(b"\n") + (not data.endswith(b"\n")) and all(names)
    if not whole or any(map(_HEADER.match, names)) or not all(np.isfinite(columns[name]).all() for name in _STRENGTHS):
        return None
    if (start < 0).any() or (start >= end).any() or (end > MAX_COORDINATE).any():
        return None
    return _table(columns)


def _rows(path: Path, data: bytes) -> tuple[list[tuple[int, list[str]]], list[str], int]:
    """Return (line number, fields) of every data row, the titles of the columns, if any, and the number of lines."""
    if b"\0" in data:
        raise InputError(f"{path} is binary; a text file of peaks, plain or gzip, was expected")
    # Bytes outside UTF-8 may occur in names, but in no column that is used.
    text = data.decode("utf-8-sig", errors="replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if text.startswith(("@HD\t", "@SQ\t")):
        raise InputError(
            f"{path} has the header of SAM; where it is a list of intervals, `picard IntervalListToBed` makes BED of it"
        )
    # Stripped only where needed: hardly any file has blanks beside its tabs.
    blanks = _BLANK.search(text) is not None
    rows: list[tuple[int, list[str]]] = []
    titles: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or _HEADER.match(line):
            continue
        fields = line.split("\t") if "\t" in line else line.split()
        if blanks:
            fields = [field.strip() for field in fields]
        if not rows and _COLUMN_TITLES.fullmatch(fields[0]) and not any(map(_NUMBER.fullmatch, fields[1:3])):
            _refuse_others(path, number, fields)
            titles = fields
            continue
        rows.append((number, fields))
    return rows, titles, len(lines)


def _refuse_others(path: Path, line: int, titles: list[str]) -> None:
    if {"abs_summit", "length"} <= set(titles):
        raise InputError(
            f"{path}, line {line}: this is a MACS .xls table, which counts from 1; give the .narrowPeak file beside it"
        )
    if {"Position", "IP"} <= set(titles):
        raise InputError(
            f"{path}, line {line}: this is GEM's table of events, which have no width; run GEM with --outNP and give "
            "the .narrowPeak file that it then writes"
        )


def holds_peaks(begin: bytes) -> bool:
    """Return whether a file, by its first bytes, holds peaks or intervals; not where their rows end with a sequence."""
    whole = begin[: begin.rfind(b"\n") + 1] or begin
    try:
        numbered, titles, _ = _rows(Path(), whole)
    except InputError:
        # Of a format that is known, and refused with advice.
        return True
    rows, _ = as_narrow_peaks([fields for _, fields in numbered[:_LOOKED_AT]], titles)
    usual = [
        len(row) > 2 and all(map(_NUMBER.fullmatch, row[1:3])) and not _SEQUENCE.fullmatch(row[-1]) for row in rows
    ]
    return 2 * sum(usual) > len(usual)


def _usual_width(path: Path, rows: list[list[str]]) -> int:
    """Return the number of columns most rows have, the larger of a tie."""
    widths = Counter(map(len, rows))
    width = max(widths, key=lambda value: (widths[value], value))
    if width < 3:
        raise InputError(
            f"{path}: most rows have {width} column(s), such as {' '.join(rows[0])[:_SHOWN]!r}; "
            "a peak needs chromosome, start and end, separated by tabs"
        )
    return width


def _layout(width: int, rows: list[list[str]]) -> str:
    """Return the format of rows with ``width`` columns: ``bed``, ``broad`` or ``narrow``."""
    if width < _BROAD_COLUMNS or width == _BLOCK_COLUMNS:
        return "bed"
    if width > _BROAD_COLUMNS:
        return "narrow"
    # BED9 has thick start, thick end and a colour where broadPeak has signal, p and q.
    coloured = sum("," in fields[8] or (fields[6] == fields[1] and fields[7] == fields[2]) for fields in rows)
    return "bed" if 2 * coloured > len(rows) else "broad"


def _columns(rows: list[tuple[int, list[str]]], width: int, layout: str) -> tuple[pd.DataFrame, list[_Fault]]:
    """Turn rows of ``width`` fields into columns; an unusable row counts under the first reason found."""
    count = len(rows)
    texts = list(zip(*(fields for _, fields in rows), strict=True))
    reasons: dict[int, str] = {}

    def faulty(wrong: np.ndarray, reason: str) -> None:
        for row in np.flatnonzero(wrong):
            reasons.setdefault(int(row), reason)

    def numbers(column: int, read: Callable[[str], float], plain: re.Pattern[str], reason: str) -> np.ndarray:
        """Return float (N,); plain columns, which nearly all are, are not parsed field by field."""
        joined = "\n".join(texts[column]) + "\n"
        if plain.fullmatch(joined):
            return np.fromiter(map(float, texts[column]), dtype=np.float64, count=count)
        values = np.full(count, np.nan)
        for row, text in enumerate(texts[column]):
            try:
                values[row] = read(text)
            except ValueError:
                reasons.setdefault(row, reason)
        return values

    faulty(np.array([not chrom for chrom in texts[0]], dtype=bool), _NO_NAME)
    start, end = (numbers(column, _whole, _PLAIN_WHOLE, _NO_NUMBER) for column in (1, 2))
    faulty(start < 0, _NEGATIVE)
    faulty(start >= end, _NOT_BEFORE)
    faulty(end > MAX_COORDINATE, _TOO_FAR)
    missing, unknown = np.full(count, np.nan), np.full(count, _UNKNOWN_OFFSET, dtype=np.float64)
    score = numbers(4, _strength, _PLAIN, _BAD_STRENGTH) if width > 4 else missing
    signal, p, q = missing, missing, missing
    if layout != "bed":
        signal, p, q = (numbers(column, _strength, _PLAIN, _BAD_STRENGTH) for column in (6, 7, 8))
    offset = numbers(9, _offset, _PLAIN_WHOLE, _BAD_SUMMIT) if layout == "narrow" else unknown
    columns = {
        "chrom": np.array(texts[0], dtype=object),
        "start": start,
        "end": end,
        "name": np.array(texts[3] if width > 3 else ["."] * count, dtype=object),
        "score": score,
        "strand": np.array(texts[5] if width >= _BED_COLUMNS else ["."] * count, dtype=object),
        "signal": signal,
        "p": p,
        "q": q,
        _OFFSET: offset,
    }
    usable = np.ones(count, dtype=bool)
    usable[list(reasons)] = False
    faults = [_Fault(rows[row][0], reason, " ".join(rows[row][1])[:_SHOWN]) for row, reason in reasons.items()]
    return _table(pd.DataFrame({name: values[usable] for name, values in columns.items()})), faults


def _table(columns: pd.DataFrame) -> pd.DataFrame:
    mended = {name: columns[name].astype(np.int64) for name in ("start", "end")}
    mended["strand"] = columns["strand"].where(columns["strand"].isin(["+", "-"]), ".")
    # -1 stands for none.
    mended |= {name: columns[name].mask(columns[name] == _NOT_AVAILABLE) for name in ("p", "q")}
    return columns.assign(**mended)


def _whole(text: str) -> float:
    """Read a whole number, which some programs write as 1e+05 or 100.0; ValueError for anything else."""
    if len(text) >= _MAX_NUMBER_LENGTH or not _NUMBER.fullmatch(text):
        raise ValueError(text)
    value = float(text)
    if not math.isfinite(value) or value != int(value):
        raise ValueError(text)
    return value


def _offset(text: str) -> float:
    return _UNKNOWN_OFFSET if text in _MISSING else _whole(text)


def _strength(text: str) -> float:
    if text in _MISSING:
        return math.nan
    if text in _INFINITE:
        return _INFINITE[text]
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text)


def _with_summits(table: pd.DataFrame, path: Path, counts: Counts) -> pd.DataFrame:
    start, end = table.start.to_numpy(), table.end.to_numpy()
    # Offsets beyond 2**53 are nonsense, but comparable as floats.
    offset = table.pop(_OFFSET).to_numpy(np.float64)
    width = end - start
    on_end = offset == width
    unknown = offset == _UNKNOWN_OFFSET
    outside = (offset > width) | (offset < _UNKNOWN_OFFSET)
    if outside.sum() > MAX_UNUSABLE * len(table):
        row = int(np.flatnonzero(outside)[0])
        raise InputError(
            f"{path}: {outside.sum()} of {len(table)} summits lie outside their peaks, such as {offset[row]:.0f} in "
            f"{table.chrom[row]}:{start[row]}-{end[row]}. Column 10 must hold the summit's distance from the start."
        )
    counts.note("summits", int(on_end.sum()), "summit on the peak's end moved to its last base")
    counts.note("summits", int(unknown.sum()), "no summit in the file, midpoint taken")
    counts.note("summits", int(outside.sum()), "summit outside the peak, midpoint taken")
    known = ~unknown & ~outside
    inside = np.where(known, np.minimum(offset, width - 1), width // 2).astype(np.int64)
    return table.assign(summit=start + inside, summit_known=known)[list(COLUMNS)]


def _without_duplicates(table: pd.DataFrame, counts: Counts) -> pd.DataFrame:
    place = ["chrom", "start", "end", "summit"]
    repeated = table.duplicated(place).to_numpy(copy=True)
    # Without duplicates there is no need to rank by strength.
    if repeated.any():
        order = strength_order(table)
        repeated[order] = table.iloc[order].duplicated(place).to_numpy()
    counts.drop("duplicates", int(repeated.sum()), "same place and summit as a stronger row")
    return table[~repeated].reset_index(drop=True) if repeated.any() else table


def strength_order(peaks: pd.DataFrame) -> np.ndarray:
    """Return row numbers from the strongest peak to the weakest: by signal, then p, q and score.

    Missing values rank last, and ties are ordered by position, so that the order of the file does not matter.
    """
    strengths = [-peaks[name].fillna(-math.inf).to_numpy(float) for name in _STRENGTHS]
    chrom = pd.factorize(peaks.chrom, sort=True)[0]
    keys = [*strengths, chrom, peaks.start.to_numpy(), peaks.end.to_numpy(), peaks.summit.to_numpy()]
    return np.lexsort(keys[::-1])
