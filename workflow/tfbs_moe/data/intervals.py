"""Genome intervals that given intervals leave free, by bedtools.

Quinlan and Hall 2010, Bioinformatics 26:841; Dale et al. 2011, Bioinformatics 27:3423 (pybedtools).
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tfbs_moe.errors import InputError


@dataclass(frozen=True, eq=False)
class FreeSpace:
    """Sorted intervals of a genome, no two of which touch."""

    starts: dict[str, np.ndarray]  # by chromosome, int64 (K,), 0-based
    ends: dict[str, np.ndarray]  # by chromosome, int64 (K,), exclusive

    def holds(self, chrom: np.ndarray | pd.Series, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return bool (N,): which intervals lie wholly within one free interval."""
        held = np.zeros(len(start), dtype=bool)
        for name, rows in pd.Series(np.arange(len(start))).groupby(np.asarray(chrom), sort=False):
            if not len(self.starts.get(str(name), ())):
                continue
            index = rows.to_numpy()
            place = np.searchsorted(self.starts[str(name)], start[index], side="right") - 1
            # -1 lies before the first free interval: clipped to 0 for the look-up, and False.
            held[index] = (place >= 0) & (end[index] <= self.ends[str(name)][np.maximum(place, 0)])
        return held

    def without(self, chrom: np.ndarray, start: np.ndarray, end: np.ndarray) -> "FreeSpace":
        """Return what is left after removing disjoint intervals that lie within this space."""
        starts, ends = dict(self.starts), dict(self.ends)
        for name in np.unique(chrom):
            here = chrom == name
            first = np.sort(np.concatenate([starts[name], end[here]]))
            last = np.sort(np.concatenate([ends[name], start[here]]))
            left = first < last
            starts[name], ends[name] = first[left], last[left]
        return FreeSpace(starts, ends)


def free_space(sizes: Mapping[str, int], *occupied: pd.DataFrame) -> FreeSpace:
    """Return what ``occupied`` leaves of the chromosomes in ``sizes``; InputError where bedtools is not installed."""
    numbers = {name: number for number, name in enumerate(sizes)}
    tables = [table.loc[table.chrom.isin(list(numbers)), ["chrom", "start", "end"]] for table in occupied]
    taken = pd.concat(tables) if tables else pd.DataFrame({"chrom": [], "start": [], "end": []})
    # bedtools takes names such as "track1" or "#1" for header lines; numbers are safe.
    ends = taken.end.clip(upper=taken.chrom.map(sizes))  # bedtools fails beyond 2^29
    taken = taken.assign(chrom=taken.chrom.map(numbers), start=taken.start.clip(lower=0), end=ends)
    taken = taken[taken.start < taken.end]
    whole = pd.DataFrame({"chrom": list(numbers.values()), "start": 0, "end": list(sizes.values())})
    left = _complement(whole, taken.sort_values(["chrom", "start"]))
    parts = {name: left[left.chrom == number].sort_values("start") for name, number in numbers.items()}
    return FreeSpace(
        {name: part.start.to_numpy(np.int64) for name, part in parts.items()},
        {name: part.end.to_numpy(np.int64) for name, part in parts.items()},
    )


def outside(sizes: Mapping[str, int], regions: pd.DataFrame) -> pd.DataFrame:
    """Return the intervals of the chromosomes that no region covers: ``chrom``, ``start``, ``end``."""
    left = free_space(sizes, regions)
    return pd.concat(
        [pd.DataFrame({"chrom": name, "start": left.starts[name], "end": left.ends[name]}) for name in sizes],
        ignore_index=True,
    )


def _complement(whole: pd.DataFrame, taken: pd.DataFrame) -> pd.DataFrame:
    """Return what sorted intervals leave of whole chromosomes."""
    if taken.empty:
        return whole
    if not shutil.which("bedtools"):
        raise InputError("the program bedtools is not on the PATH; install it (conda install -c bioconda bedtools)")
    # Imported here because predictions do not need it and would start later.
    import pybedtools

    sizes = {str(chrom): (0, size) for chrom, size in zip(whole.chrom, whole.end, strict=True)}
    try:
        # Not ``subtract``, which takes time quadratic in the number of intervals.
        result = pybedtools.BedTool.from_dataframe(taken).complement(g=sizes)
        # pandas cannot read an empty file.
        empty = not Path(result.fn).stat().st_size
        return whole.iloc[:0] if empty else result.to_dataframe(names=list(whole.columns))
    finally:
        pybedtools.cleanup()
