"""How good a network is between epochs: loss and AUROC on the validation rows."""

import numpy as np
from scipy.stats import rankdata


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve of scores (N,) for labels (N,) of 0 and 1.

    The Mann-Whitney statistic, ties counting half. NaN where a class is missing.
    """
    positive = labels > 0
    n_positive = int(positive.sum())
    n_negative = len(labels) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    rank_sum = rankdata(scores)[positive].sum()
    return float((rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def batch_mean_auroc(labels: np.ndarray, scores: np.ndarray, batch_size: int) -> float:
    """Return the mean of the AUROCs of consecutive batches, as the authors compute it.

    Batches with one class have no AUROC and are left out.
    """
    starts = range(0, len(labels), batch_size)
    values = [auroc(labels[start : start + batch_size], scores[start : start + batch_size]) for start in starts]
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
