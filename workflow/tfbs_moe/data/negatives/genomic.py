"""Genomic negatives: matched in GC content, flanks of the same peaks, and peaks of other factors.

For GC matching, what the factor's peaks and the blacklist leave free is tiled with non-overlapping windows, each
interval from a random phase. Each positive then draws a window with the same number of G and C or, where none is left,
the nearest number within a tolerance. Time and memory grow with the number of bases, and one chromosome's pages are
held at a time.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tfbs_moe.data.negatives.candidates import Negatives, Task
from tfbs_moe.data.windows import FreeSpace, near_stronger, window_start
from tfbs_moe.errors import InputError
from tfbs_moe.genome.genome import windows_at
from tfbs_moe.sequence import UNKNOWN

_BLOCK_ROWS = 8192
_ROUNDING = 1e-9  # keeps 2.0 bases of 100 at tolerance 0.02 from rounding down to 1
UNMATCHED = -1
_TRIES = 64  # positions per positive before it goes without a flank


@dataclass(frozen=True, eq=False)
class Candidates:
    """Non-overlapping windows, (K,) each: chromosome number, 0-based start and number of G and C."""

    chrom: np.ndarray
    start: np.ndarray
    gc: np.ndarray


def gc_matched(task: Task, parents: np.ndarray, draw: np.random.Generator) -> Negatives:
    """Return an unbound window of the same GC content for each parent that has one; see the top of this module."""
    names = list(task.free.starts)
    candidates = gc_candidates(task, draw)
    tolerance = int(task.settings.gc_tolerance * task.length + _ROUNDING)
    wanted = gc_count(task.codes[parents])
    chosen = match_counts(wanted, candidates.gc, task.length, tolerance, draw)
    found = chosen != UNMATCHED
    rows, parent = chosen[found], parents[found]
    chrom = np.asarray(names, dtype=np.str_)[candidates.chrom[rows]]
    start = candidates.start[rows].astype(np.int64)
    return Negatives.placed(task, chrom, start, parent, task.sources("gc_matched", parent))


def gc_candidates(task: Task, draw: np.random.Generator) -> Candidates:
    """Tile the free intervals of the split's chromosomes; windows with an N are excluded."""
    parts = []
    # A human genome has 30 million tiles: each byte of a column counts.
    places = np.min_scalar_type(max(task.genome.sizes[chrom] for chrom in task.free.starts))
    for number, chrom in enumerate(task.free.starts):
        start = tile(task.free, chrom, task.length, draw)
        gc, unknown = _composition(task.genome.codes(chrom), start, task.length)
        task.genome.release()
        known = ~unknown
        parts.append((np.full(known.sum(), number, dtype=np.int32), start[known].astype(places), gc[known]))
    return Candidates(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def tile(free: FreeSpace, chrom: str, length: int, draw: np.random.Generator) -> np.ndarray:
    """Return the starts of windows laid end to end in each free interval, from a random phase."""
    starts, ends = free.starts[chrom], free.ends[chrom]
    number, slack = np.divmod(ends - starts, length)
    first = starts + draw.integers(0, slack + 1)
    # Number of each tile within its interval.
    within = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    return np.repeat(first, number) + within * length


def gc_count(codes: np.ndarray) -> np.ndarray:
    """Return the number of G and C in each sequence of codes (N, L), int64 (N,)."""
    return _is_gc(codes).sum(axis=1, dtype=np.int64)


def match_counts(
    wanted: np.ndarray, available: np.ndarray, length: int, tolerance: int, draw: np.random.Generator
) -> np.ndarray:
    """Return a candidate for each wanted number, int64 (M,), none twice; ``UNMATCHED`` where none is left.

    Exact matches are dealt first, then those 1 off, and so on to ``tolerance``, at random among equals. ``wanted`` (M,)
    and ``available`` (K,), the candidates' numbers, are integers from 0 to ``length``.
    """
    waiting = _by_number(wanted, length, draw)
    stock = _by_number(available, length, draw)
    chosen = np.full(len(wanted), UNMATCHED, dtype=np.int64)
    for difference in range(tolerance + 1):
        for number in range(length + 1):
            sides = {number - difference, number + difference} & set(range(length + 1))
            # The larger stock first, which spares the scarcer.
            for side in sorted(sides, key=lambda value: (-len(stock[value]), value)):
                dealt = min(len(waiting[number]), len(stock[side]))
                chosen[waiting[number][:dealt]] = stock[side][:dealt]
                waiting[number], stock[side] = waiting[number][dealt:], stock[side][dealt:]
    return chosen


def _by_number(values: np.ndarray, length: int, draw: np.random.Generator) -> list[np.ndarray]:
    """Return the indices of each number from 0 to ``length``, in random order."""
    shuffled = draw.permutation(len(values)).astype(np.min_scalar_type(len(values)))
    # NumPy radix-sorts integers of 16 bits, ten times as fast as others.
    small = values.astype(np.min_scalar_type(length))
    order = shuffled[np.argsort(small[shuffled], kind="stable")]
    return np.split(order, np.searchsorted(small[order], np.arange(1, length + 1, dtype=small.dtype)))


def _composition(codes: np.ndarray, start: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of G and C of each window of a chromosome, and whether it holds an N."""
    gc = np.zeros(len(start), dtype=np.min_scalar_type(length))
    unknown = np.zeros(len(start), dtype=bool)
    for first in range(0, len(start), _BLOCK_ROWS):
        rows = slice(first, first + _BLOCK_ROWS)
        block = windows_at(codes, start[rows], length)
        gc[rows] = _is_gc(block).sum(axis=1, dtype=gc.dtype)
        unknown[rows] = block.max(axis=1) > 3
    return gc, unknown


def _is_gc(codes: np.ndarray) -> np.ndarray:
    # C and G are the codes 1 and 2, so bit 1 of the code plus one is set for them alone.
    return ((codes + np.uint8(1)) >> np.uint8(1)) & np.uint8(1)


def flanks(task: Task, parents: np.ndarray, draw: np.random.Generator) -> Negatives:
    """Take for each parent a window beside its peak that touches no peak, no N and no other flank.

    Side and distance are drawn uniformly; where the peak itself reaches farther than ``flank_nearest``, distances count
    from its end. An unusable position is drawn again, up to 64 times.
    """
    windows = task.windows.iloc[parents]
    chrom, summit = windows.chrom.to_numpy(dtype=object), windows.summit.to_numpy(np.int64)
    nearest, spread = _nearest(windows, task), task.settings.flank_farthest - task.settings.flank_nearest
    start = np.zeros(len(parents), dtype=np.int64)
    waiting = np.arange(len(parents))
    axis = _Axis(task)
    for _ in range(_TRIES):
        side = draw.integers(0, 2, size=len(waiting))
        distance = nearest[side, waiting] + draw.integers(0, spread, size=len(waiting), endpoint=True)
        proposed = window_start(summit[waiting] + (2 * side - 1) * distance, task.length)
        usable = _usable(task, chrom[waiting], proposed)
        usable[usable] = axis.take(chrom[waiting][usable], proposed[usable])
        start[waiting[usable]] = proposed[usable]
        waiting = waiting[~usable]
        if not len(waiting):
            break
    found = np.delete(np.arange(len(parents)), waiting)
    return Negatives.placed(task, chrom[found], start[found], parents[found], task.sources("flanks", parents[found]))


def other_peaks(task: Task, parents: np.ndarray, draw: np.random.Generator) -> Negatives:
    """Take windows around summits of other factors' peaks, away from this factor's, drawn uniformly.

    They belong to no positive. Of windows that overlap one another the strongest peak's is kept.
    """
    if task.others is None or task.others.empty:
        raise InputError("negatives: other_peaks needs peak files of other factors in the same cell; none was given")
    others = task.others[task.others.chrom.isin(list(task.free.starts))].reset_index(drop=True)
    start = window_start(others.summit.to_numpy(), task.length)
    usable = _usable(task, others.chrom.to_numpy(dtype=object), start)
    others, start = others[usable].reset_index(drop=True), start[usable]
    apart = np.flatnonzero(~near_stronger(others, task.length))
    rows = np.sort(draw.permutation(apart)[: len(parents)])
    source = np.array([f"other_peaks:{name}" for name in others.name.to_numpy()[rows]], dtype=np.str_)
    return Negatives.placed(task, others.chrom.to_numpy(dtype=object)[rows], start[rows], None, source)


def _nearest(windows: pd.DataFrame, task: Task) -> np.ndarray:
    """Return the least distance from summit to flank centre on the left and on the right, int64 (2, N)."""
    summit, left = windows.summit.to_numpy(np.int64), task.length // 2
    before = summit - windows.peak_start.to_numpy(np.int64) + task.length - left
    after = windows.peak_end.to_numpy(np.int64) - summit + left
    return np.maximum(task.settings.flank_nearest, np.stack([before, after]))


def _usable(task: Task, chrom: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return bool per window: it is free, within its chromosome and without N."""
    usable = task.free.holds(chrom, start, start + task.length)
    codes = task.genome.windows(chrom[usable], start[usable], task.length)
    usable[usable] = (codes != UNKNOWN).all(axis=1)
    return usable


class _Axis:
    """Windows taken so far, which never overlap, on one axis for all chromosomes."""

    def __init__(self, task: Task) -> None:
        sizes = [task.genome.sizes[chrom] for chrom in task.free.starts]
        # A window's length between chromosomes, so that none reaches into the next.
        ends = np.cumsum([size + task.length for size in sizes])
        self._first = dict(zip(task.free.starts, [0, *ends[:-1]], strict=True))
        self._length = task.length
        self._taken = np.zeros(0, dtype=np.int64)

    def take(self, chrom: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Take the windows that overlap neither a taken one nor the one before them; return which, bool (N,)."""
        place = np.array([self._first[name] for name in chrom], dtype=np.int64) + start
        order = np.argsort(place, kind="stable")
        apart = np.ones(len(place), dtype=bool)
        apart[order[1:]] = np.diff(place[order]) >= self._length
        bounds = np.concatenate([[-self._length], self._taken, [np.iinfo(np.int64).max]])
        after = np.searchsorted(bounds, place, side="right")
        apart &= (place - bounds[after - 1] >= self._length) & (bounds[after] - place >= self._length)
        self._taken = np.sort(np.concatenate([self._taken, place[apart]]))
        return apart
