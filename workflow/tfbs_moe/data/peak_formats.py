"""Rows of other peak formats, rewritten as rows of narrowPeak or BED; see ``as_narrow_peaks``.

| format | told by | read as |
|---|---|---|
| HOMER, SAF | id, chromosome, start, end and strand (``+ - . 0 1``) | 1-based; the sixth column is the signal |
| GFF, GTF | numbers in columns 4 and 5 | 1-based; score and strand, and the name that its attributes give |
| R's GRanges | the titles ``seqnames`` and ``width`` | 1-based |
| tables of UCSC's database | a number (``bin``) before the chromosome | without it |
| SEACR | ``chr1:100-200``, the region of highest signal, in column 6 | its middle is the summit |
| ReMap and other BED with a thick part of one base | columns 7 and 8 | the thick base is the summit |
| epic2 | a fold change in column 10 | no summit |
| gappedPeak | 15 columns | no summit; signal, p and q of its last three columns |
"""

import re
from collections.abc import Callable, Sequence

Row = list[str]
_WHOLE = re.compile(r"\d{1,15}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_REGION = re.compile(r"(.+):(\d{1,15})-(\d{1,15})", re.ASCII)
_GFF_NAME = re.compile(r'\b(?:Name|ID|gene_id)[= ]"?([^;"]+)')
_BED_STRANDS = frozenset("+-.")
_HOMER_STRANDS = {"0": "+", "1": "-"} | {strand: strand for strand in "+-."}
_NONE = "."
_NO_SUMMIT = "-1"
# A file is of a format if at least this fraction of its rows is.
_MOST = 0.5
_GAPPED_COLUMNS = 15
# Bits of the bases that a bin of each size spans, and the number of the first.
_BINS = ((17, 585), (20, 73), (23, 9), (26, 1), (29, 0))


def as_narrow_peaks(rows: Sequence[Row], titles: Sequence[str]) -> tuple[list[Row], str]:
    """Return rows with the columns of BED or narrowPeak, and what the file is if it is of another format, else "".

    ``titles`` are those of the file, if any. Rows that are not as most of them stay as they are.
    """
    for name, test, rewrite in _FORMATS:
        fitting = [test(row, titles) for row in rows]
        if sum(fitting) > _MOST * len(rows):
            return [rewrite(row) if fits else row for row, fits in zip(rows, fitting, strict=True)], name
    return list(rows), ""


def _whole(*fields: str) -> bool:
    return all(map(_WHOLE.fullmatch, fields))


def _is_granges(row: Row, titles: Sequence[str]) -> bool:
    return titles[:4] == ["seqnames", "start", "end", "width"] and len(row) >= 4 and _whole(*row[1:4])


def _is_homer(row: Row, titles: Sequence[str]) -> bool:
    if len(row) < 5 or not _whole(*row[2:4]):
        return False
    # Where the chromosome is a number, a BED row with a number for its name may look alike, but for + and -.
    return row[4] in (("+", "-") if _whole(row[1]) else _HOMER_STRANDS)


def _is_gff(row: Row, titles: Sequence[str]) -> bool:
    return len(row) >= 8 and not _whole(row[1]) and not _whole(row[2]) and _whole(*row[3:5])


def _has_bin(row: Row, titles: Sequence[str]) -> bool:
    if len(row) < 4 or _whole(row[1]) or not _whole(row[0], *row[2:4]):
        return False
    return int(row[0]) == _bin(int(row[2]), int(row[3]))


def _bin(start: int, end: int) -> int | None:
    """Return UCSC's bin of an interval (Kent et al. 2002, Genome Research 12:996)."""
    for size, first in _BINS:
        if start >> size == (end - 1) >> size:
            return first + (start >> size)
    return None


def _is_seacr(row: Row, titles: Sequence[str]) -> bool:
    region = _REGION.fullmatch(row[5]) if len(row) == 6 and _whole(*row[1:3]) else None
    return region is not None and region[1] == row[0]


def _has_thick_base(row: Row, titles: Sequence[str]) -> bool:
    if len(row) not in (8, 9, 12) or not _whole(row[1], row[2], row[6], row[7]):
        return False
    start, end, thick_start, thick_end = map(int, (row[1], row[2], row[6], row[7]))
    return start <= thick_start < thick_end <= end and thick_end - thick_start == 1 < end - start


def _is_gapped(row: Row, titles: Sequence[str]) -> bool:
    return len(row) == _GAPPED_COLUMNS and _whole(*row[1:3], row[9]) and all(map(_NUMBER.fullmatch, row[12:]))


def _is_epic2(row: Row, titles: Sequence[str]) -> bool:
    return len(row) == 10 and _whole(*row[1:3]) and bool(_NUMBER.fullmatch(row[9])) and float(row[9]) % 1 != 0


def _from_granges(row: Row) -> Row:
    strand = row[4] if len(row) > 4 and row[4] in _BED_STRANDS else _NONE
    return [row[0], _zero_based(row[1]), row[2], _NONE, _NONE, strand]


def _from_homer(row: Row) -> Row:
    signal = row[5] if len(row) > 5 and _NUMBER.fullmatch(row[5]) else _NONE
    place = [row[1], _zero_based(row[2]), row[3], row[0], _NONE, _HOMER_STRANDS[row[4]]]
    return [*place, signal, _NONE, _NONE, _NO_SUMMIT]


def _from_gff(row: Row) -> Row:
    named = _GFF_NAME.search(row[8]) if len(row) > 8 else None
    score = row[5] if _NUMBER.fullmatch(row[5]) else _NONE
    return [row[0], _zero_based(row[3]), row[4], named[1].strip() if named else _NONE, score, row[6]]


def _from_seacr(row: Row) -> Row:
    _, first, last = _REGION.fullmatch(row[5]).groups()  # type: ignore[union-attr]
    summit = (int(first) + int(last)) // 2 - int(row[1])
    return [*row[:3], _NONE, row[4], _NONE, row[3], _NONE, _NONE, str(summit)]


def _from_thick_base(row: Row) -> Row:
    return [*row[:6], _NONE, _NONE, _NONE, str(int(row[6]) - int(row[1]))]


def _zero_based(start: str) -> str:
    return str(int(start) - 1)


_FORMATS: tuple[tuple[str, Callable[[Row, Sequence[str]], bool], Callable[[Row], Row]], ...] = (
    ("a table of R's GRanges, which counts from 1", _is_granges, _from_granges),
    ("a table of UCSC's database with a column bin", _has_bin, lambda row: row[1:]),
    ("HOMER, which counts from 1", _is_homer, _from_homer),
    ("GFF, which counts from 1", _is_gff, _from_gff),
    ("SEACR, with the region of highest signal", _is_seacr, _from_seacr),
    ("BED whose thick base is the summit", _has_thick_base, _from_thick_base),
    ("epic2", _is_epic2, lambda row: row[:6]),
    ("gappedPeak", _is_gapped, lambda row: [*row[:6], *row[12:], _NO_SUMMIT]),
)
