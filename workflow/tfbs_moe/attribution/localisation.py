"""Attribution against the truth: does it point at the sites that are known to be there?"""

import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt
from scipy.stats import rankdata

from tfbs_moe.errors import InputError

SITE_COLUMNS = ("chrom", "start", "end")
METRICS = ("average_precision", "auroc", "peak_hit", "distance")


def position_score(attribution: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Return how strongly each position is pointed at (N, L): |attribution × input| of the base that is there."""
    if attribution.shape != X.shape:
        raise InputError(f"attribution has shape {attribution.shape} beside sequences of shape {X.shape}")
    return np.abs((attribution * X).sum(axis=1))


def site_mask(sites: pd.DataFrame, chrom: np.ndarray, start: np.ndarray, strand: np.ndarray, length: int) -> np.ndarray:
    """Mark the positions of windows that lie within known sites.

    Args:
        sites: ``chrom``, ``start`` (0-based), ``end`` (exclusive), one row per site.
        chrom: (N,) of the windows.
        start: (N,) of the windows, 0-based.
        strand: (N,) of the windows; a window on ``-`` is stored as its reverse complement.
        length: bases per window.

    Returns:
        bool (N, length). A site that reaches beyond a window is marked as far as the window goes.

    Raises:
        InputError: a column is missing or a site ends before it starts.
    """
    missing = [column for column in SITE_COLUMNS if column not in sites.columns]
    if missing:
        raise InputError(f"the table of known sites lacks the column(s) {', '.join(missing)}")
    wrong = sites.index[sites["end"] <= sites["start"]]
    if len(wrong):
        raise InputError(f"the table of known sites, row {wrong[0]}: the end must lie behind the start")
    mask = np.zeros((len(chrom), length), dtype=bool)
    for name, group in sites.groupby("chrom", sort=False):
        ordered = group.sort_values(["start", "end"])
        starts, ends = ordered["start"].to_numpy(), ordered["end"].to_numpy()
        widest = int((ends - starts).max())
        for row in np.flatnonzero(chrom == name):
            left = int(start[row])
            # Sites are sorted by start alone, so one that reaches in may start as far back as the widest is long.
            first, last = np.searchsorted(starts, [left - widest, left + length])
            for site_start, site_end in zip(starts[first:last], ends[first:last], strict=True):
                mask[row, max(site_start - left, 0) : max(min(site_end - left, length), 0)] = True
    mask[strand == "-"] = mask[strand == "-", ::-1]
    return mask


def localise(score: np.ndarray, mask: np.ndarray) -> pd.DataFrame:
    """Judge position scores against known sites, sequence by sequence.

    Args:
        score: (N, L), see ``position_score``.
        mask: bool (N, L), True within a site.

    Returns:
        One row per sequence: ``average_precision`` and ``auroc`` over positions (NaN where the mask is all
        of one kind), ``peak_hit`` (1 where the strongest position lies in a site; ties share), ``distance``
        (bases from the strongest position to the nearest site, 0 within one; ties averaged), ``site_share``
        (the share of positions within sites: the average precision of chance).

    Raises:
        InputError: shapes differ or a score is not finite.
    """
    if score.shape != mask.shape or score.ndim != 2:
        raise InputError(f"scores and mask must both be (N, L); they are {score.shape} and {mask.shape}")
    if not np.isfinite(score).all():
        raise InputError(f"sequence {np.argwhere(~np.isfinite(score))[0][0]} has a score that is not finite")
    mask = mask.astype(bool)
    positives = mask.sum(axis=1)
    judged = (positives > 0) & (positives < mask.shape[1])
    peak = score == score.max(axis=1, keepdims=True)
    peaks = peak.sum(axis=1)
    distance = np.array([distance_transform_edt(~row) if row.any() else np.full(len(row), np.nan) for row in mask])
    distance = distance.reshape(mask.shape)
    return pd.DataFrame(
        {
            "average_precision": np.where(judged, _average_precision(score, mask), np.nan),
            "auroc": np.where(judged, _auroc(score, mask), np.nan),
            "peak_hit": np.where(positives > 0, (peak & mask).sum(axis=1) / peaks, np.nan),
            "distance": np.where(peak, distance, 0).sum(axis=1) / peaks,
            "site_share": mask.mean(axis=1),
        }
    )


def _average_precision(score: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean over site positions of the precision at their own score, ties on one threshold."""
    called = rankdata(-score, method="max", axis=1)
    # Positions outside sites are ranked behind all others: what is left counts site positions alone.
    found = rankdata(np.where(mask, -score, np.inf), method="max", axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(mask, found / called, 0).sum(axis=1) / mask.sum(axis=1)


def _auroc(score: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Area under the ROC curve over positions, from the rank sum."""
    positives = mask.sum(axis=1)
    ranks = np.where(mask, rankdata(score, axis=1), 0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (ranks - positives * (positives + 1) / 2) / (positives * (mask.shape[1] - positives))
