"""Localisation: whether attributions point at known sites."""

import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt
from scipy.stats import rankdata

from tfbs_moe.errors import InputError

SITE_COLUMNS = ("chrom", "start", "end")
METRICS = ("average_precision", "auroc", "peak_hit", "distance")


def position_score(attribution: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Return the score of each position (N, L): |attribution × input| of the base that is present."""
    if attribution.shape != X.shape:
        raise InputError(f"attribution has shape {attribution.shape} beside sequences of shape {X.shape}")
    return np.abs((attribution * X).sum(axis=1))


def site_mask(sites: pd.DataFrame, chrom: np.ndarray, start: np.ndarray, strand: np.ndarray, length: int) -> np.ndarray:
    """Mark positions within known sites (clipped), bool (N, length); ``-`` windows are stored reverse-complemented."""
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
            # Sites are sorted by start alone: an overlapping one may start up to the largest width before the window.
            first, last = np.searchsorted(starts, [left - widest, left + length])
            for site_start, site_end in zip(starts[first:last], ends[first:last], strict=True):
                mask[row, max(site_start - left, 0) : max(min(site_end - left, length), 0)] = True
    mask[strand == "-"] = mask[strand == "-", ::-1]
    return mask


def localise(score: np.ndarray, mask: np.ndarray) -> pd.DataFrame:
    """Evaluate position scores (N, L) against known sites, bool (N, L): a row of metrics per sequence.

    ``average_precision`` and ``auroc`` are over positions, NaN where the mask is constant; ``peak_hit`` is 1 where the
    highest position lies in a site (ties count in proportion); ``distance`` is from there to the nearest site in bases
    (0 within one, ties averaged); ``site_share`` is the share of positions in sites, the average precision of chance.
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
    """Return the mean over site positions of the precision at their own score, ties on one threshold."""
    called = rankdata(-score, method="max", axis=1)
    # With positions outside sites ranked last, the ranks count site positions alone.
    found = rankdata(np.where(mask, -score, np.inf), method="max", axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(mask, found / called, 0).sum(axis=1) / mask.sum(axis=1)


def _auroc(score: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve over positions, from the rank sum."""
    positives = mask.sum(axis=1)
    ranks = np.where(mask, rankdata(score, axis=1), 0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (ranks - positives * (positives + 1) / 2) / (positives * (mask.shape[1] - positives))
