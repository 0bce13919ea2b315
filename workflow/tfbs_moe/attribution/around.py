"""Aggregate profile of attributions around known sites."""

import numpy as np
import pandas as pd

from tfbs_moe.attribution.localisation import SITE_COLUMNS
from tfbs_moe.errors import InputError

COLUMNS = ("offset", "value", "sd", "n", "site_share")


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


def around_sites(score: np.ndarray, sites: pd.DataFrame, *, reach: int = 30) -> pd.DataFrame:
    """Average position scores (N, L) around the midpoints of ``sites_in_windows``, in each site's orientation.

    Scores are in units of their sequence's mean. Returns a row per offset from -reach to reach, with ``n`` the
    sites whose sequence reaches that far and ``site_share`` the fraction of these that cover the offset; no rows
    without sites.
    """
    if sites.empty:
        return pd.DataFrame(columns=list(COLUMNS))
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
