"""Select the peaks of a file to use: by strength, and one of those that overlap."""

import math
from bisect import bisect_right
from typing import Literal, get_args

import numpy as np
import pandas as pd

from tfbs_moe.data.counts import Counts
from tfbs_moe.data.peaks import strength_order
from tfbs_moe.errors import InputError, LeftOutError

Overlapping = Literal["strongest", "keep"]


def select_peaks(
    peaks: pd.DataFrame,
    counts: Counts,
    *,
    top: int | None = None,
    max_q: float | None = None,
    overlapping: Overlapping = "strongest",
) -> pd.DataFrame:
    """Select peaks by q-value, then by overlap, then by rank, keeping their order.

    ``max_q`` is a probability; ``top`` takes the strongest so many (``peaks.strength_order``); None sets no limit. Of
    peaks that share a base, ``strongest`` takes the strongest and drops what overlaps it, then goes on with the next;
    ``keep`` takes all. Raises InputError where a setting is out of range, LeftOutError where the file lacks the values
    that a setting needs.
    """
    if overlapping not in get_args(Overlapping):
        raise InputError(f"overlapping is {overlapping!r}; it must be one of {', '.join(get_args(Overlapping))}")
    if max_q is not None:
        peaks = _significant(peaks, max_q, counts)
    if overlapping == "strongest":
        kept = _strongest_of_overlapping(peaks)
        counts.drop("select", len(peaks) - len(kept), "overlaps a stronger peak")
        peaks = peaks.iloc[kept]
    if top is not None:
        peaks = _strongest(peaks, top, counts)
    return peaks.reset_index(drop=True)


def _significant(peaks: pd.DataFrame, max_q: float, counts: Counts) -> pd.DataFrame:
    if not 0 < max_q <= 1:
        raise InputError(f"max_q is {max_q}; a q-value above 0 and up to 1 was expected")
    if len(peaks) and peaks.q.isna().all():
        raise LeftOutError(f"peaks with q up to {max_q} were requested, but the file has no q-values; use top instead")
    wanted = (peaks.q >= -math.log10(max_q)).to_numpy()
    counts.drop("select", int((~wanted).sum()), f"q-value above {max_q:g} or missing")
    return peaks[wanted]


def _strongest(peaks: pd.DataFrame, top: int, counts: Counts) -> pd.DataFrame:
    if top < 1:
        raise InputError(f"top is {top}; at least 1 peak was expected")
    if len(peaks) > top and peaks[["signal", "p", "q", "score"]].isna().all(axis=None):
        raise LeftOutError(f"the strongest {top} peaks were requested, but the file has no column to rank them by")
    kept = np.sort(strength_order(peaks)[:top])
    counts.drop("select", len(peaks) - len(kept), f"weaker than the strongest {top}")
    return peaks.iloc[kept]


def _strongest_of_overlapping(peaks: pd.DataFrame) -> np.ndarray:
    """Return the row numbers, ascending, of the peaks that no stronger kept peak overlaps."""
    alone = _alone(peaks)
    crowd = peaks[~alone]
    chrom, start, end = crowd.chrom.to_numpy(), crowd.start.to_numpy(), crowd.end.to_numpy()
    # Kept peaks of a chromosome do not overlap, so their starts and ends sort alike.
    starts: dict[str, list[int]] = {}
    ends: dict[str, list[int]] = {}
    kept = []
    for row in strength_order(crowd):
        its_starts, its_ends = starts.setdefault(chrom[row], []), ends.setdefault(chrom[row], [])
        place = bisect_right(its_starts, start[row])
        if place and its_ends[place - 1] > start[row]:
            continue
        if place < len(its_starts) and its_starts[place] < end[row]:
            continue
        its_starts.insert(place, start[row])
        its_ends.insert(place, end[row])
        kept.append(row)
    alone[np.flatnonzero(~alone)[kept]] = True
    return np.flatnonzero(alone)


def _alone(peaks: pd.DataFrame) -> np.ndarray:
    """Return bool (N,): which peaks share no base with any other, as most do."""
    # All chromosomes on one axis.
    offset = pd.factorize(peaks.chrom)[0] * (peaks.end.max() + 1)
    start, end = peaks.start.to_numpy() + offset, peaks.end.to_numpy() + offset
    order = np.argsort(start, kind="stable")
    apart = np.maximum.accumulate(end[order])[:-1] <= start[order[1:]]
    alone = np.empty(len(peaks), dtype=bool)
    alone[order] = np.r_[True, apart] & np.r_[apart, True] if len(peaks) else True
    return alone
