"""A genome in outline, which a made one is made the like of: sizes of chromosomes, and where their long runs of N lie.

Standard library only, for the Snakefile.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from tfbs_moe.errors import InputError

COLUMNS = ("chrom", "size", "peaks", "unknown")

# No chromosome is scaled below this, so that each has whole lines, repeats and places for peaks.
_LEAST_SIZE = 10_000


@dataclass(frozen=True)
class Shape:
    """One chromosome to make.

    Attributes:
        name: its name.
        size: bases.
        unknown: runs of N, as (start, end).
        peaks: whether peaks lie on it; on chrM, say, peak callers report none.
    """

    name: str
    size: int
    unknown: tuple[tuple[int, int], ...]
    peaks: bool = True


def read_shapes(path: str | Path, scale: float = 1.0) -> tuple[Shape, ...]:
    """Read a table of chromosomes.

    Its columns are ``chrom``, ``size``, ``peaks`` (``yes``, or ``no`` where none lie) and ``unknown``, the runs of N
    (such as ``0-10000,500000-600000``).

    Args:
        path: tab-separated text.
        scale: by what sizes and places are multiplied; no chromosome becomes smaller than 10,000 bases.

    Raises:
        InputError: the table cannot be read, a cell is not as above, or a run of N lies outside its chromosome.
    """
    shapes = []
    for row in _rows(Path(path)):
        name, bases, peaks, unknown = (row[column] for column in COLUMNS)
        if not (bases.isdecimal() and int(bases)) or peaks not in ("yes", "no"):
            raise InputError(
                f"{path}: {name}: size {bases!r}, peaks {peaks!r}; a number of bases was expected, and yes or no"
            )
        full = int(bases)
        size = max(round(full * scale), min(full, _LEAST_SIZE))
        runs = []
        for text in unknown.split(",") if unknown else []:
            start, _, end = text.partition("-")
            if not (start.isdecimal() and end.isdecimal() and int(start) < int(end) <= full):
                raise InputError(
                    f"{path}: {name}: {text!r} is no run of N; start-end within its {full} bases was expected"
                )
            runs.append((round(int(start) * size / full), round(int(end) * size / full)))
        shapes.append(Shape(name, size, tuple(runs), peaks == "yes"))
    if not shapes:
        raise InputError(f"{path} names no chromosome; a row per chromosome was expected")
    return tuple(shapes)


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            table = csv.DictReader(handle, delimiter="\t", restval="")
            missing = [column for column in COLUMNS if column not in (table.fieldnames or ())]
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: the table of chromosomes cannot be read ({error})") from None
    if missing:
        raise InputError(f"{path} lacks the column(s) {', '.join(missing)}; {', '.join(COLUMNS)} were expected")
    return rows
