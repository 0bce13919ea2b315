"""AUROC on validation examples."""

import numpy as np


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the AUROC of scores (N,) for labels (N,) of 0 and 1; NaN if a class is missing or a score is NaN.

    The Mann-Whitney statistic: the fraction of pairs in which the positive scores higher, ties counting half.
    """
    if np.isnan(scores).any():
        return float("nan")
    positives, negatives = scores[labels > 0], np.sort(scores[labels <= 0])
    if not len(positives) or not len(negatives):
        return float("nan")
    below, not_above = (np.searchsorted(negatives, positives, side=side) for side in ("left", "right"))
    return float((below.sum() + not_above.sum()) / (2 * len(positives) * len(negatives)))


def batch_mean_auroc(labels: np.ndarray, scores: np.ndarray, batch_size: int) -> float:
    """Return the authors' mean AUROC of consecutive batches, skipping one-class ones; the overall AUROC if all are."""
    starts = range(0, len(labels), batch_size)
    values = [auroc(labels[start : start + batch_size], scores[start : start + batch_size]) for start in starts]
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else auroc(labels, scores)
