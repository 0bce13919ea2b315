"""Windows of one length around summits, the rules that exclude unusable ones, and the intervals that they leave free.

A window of L bases around summit s is [s - L // 2, s - L // 2 + L): with an odd L the summit is the middle base, with
an even L the first base of the right half. Intervals by bedtools (Quinlan and Hall 2010, Bioinformatics 26:841; Dale et
al. 2011, Bioinformatics 27:3423).
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tfbs_moe.data.counts import Counts
from tfbs_moe.data.kmers import sequence_ids
from tfbs_moe.data.peaks import strength_order
from tfbs_moe.errors import InputError
from tfbs_moe.genome.genome import Genome
from tfbs_moe.sequence import UNKNOWN


@dataclass(frozen=True, eq=False)
class FreeSpace:
    """Sorted intervals of a genome, no two of which touch."""

    starts: dict[str, np.ndarray]  # by chromosome, int64 (K,), 0-based
    ends: dict[str, np.ndarray]  # by chromosome, int64 (K,), exclusive

    def holds(self, chrom: np.ndarray | pd.Series, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return bool (N,): which intervals lie wholly within one free interval."""
        held = np.zeros(len(start), dtype=bool)
        for name, rows in pd.Series(np.arange(len(start))).groupby(np.asarray(chrom), sort=False):
            index = rows.to_numpy()
            held[index] = self.holds_on(str(name), start[index], end[index])
        return held

    def holds_on(self, chrom: str, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return bool (N,): which intervals of one chromosome lie wholly within one free interval."""
        if not len(self.starts.get(chrom, ())):
            return np.zeros(len(start), dtype=bool)
        place = np.searchsorted(self.starts[chrom], start, side="right") - 1
        # -1 lies before the first free interval: clipped to 0 for the look-up, and False.
        return np.asarray((place >= 0) & (end <= self.ends[chrom][np.maximum(place, 0)]))

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


def window_start(summit: np.ndarray, length: int) -> np.ndarray:
    """Return the 0-based start of the window of ``length`` bases around each summit."""
    return np.asarray(summit, dtype=np.int64) - length // 2


def cut_windows(
    peaks: pd.DataFrame,
    genome: Genome,
    counts: Counts,
    *,
    length: int,
    min_distance: int,
    allowed: FreeSpace | None = None,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Cut a window around every summit; drop, and count, those that cannot be used.

    Dropped are, in this order, windows on a chromosome the genome lacks, over its end, outside ``allowed`` (what the
    blacklist leaves; None for no blacklist), with an N, with the sequence of a stronger peak's window on either strand,
    and with a centre less than ``min_distance`` bases from a stronger one's (0 or 1 keeps all centres that differ).
    Returns the peaks in the genome's order, with ``start`` and ``end`` of the window and ``peak_start`` and
    ``peak_end`` of the peak, and codes uint8 (N, L).
    """
    if min_distance < 0:
        raise InputError(f"min_distance is {min_distance}; a distance of at least 0 bases was expected")
    start = window_start(peaks.summit.to_numpy(), length)
    table = peaks.assign(peak_start=peaks.start, peak_end=peaks.end, start=start, end=start + length)
    table = _sorted(table, genome)
    table = _drop(table, ~table.chrom.isin(list(genome.sizes)).to_numpy(), counts, "on a chromosome the genome lacks")
    over = (table.start < 0).to_numpy() | (table.end.to_numpy() > genome.size_of(table.chrom))
    table = _drop(table, over, counts, "reaches over an end of the chromosome")
    if allowed is not None:
        listed = ~allowed.holds(table.chrom, table.start.to_numpy(), table.end.to_numpy())
        table = _drop(table, listed, counts, "touches the blacklist")
    codes = genome.windows(table.chrom, table.start.to_numpy(), length)
    table, codes = _drop_rows(table, codes, (codes == UNKNOWN).any(axis=1), counts, "holds an N")
    repeated = _repeated_sequences(table, codes)
    table, codes = _drop_rows(
        table, codes, repeated, counts, "same sequence as a stronger peak's window, on either strand"
    )
    near = near_stronger(table, min_distance)
    return _drop_rows(table, codes, near, counts, f"centre within {min_distance} bases of a stronger peak's")


def near_stronger(table: pd.DataFrame, min_distance: int) -> np.ndarray:
    """Return bool (N,): which rows lie less than ``min_distance`` bases from a stronger row that is itself kept."""
    dropped = np.zeros(len(table), dtype=bool)
    if not len(table):
        return dropped
    summit = table.summit.to_numpy(np.int64)
    chrom = pd.factorize(table.chrom)[0]
    by_place = np.lexsort((summit, chrom))
    # All chromosomes on one axis, more than ``min_distance`` apart.
    axis = (chrom * (summit.max() + min_distance + 1) + summit)[by_place]
    first = np.searchsorted(axis, axis - min_distance, side="right")
    last = np.searchsorted(axis, axis + min_distance, side="left")
    rank_of_place = np.empty(len(table), dtype=np.int64)
    rank_of_place[by_place] = np.arange(len(table))
    crowded = last - first > 1
    kept = ~crowded
    order = strength_order(table)
    for row in order[crowded[rank_of_place[order]]]:
        place = rank_of_place[row]
        dropped[row] = kept[first[place] : last[place]].any()
        kept[place] = not dropped[row]
    return dropped


def _sorted(table: pd.DataFrame, genome: Genome) -> pd.DataFrame:
    order = pd.Series(range(len(genome.sizes)), index=list(genome.sizes), dtype=np.int64)
    number = order.reindex(table.chrom, fill_value=len(order)).to_numpy()
    rows = np.lexsort((table.summit.to_numpy(), table.chrom.to_numpy(dtype=object).astype(str), number))
    return table.iloc[rows].reset_index(drop=True)


def _repeated_sequences(table: pd.DataFrame, codes: np.ndarray) -> np.ndarray:
    order = strength_order(table)
    repeated = np.zeros(len(table), dtype=bool)
    repeated[order] = pd.Series(sequence_ids(codes[order])).duplicated().to_numpy()
    return repeated


def _drop(table: pd.DataFrame, wrong: np.ndarray, counts: Counts, reason: str) -> pd.DataFrame:
    counts.drop("windows", int(wrong.sum()), reason)
    return table[~wrong].reset_index(drop=True)


def _drop_rows(
    table: pd.DataFrame, codes: np.ndarray, wrong: np.ndarray, counts: Counts, reason: str
) -> tuple[pd.DataFrame, np.ndarray]:
    return _drop(table, wrong, counts, reason), codes[~wrong]
