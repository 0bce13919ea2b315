"""ROC and precision-recall curves on a common grid, averaged over seeds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tfbs_moe.evaluation.metrics import TOLERANCE, Curve, Ranked
from tfbs_moe.evaluation.scores import Scores, read_scores

GRID_POINTS = 201
CURVE_COLUMNS = (
    "protocol",
    "model",
    "experiment",
    "factor",
    "cell",
    "set",
    "stratum",
    "negatives",
    "curve",
    "x",
    "y",
    "lower",
    "upper",
    "seeds",
)


def curve_points(
    predictions: pd.DataFrame | Scores, identity: Mapping[str, object], points: int = GRID_POINTS
) -> pd.DataFrame:
    """Return the ROC and the precision-recall curve of every model on one dataset.

    ``roc``: x is the false positive rate, y the true positive rate, on straight lines between thresholds.
    ``precision_recall``: x is the recall, y the precision at the highest threshold that reaches it.

    Args:
        predictions: predictions of one dataset.
        identity: see ``evaluate``.
        points: of the grid over x.

    Returns:
        One row per model × curve × point: the mean over seeds, and the lowest and highest seed. None for a
        dataset that lacks a class.
    """
    scores = predictions if isinstance(predictions, Scores) else read_scores(predictions)
    if scores.label.all() or not scores.label.any():
        return pd.DataFrame(columns=list(CURVE_COLUMNS))
    grid = np.linspace(0, 1, points)
    weights = np.ones((1, len(scores.row)), dtype=np.uint8)
    frames = []
    for model in scores.names():
        curves = [Ranked(scores.label, scores.of(model, seed)).curve(weights) for seed in scores.seeds(model)]
        for name, sample in (("roc", _roc), ("precision_recall", _precision_recall)):
            y = np.stack([sample(curve, grid) for curve in curves])
            found = {"y": y.mean(axis=0), "lower": y.min(axis=0), "upper": y.max(axis=0), "seeds": len(curves)}
            frames.append(pd.DataFrame({**identity, "model": model, "curve": name, "x": grid, **found}))
    return pd.concat(frames, ignore_index=True)[list(CURVE_COLUMNS)]


def _roc(curve: Curve, grid: np.ndarray) -> np.ndarray:
    """Return the true positive rate at each false positive rate of the grid."""
    # In counts, where what is meant to be equal is.
    at = _whole(grid * curve.negatives[0])
    x = np.concatenate([[0], curve.false_positive[0]]).astype(np.float64)
    y = np.concatenate([[0], curve.true_positive[0] / curve.positives[0]])
    # Of several points above one x the last is the highest; where x itself is on the curve, take that one.
    exact = np.searchsorted(x, at, side="right") - 1
    return np.where(x[exact] == at, y[exact], np.interp(at, x, y))


def _precision_recall(curve: Curve, grid: np.ndarray) -> np.ndarray:
    """Return the precision at the first threshold that reaches each recall of the grid."""
    precision = curve.true_positive[0] / curve.above[0]
    at = _whole(grid * curve.positives[0])
    return np.asarray(precision[np.searchsorted(curve.true_positive[0].astype(np.float64), at, side="left")])


def _whole(counts: np.ndarray) -> np.ndarray:
    """Return counts, those that are whole but for rounding as whole ones."""
    nearest = np.round(counts)
    return np.where(np.abs(counts - nearest) < TOLERANCE * np.maximum(nearest, 1), nearest, counts)
