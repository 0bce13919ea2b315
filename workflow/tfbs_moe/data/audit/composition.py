"""Measure how well k-mer composition alone separates bound from unbound sequences."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.model_selection import GroupKFold

from tfbs_moe import runtime
from tfbs_moe.data.dataset import Dataset, subset
from tfbs_moe.data.related import draw_groups, row_groups
from tfbs_moe.errors import InputError
from tfbs_moe.numeric import auroc
from tfbs_moe.sequence import UNKNOWN, codes_from_one_hot

KMER_LENGTHS = (1, 2, 3, 6)
MAX_KMER_LENGTH = 8
FOLDS = 5
MAX_ROWS = 2_000
# Inverse strength of the L2 penalty by k: a small test set has fewer sequences than there are 6-mers.
_PENALTIES = {1: 1e3, 2: 1e2, 3: 1e1}
_PENALTY_OF_LONG_KMERS = 0.01
_ITERATIONS = 300
_DENSE = 4**3


def composition_auroc(
    dataset: Dataset,
    *,
    kmer_lengths: tuple[int, ...] = KMER_LENGTHS,
    folds: int = FOLDS,
    max_rows: int = MAX_ROWS,
    seed: int = 0,
    name: str = "",
) -> pd.DataFrame:
    """Cross-validate logistic regression on k-mer counts; return ``kmer_length``, ``auroc`` and ``rows`` used per k.

    Pairs and repeats of a sequence stay in one fold. With pairs of the same composition the AUROC is 0.5 and no network
    can use composition; far from 0.5, a network can be right without having learned a motif. The AUROC is the mean over
    folds, missing where a class has too few sequences for them. A dataset above ``max_rows`` is subsampled to about
    that by groups.
    """
    if not all(1 <= k <= MAX_KMER_LENGTH for k in kmer_lengths):
        raise InputError(f"k-mer lengths must be 1 to {MAX_KMER_LENGTH}; they are {kmer_lengths}")
    codes = codes_from_one_hot(dataset.one_hot)
    groups = row_groups(codes, dataset.pair)
    if len(dataset) > max_rows:
        kept = draw_groups(groups, max_rows / len(dataset), runtime.rng(seed, "composition rows", name))
        dataset, codes, groups = subset(dataset, kept), codes[kept], groups[kept]
    splits = _folds(dataset.label, groups, folds, runtime.named_seed(seed, "composition folds", name))
    penalties = {k: _PENALTIES.get(k, _PENALTY_OF_LONG_KMERS) for k in kmer_lengths}
    scores = {k: _mean_auroc(kmer_counts(codes, k), dataset.label, splits, penalties[k]) for k in kmer_lengths}
    return pd.DataFrame({"kmer_length": list(scores), "auroc": list(scores.values()), "rows": len(dataset)})


def kmer_counts(codes: np.ndarray, k: int) -> csr_array:
    """Count the k-mers without N of codes uint8 (N, L): sparse float64 (N, 4**k), in alphabetical order."""
    width = max(0, codes.shape[1] - k + 1)
    kmer = np.zeros((len(codes), width), dtype=np.int64)
    known = np.ones((len(codes), width), dtype=bool)
    for offset in range(k):
        bases = codes[:, offset : offset + width]
        kmer = kmer * 4 + (bases & 3)
        known &= bases != UNKNOWN
    rows = np.broadcast_to(np.arange(len(codes))[:, None], kmer.shape)[known]
    return csr_array((np.ones(len(rows)), (rows, kmer[known])), shape=(len(codes), 4**k))


def _folds(label: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the (train, test) rows of each fold, or nothing where a fold would lack a class."""
    if len(np.unique(groups)) < folds:
        return []
    # scikit-learn takes seeds of 32 bits.
    shuffled = GroupKFold(folds, shuffle=True, random_state=seed % 2**32)
    splits = list(shuffled.split(groups, groups=groups))
    whole = all(len(np.unique(label[part])) == 2 for split in splits for part in split)
    return splits if whole else []


def _mean_auroc(
    counts: csr_array, label: np.ndarray, splits: list[tuple[np.ndarray, np.ndarray]], penalty: float
) -> float:
    if not splits:
        return float("nan")
    return float(
        np.mean(
            [
                auroc(label[test], counts[test] @ _weights(counts[train], label[train], penalty))
                for train, test in splits
            ]
        )
    )


def _weights(counts: csr_array, label: np.ndarray, penalty: float) -> np.ndarray:
    """Return the weight (W,) of each k-mer in the logistic regression of labels (N,) on counts (N, W).

    It is that of scikit-learn's ``LogisticRegression``, whose input checks take far longer than the many small fits
    here.
    """
    # Scaled but not centred, so that the counts stay sparse.
    scale = counts.max(axis=0).toarray().ravel()
    scale[scale == 0] = 1
    sign = np.where(label, 1.0, -1.0)
    # Of short kmers hardly any count is 0.
    held, turned = (counts.toarray(), counts.T.toarray()) if counts.shape[1] <= _DENSE else (counts, counts.T.tocsr())

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return mean log loss and penalty of weights and intercept (W + 1,), and the gradient."""
        weight = beta[:-1] / scale
        margin = sign * (held @ weight + beta[-1])
        slope = -sign * expit(-margin) / len(sign)
        shrunk = beta[:-1] / (penalty * len(sign))
        value = np.logaddexp(0, -margin).mean() + beta[:-1] @ shrunk / 2
        return float(value), np.append(turned @ slope / scale + shrunk, slope.sum())

    found = minimize(
        loss,
        np.zeros(counts.shape[1] + 1),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ITERATIONS, "maxls": 50, "gtol": 1e-4, "ftol": 64 * np.finfo(float).eps},
    )
    return np.asarray(found.x[:-1] / scale)
