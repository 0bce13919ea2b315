"""How good a network is between epochs: loss and AUROC on the validation rows."""

import numpy as np


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve of scores (N,) for labels (N,) of 0 and 1.

    The Mann-Whitney statistic: the share of pairs in which the positive scores higher, ties counting
    half. NaN where a class is missing, or a score is no number: it can be compared with none.
    """
    if np.isnan(scores).any():
        return float("nan")
    positives, negatives = scores[labels > 0], np.sort(scores[labels <= 0])
    if not len(positives) or not len(negatives):
        return float("nan")
    below, not_above = (np.searchsorted(negatives, positives, side=side) for side in ("left", "right"))
    return float((below.sum() + not_above.sum()) / (2 * len(positives) * len(negatives)))


def batch_mean_auroc(labels: np.ndarray, scores: np.ndarray, batch_size: int) -> float:
    """Return the mean of the AUROCs of consecutive batches, as the authors compute it.

    Batches with one class have no AUROC and are left out; where all are, it is the AUROC of all rows.
    """
    starts = range(0, len(labels), batch_size)
    values = [auroc(labels[start : start + batch_size], scores[start : start + batch_size]) for start in starts]
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else auroc(labels, scores)
