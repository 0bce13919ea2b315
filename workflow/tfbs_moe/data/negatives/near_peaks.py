"""Genomic negatives near bound sites: flanks of the same peaks, and peaks of other factors."""

import numpy as np
import pandas as pd

from tfbs_moe.data.negatives.candidates import Negatives, Task
from tfbs_moe.data.windows import near_stronger, window_start
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import UNKNOWN

_TRIES = 64  # positions per positive before it goes without a flank


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
