"""Metrics: against scikit-learn, and on cases with known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.metrics import (
    MetricSettings,
    Ranked,
    auprc,
    auroc,
    curve_metrics,
    enrichment_at,
    mean_metrics,
    row_losses,
    sensitivity_at,
)


def ones(count):
    return np.ones((1, count), dtype=np.uint8)


def sigmoid(logit):
    return 1 / (1 + np.exp(-logit))


@st.composite
def weighted_scores(draw):
    count = draw(st.integers(2, 40))
    label = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    label[:2] = [True, False]
    # Few distinct scores, so that ties are common.
    logit = np.array(draw(st.lists(st.integers(-4, 4), min_size=count, max_size=count)), dtype=float)
    weights = np.array(draw(st.lists(st.integers(0, 5), min_size=count, max_size=count)), dtype=np.uint8)
    weights[:2] = np.maximum(weights[:2], 1)
    return label, logit, weights


@settings(max_examples=60)
@given(weighted_scores())
def test_weighted_metrics_agree_with_scikit_learn(case):
    label, logit, weights = case
    chosen = MetricSettings(calibration_bins=5)
    curve = Ranked(label, logit).curve(weights[None])
    found = curve_metrics(curve, chosen) | mean_metrics(row_losses(label, logit, sigmoid(logit), 5), weights[None])
    probability = sigmoid(logit)
    expected = {
        "auroc": sk.roc_auc_score(label, logit, sample_weight=weights),
        "auprc": sk.average_precision_score(label, logit, sample_weight=weights),
        "auprc_baseline": np.average(label, weights=weights),
        "log_loss": sk.log_loss(label, probability, sample_weight=weights, labels=[False, True]),
        "brier": sk.brier_score_loss(label, probability, sample_weight=weights),
    }
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, abs=1e-9), name


@settings(max_examples=60)
@given(weighted_scores())
def test_a_weight_is_the_same_as_a_row_that_often(case):
    label, logit, weights = case
    repeated = np.repeat(np.arange(len(label)), weights)
    chosen = MetricSettings()
    by_weight = curve_metrics(Ranked(label, logit).curve(weights[None]), chosen)
    by_row = curve_metrics(Ranked(label[repeated], logit[repeated]).curve(ones(len(repeated))), chosen)
    for name, value in by_row.items():
        assert by_weight[name][0] == pytest.approx(value[0], abs=1e-12), name


def test_constant_scores_say_nothing():
    label = np.repeat([True, False], [3, 5])
    curve = Ranked(label, np.zeros(8)).curve(ones(8))
    assert auroc(curve)[0] == 0.5
    assert auprc(curve)[0] == pytest.approx(3 / 8)
    assert enrichment_at(curve, 0.5)[0] == pytest.approx(1)
    assert sensitivity_at(curve, 0.9)[0] == 0


def test_perfect_and_reversed_scores():
    label = np.repeat([True, False], 4)
    up, down = (Ranked(label, sign * label.astype(float)).curve(ones(8)) for sign in (1, -1))
    assert (auroc(up)[0], auroc(down)[0]) == (1, 0)
    assert sensitivity_at(up, 0.99)[0] == 1
    assert enrichment_at(up, 0.25)[0] == 2


def test_sensitivity_is_the_highest_allowed_point_of_the_roc_curve():
    rng = np.random.default_rng(3)
    label = rng.random(500) < 0.4
    logit = rng.normal(size=500) + label
    false_rate, true_rate, _ = sk.roc_curve(label, logit, drop_intermediate=False)
    for specificity in (0.8, 0.9, 0.95, 0.99):
        expected = true_rate[false_rate <= 1 - specificity + 1e-12].max()
        assert sensitivity_at(Ranked(label, logit).curve(ones(500)), specificity)[0] == pytest.approx(expected)


def test_sensitivity_keeps_a_threshold_that_meets_the_specificity_exactly():
    # One of ten negatives lies above: specificity is 0.9, which has no exact binary form.
    label = np.r_[np.ones(10), np.zeros(10)].astype(bool)
    logit = np.r_[np.full(10, 2.0), [3.0], np.arange(9) - 20.0]
    assert sensitivity_at(Ranked(label, logit).curve(ones(20)), 0.9)[0] == 1


def test_calibration_error_of_a_hand_made_case():
    # Two bins: [0, .5) predicts .25 where half are bound, [.5, 1] predicts .75 where all are.
    label = np.array([True, False, True, True])
    probability = np.array([0.25, 0.25, 0.75, 0.75])
    logit = np.log(probability / (1 - probability))
    found = mean_metrics(row_losses(label, logit, probability, 2), ones(4))
    assert found["calibration_error"][0] == pytest.approx(0.5 * 0.25 + 0.5 * 0.25)


def test_log_loss_of_extreme_logits_is_finite():
    logit = np.array([800.0, -800.0])
    found = mean_metrics(row_losses(np.array([False, True]), logit, np.array([1.0, 0.0]), 10), ones(2))
    assert found["log_loss"][0] == 800


def test_without_a_class_ranking_metrics_are_missing_and_losses_are_not():
    label = np.ones(4, dtype=bool)
    logit = np.arange(4.0)
    found = curve_metrics(Ranked(label, logit).curve(ones(4)), MetricSettings())
    assert np.isnan(found["auroc"][0])
    assert found["auprc"][0] == 1
    losses = mean_metrics(row_losses(label, logit, sigmoid(logit), 10), ones(4))
    assert np.isfinite(losses["log_loss"][0])


def test_a_model_without_probabilities_has_no_losses():
    label = np.array([True, False])
    found = mean_metrics(row_losses(label, np.array([5.0, 7.0]), np.full(2, np.nan), 10), ones(2))
    assert all(np.isnan(value[0]) for value in found.values())


@pytest.mark.parametrize("wrong", [{"specificity": 1.0}, {"enrichment_fraction": 0}, {"calibration_bins": 1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        MetricSettings(**wrong)
