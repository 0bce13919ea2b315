"""Localisation: whether attributions point at known sites."""

import numpy as np
import pandas as pd

from tfbs_moe.attribution.evaluation.agreement import ranks
from tfbs_moe.errors import InputError

SITE_COLUMNS = ("chrom", "start", "end")
METRICS = ("average_precision", "auroc", "peak_hit", "distance")


def position_score(attribution: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Return the score of each position (N, L): |attribution × input| of the base that is present."""
    if attribution.shape != X.shape:
        raise InputError(f"attribution has shape {attribution.shape} for sequences of shape {X.shape}")
    return np.abs((attribution * X).sum(axis=1))


def site_mask(sites: pd.DataFrame, chrom: np.ndarray, start: np.ndarray, strand: np.ndarray, length: int) -> np.ndarray:
    """Mark positions within known sites (clipped), bool (N, length); ``-`` windows are stored reverse-complemented."""
    missing = [column for column in SITE_COLUMNS if column not in sites.columns]
    if missing:
        raise InputError(f"the table of known sites lacks the column(s) {', '.join(missing)}")
    wrong = sites.index[sites["end"] <= sites["start"]]
    if len(wrong):
        raise InputError(f"the table of known sites, row {wrong[0]}: the end must lie after the start")
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
    evaluated = (positives > 0) & (positives < mask.shape[1])
    peak = score == score.max(axis=1, keepdims=True)
    peaks = peak.sum(axis=1)
    # Importing scipy.ndimage, which has such distances, takes half a second in each of many jobs.
    place = np.arange(mask.shape[1])
    before = place - np.maximum.accumulate(np.where(mask, place, -np.inf), axis=1)
    after = np.minimum.accumulate(np.where(mask, place, np.inf)[:, ::-1], axis=1)[:, ::-1] - place
    distance = np.where(positives[:, None] > 0, np.minimum(before, after), np.nan)
    return pd.DataFrame(
        {
            "average_precision": np.where(evaluated, _average_precision(score, mask), np.nan),
            "auroc": np.where(evaluated, _auroc(score, mask), np.nan),
            "peak_hit": np.where(positives > 0, (peak & mask).sum(axis=1) / peaks, np.nan),
            "distance": np.where(peak, distance, 0).sum(axis=1) / peaks,
            "site_share": mask.mean(axis=1),
        }
    )


def _average_precision(score: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the mean over site positions of the precision at their own score, ties on one threshold."""
    called = ranks(-score, ties="max")
    # With positions outside sites ranked last, the ranks count site positions alone.
    found = ranks(np.where(mask, -score, np.inf), ties="max")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(mask, found / called, 0).sum(axis=1) / mask.sum(axis=1)


def _auroc(score: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve over positions, from the rank sum."""
    positives = mask.sum(axis=1)
    rank_sum = np.where(mask, ranks(score), 0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (rank_sum - positives * (positives + 1) / 2) / (positives * (mask.shape[1] - positives))


PROFILE_COLUMNS = ("offset", "value", "sd", "n", "site_share")


def sites_in_windows(
    sites: pd.DataFrame, chrom: np.ndarray, start: np.ndarray, strand: np.ndarray, length: int
) -> pd.DataFrame:
    """Return the known sites that lie entirely within a window, in the window's coordinates and strand.

    ``start`` (N,) is 0-based; windows on ``-`` are stored reverse-complemented. Rows are sorted by ``sequence``
    (the index of the window) and ``start``.
    """
    missing = [column for column in (*SITE_COLUMNS, "strand") if column not in sites.columns]
    if missing:
        raise InputError(f"the table of known sites lacks the column(s) {', '.join(missing)}")
    windows = pd.DataFrame({"sequence": np.arange(len(chrom)), "chrom": chrom, "left": start, "turned": strand == "-"})
    both = windows.merge(sites[[*SITE_COLUMNS, "strand"]], on="chrom")
    both = both[(both["start"] >= both["left"]) & (both["end"] <= both["left"] + length)]
    first = (both["start"] - both["left"]).to_numpy(dtype=int)
    last = (both["end"] - both["left"]).to_numpy(dtype=int)
    turned = both["turned"].to_numpy(dtype=bool)
    table = pd.DataFrame(
        {
            "sequence": both["sequence"].to_numpy(dtype=int),
            "start": np.where(turned, length - last, first),
            "end": np.where(turned, length - first, last),
            "strand": np.where((both["strand"] == "-").to_numpy() ^ turned, "-", "+"),
        }
    )
    return table.sort_values(["sequence", "start"], ignore_index=True)


def site_profiles(score: np.ndarray, sites: pd.DataFrame, *, reach: int = 30) -> pd.DataFrame:
    """Average position scores (N, L) around the midpoints of ``sites_in_windows``, in each site's orientation.

    Scores are in units of their sequence's mean. Returns a row per offset from -reach to reach, with ``n`` the
    sites whose sequence reaches that far and ``site_share`` the fraction of these that cover the offset; no rows
    without sites.
    """
    if sites.empty:
        return pd.DataFrame(columns=list(PROFILE_COLUMNS))
    offsets = np.arange(-reach, reach + 1)
    level = score.mean(axis=1, keepdims=True)
    relative = np.divide(score, level, out=np.zeros_like(score, dtype=float), where=level > 0)
    sequence, first, last = (sites[name].to_numpy(dtype=int) for name in ("sequence", "start", "end"))
    turned = (sites["strand"] == "-").to_numpy()[:, None]
    # The midpoint of an even-width site is the first of its two middle bases on the site's own strand.
    middle = (first + last - 1)[:, None] // 2 + (turned & ((last - first) % 2 == 0)[:, None])
    place = middle + np.where(turned, -offsets, offsets)
    inside = (place >= 0) & (place < score.shape[1])
    value = np.where(inside, relative[sequence[:, None], place.clip(0, score.shape[1] - 1)], np.nan)
    within = inside & (place >= first[:, None]) & (place < last[:, None])
    count = inside.sum(axis=0)
    safe = np.maximum(count, 1)
    mean = np.nansum(value, axis=0) / safe
    spread = np.sqrt(np.nansum((value - mean) ** 2, axis=0) / np.maximum(count - 1, 1))
    return pd.DataFrame(
        {
            "offset": offsets,
            "value": np.where(count > 0, mean, np.nan),
            "sd": np.where(count > 1, spread, np.nan),
            "n": count,
            "site_share": within.sum(axis=0) / safe,
        }
    )
