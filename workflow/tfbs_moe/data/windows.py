"""Windows of one length around summits, and the rules that exclude unusable ones.

A window of L bases around summit s is [s - L // 2, s - L // 2 + L): with an odd L the summit is the middle base, with
an even L the first base of the right half.
"""

import numpy as np
import pandas as pd

from tfbs_moe.data.counts import Counts
from tfbs_moe.data.genome import Genome
from tfbs_moe.data.intervals import FreeSpace
from tfbs_moe.data.overlap import sequence_ids
from tfbs_moe.data.peaks import strength_order
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import UNKNOWN


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
        raise InputError(f"min_distance is {min_distance}; a distance in bases from 0 was expected")
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
