"""Metrics: against scikit-learn, and on cases with known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.metrics import MetricSettings, Ranked, mean_metrics, ranking_metrics, row_losses


def ones(count):
    return np.ones((1, count), dtype=np.uint8)


def ranking(label, logit, weights=None, **settings):
    """Return the metrics of the order, of one set of rows: name to number."""
    weights = np.ones(len(label), dtype=np.uint8) if weights is None else weights
    chosen = MetricSettings(**settings)
    found = ranking_metrics(Ranked(label, logit), weights[None], chosen)
    return {name: float(value[0]) for name, value in found.items()} | {
        "sensitivity": float(found[chosen.sensitivity_name][0]),
        "enrichment": float(found[chosen.enrichment_name][0]),
    }


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
    losses = mean_metrics(row_losses(label, logit, sigmoid(logit), 5), weights[None])
    found = ranking(label, logit, weights) | {name: value[0] for name, value in losses.items()}
    probability = sigmoid(logit)
    expected = {
        "auroc": sk.roc_auc_score(label, logit, sample_weight=weights),
        "auprc": sk.average_precision_score(label, logit, sample_weight=weights),
        "auprc_baseline": np.average(label, weights=weights),
        "log_loss": sk.log_loss(label, probability, sample_weight=weights, labels=[False, True]),
        "brier": sk.brier_score_loss(label, probability, sample_weight=weights),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


@settings(max_examples=60)
@given(weighted_scores())
def test_a_weight_is_the_same_as_a_row_that_often(case):
    label, logit, weights = case
    repeated = np.repeat(np.arange(len(label)), weights)
    assert ranking(label, logit, weights) == pytest.approx(ranking(label[repeated], logit[repeated]), abs=1e-12)


def test_many_draws_at_once_are_each_draw_by_itself():
    rng = np.random.default_rng(8)
    label, logit = rng.random(70) < 0.5, np.round(rng.normal(size=70), 1)
    weights = rng.integers(0, 4, (9, 70)).astype(np.uint8)
    together = ranking_metrics(Ranked(label, logit), weights, MetricSettings())
    for number, row in enumerate(weights):
        assert {name: value[number] for name, value in together.items()}.items() <= ranking(label, logit, row).items()


def test_constant_scores_say_nothing():
    label = np.repeat([True, False], [3, 5])
    found = ranking(label, np.zeros(8), enrichment_fraction=0.5, specificity=0.9)
    assert found["auroc"] == 0.5
    assert found["auprc"] == pytest.approx(3 / 8)
    assert found["enrichment"] == pytest.approx(1)
    assert found["sensitivity"] == 0


def test_perfect_and_reversed_scores():
    label = np.repeat([True, False], 4)
    up = ranking(label, label.astype(float), specificity=0.99, enrichment_fraction=0.25)
    assert (up["auroc"], ranking(label, -label.astype(float))["auroc"]) == (1, 0)
    assert (up["sensitivity"], up["enrichment"]) == (1, 2)


def test_sensitivity_is_the_highest_allowed_point_of_the_roc_curve():
    rng = np.random.default_rng(3)
    label = rng.random(500) < 0.4
    logit = rng.normal(size=500) + label
    false_rate, true_rate, _ = sk.roc_curve(label, logit, drop_intermediate=False)
    for specificity in (0.8, 0.9, 0.95, 0.99):
        expected = true_rate[false_rate <= 1 - specificity + 1e-12].max()
        assert ranking(label, logit, specificity=specificity)["sensitivity"] == pytest.approx(expected)


def test_sensitivity_keeps_a_threshold_that_meets_the_specificity_exactly():
    # One of ten negatives lies above: specificity is 0.9, which has no exact binary form.
    label = np.r_[np.ones(10), np.zeros(10)].astype(bool)
    logit = np.r_[np.full(10, 2.0), [3.0], np.arange(9) - 20.0]
    assert ranking(label, logit, specificity=0.9)["sensitivity"] == 1


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
    found = ranking(label, logit)
    assert np.isnan([found["auroc"], found["sensitivity"]]).all()
    assert (found["auprc"], found["enrichment"]) == (1, 1)
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
