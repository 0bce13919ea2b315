"""The outline of a real genome that a simulated one follows: chromosome sizes and long runs of N.

Standard library only, for the Snakefile.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from tfbs_moe.errors import InputError

COLUMNS = ("chrom", "size", "peaks", "unknown")

# No chromosome is scaled below this, so that each has whole lines, repeats and room for peaks.
_LEAST_SIZE = 10_000


@dataclass(frozen=True)
class Shape:
    """One chromosome to simulate."""

    name: str
    size: int  # bases
    unknown: tuple[tuple[int, int], ...]  # runs of N: 0-based start, exclusive end
    peaks: bool = True  # whether it has peaks; peak callers report none on chrM, for example


def read_shapes(path: str | Path, scale: float = 1.0) -> tuple[Shape, ...]:
    """Read a tab-separated table of chromosomes; InputError if it or a cell is invalid.

    Its columns are ``chrom``, ``size``, ``peaks`` (``yes`` or ``no``) and ``unknown``, the runs of N (such as
    ``0-10000,500000-600000``). Sizes and positions are multiplied by ``scale``, but no chromosome is scaled below
    10,000 bases.
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
