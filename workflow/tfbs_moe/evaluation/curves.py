"""ROC and precision-recall curves averaged over seeds, and reliability curves."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tfbs_moe.evaluation.metrics import Ranked, calibration_bin
from tfbs_moe.evaluation.metrics_with_intervals import IDENTITY, LEVEL, RESULT_KEYS
from tfbs_moe.evaluation.scores import Scores, read_scores

GRID_POINTS = 201
# Relative distance from a whole number that counts as rounding error.
TOLERANCE = 1e-9
CURVE_COLUMNS = (
    "protocol", "model", "experiment", "factor", "cell", "set", "stratum", "negatives", "curve", "x", "y", "lower",
    "upper", "seeds",
)  # fmt: skip


def curve_points(
    predictions: pd.DataFrame | Scores, identity: Mapping[str, object], points: int = GRID_POINTS
) -> pd.DataFrame:
    """Return the ROC and the precision-recall curve of every model on one dataset, columns ``CURVE_COLUMNS``.

    ``roc``: x is the false positive rate, y the true positive rate, linear between thresholds. ``precision_recall``: x
    is the recall, y the precision at the highest threshold that reaches it. One row per model × curve × point holds the
    mean over seeds and the lowest and highest seed; none for a dataset that lacks a class.
    """
    scores = predictions if isinstance(predictions, Scores) else read_scores(predictions)
    if scores.label.all() or not scores.label.any():
        return pd.DataFrame(columns=list(CURVE_COLUMNS))
    grid = np.linspace(0, 1, points)
    kinds = {"roc": _roc, "precision_recall": _precision_recall}
    which, seeds, curves = [], [], []
    for model in scores.names():
        counts = [Ranked(scores.label, scores.of(model, seed)).counts() for seed in scores.seeds(model)]
        for name, sample in kinds.items():
            y = np.stack([sample(true, false, grid) for true, false in counts])
            curves.append([y.mean(axis=0), y.min(axis=0), y.max(axis=0)])
            which.append((model, name))
            seeds.append(len(counts))
    # One DataFrame for all: making one for each takes longer than the curves.
    models, names = np.repeat(np.array(which, dtype=object), points, axis=0).T
    y, lower, upper = np.concatenate(curves, axis=1)
    found = {"model": models, "curve": names, "x": np.tile(grid, len(which)), "y": y, "lower": lower, "upper": upper}
    return pd.DataFrame({**identity, **found, "seeds": np.repeat(seeds, points)})[list(CURVE_COLUMNS)]


def _roc(true_positive: np.ndarray, false_positive: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return the true positive rate at each false positive rate of the grid, from the counts at each threshold (G,)."""
    # Counts, not rates, so that equal values compare equal.
    at = _whole(grid * false_positive[-1])
    x = np.concatenate([[0], false_positive]).astype(np.float64)
    y = np.concatenate([[0], true_positive / true_positive[-1]])
    # Of several points at one x the last is the highest; use it where x itself is on the curve.
    exact = np.searchsorted(x, at, side="right") - 1
    return np.where(x[exact] == at, y[exact], np.interp(at, x, y))


def _precision_recall(true_positive: np.ndarray, false_positive: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return the precision at the first threshold that reaches each recall of the grid."""
    precision = true_positive / (true_positive + false_positive)
    at = _whole(grid * true_positive[-1])
    return np.asarray(precision[np.searchsorted(true_positive.astype(np.float64), at, side="left")])


def _whole(counts: np.ndarray) -> np.ndarray:
    """Round counts that are whole but for rounding error."""
    nearest = np.round(counts)
    return np.where(np.abs(counts - nearest) < TOLERANCE * np.maximum(nearest, 1), nearest, counts)


BINS = 10
RELIABILITY_COLUMNS = (*RESULT_KEYS, "bin", "bin_lower", "bin_upper", "predicted", "observed", "lower", "upper", "n")


def reliability(
    scores: Scores, identity: Mapping[str, object], *, bins: int = BINS, level: float = LEVEL
) -> pd.DataFrame:
    """Return the reliability curve of every model and seed on one dataset, one row per model × seed × non-empty bin.

    Bins have equal width over the predicted probability. A row holds the mean predicted probability and the observed
    fraction of bound examples with its exact, conservative interval (Clopper and Pearson 1934). A model without
    probabilities has no rows.
    """
    # A slow import that most jobs do not need.
    from scipy import stats

    records: list[dict[str, object]] = []
    for (model, seed), probability in zip(scores.models, scores.probability, strict=True):
        if np.isnan(probability).any():
            continue
        place = calibration_bin(probability, bins)
        for index in np.unique(place):
            rows = place == index
            bound, count = int(scores.label[rows].sum()), int(rows.sum())
            interval = stats.binomtest(bound, count).proportion_ci(level, method="exact")
            records.append(
                {name: identity[name] for name in IDENTITY}
                | {"model": model, "seed": seed, "bin": int(index), "n": count}
                | {"bin_lower": index / bins, "bin_upper": (index + 1) / bins}
                | {"predicted": float(probability[rows].mean()), "observed": bound / count}
                | {"lower": interval.low, "upper": interval.high}
            )
    return pd.DataFrame(records, columns=list(RELIABILITY_COLUMNS))
