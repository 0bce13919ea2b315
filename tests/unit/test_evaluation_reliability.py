"""Reliability curves."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from tfbs_moe.evaluation.curves import reliability
from tfbs_moe.evaluation.scores import Scores


def scores_of(logit, label):
    count = len(label)
    return Scores(
        np.arange(count),
        label,
        np.full(count, -1),
        tuple((f"m{index}", 0) for index in range(len(logit))),
        logit,
        1 / (1 + np.exp(-logit)),
    )


IDENTITY = dict.fromkeys(["protocol", "experiment", "factor", "cell", "set", "stratum", "negatives"], "x")


def test_reliability_agrees_with_scikit_learn():
    rng = np.random.default_rng(2)
    label = rng.random(500) < 0.5
    scores = scores_of(rng.normal(size=(1, 500)) * 2 + label, label)
    table = reliability(scores, IDENTITY, bins=8)
    observed, predicted = calibration_curve(label, scores.probability[0], n_bins=8)
    assert table["observed"].to_numpy() == pytest.approx(observed)
    assert table["predicted"].to_numpy() == pytest.approx(predicted)
    assert table["n"].sum() == 500
    assert ((table["lower"] < table["observed"]) & (table["observed"] < table["upper"])).all()


def test_reliability_passes_over_models_without_probabilities():
    label = np.array([True, False])
    scores = scores_of(np.zeros((1, 2)), label)
    scores.probability[:] = np.nan
    assert reliability(scores, IDENTITY).empty
