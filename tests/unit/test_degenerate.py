"""Test sets and models of which nothing can be said: a defined, smaller result, no stop and no warning of NumPy's."""

import numpy as np
import pandas as pd
import pytest
import torch

from tfbs_moe.evaluation.calibration import Calibration, calibrate, calibration_quality, quality
from tfbs_moe.evaluation.curves import curve_points
from tfbs_moe.evaluation.gate_weights import gate_use, gate_weights
from tfbs_moe.evaluation.metrics_with_intervals import evaluate, seed_averages
from tfbs_moe.evaluation.ood_score import fit_ood_score
from tfbs_moe.evaluation.scores import read_scores
from tfbs_moe.numeric import settled, varies
from tfbs_moe.statistics.factors import compare_models
from tfbs_moe.statistics.generalisation import regress
from tfbs_moe.statistics.hypothesis_tests.assumptions import homogeneity, mauchly
from tfbs_moe.statistics.hypothesis_tests.linear_models import fit_mixed, one_way, repeated_measures

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
IDENTITY = {
    "protocol": "sound", "experiment": "CTCF", "factor": "CTCF", "cell": "HepG2", "set": "out_of_distribution",
    "stratum": "out_of_distribution", "negatives": "supplied",
}  # fmt: skip
MODELS = ("moe.softmax", "convnet.A", "convnet.B")


def predictions(label, logit, seeds=(0, 1)):
    """Predictions of three models that all say the same; the mixture weighs its two experts alike."""
    count = len(label)
    common = {"row": np.arange(count), "label": np.array(label, np.uint8), "pair": np.arange(count) // 2 * 2}
    parts = []
    for model in MODELS:
        own = 0.5 if model == MODELS[0] else np.nan
        for seed in seeds:
            part = {"model": model, "seed": seed, "logit": logit, "probability": 1 / (1 + np.exp(-np.asarray(logit)))}
            parts.append(pd.DataFrame(common | part | {"ood_p": own, "weight_A": own, "weight_B": own}))
    return pd.concat(parts, ignore_index=True)


def every_table(given):
    scores = read_scores(given)
    row_sets = {"all": np.ones(len(scores.row), dtype=bool)}
    known = {(MODELS[0], seed): {"supplied": calibrate(np.array([0, 1]), np.zeros(2), "supplied")} for seed in (0, 1)}
    return {
        "metrics": evaluate(scores, IDENTITY, row_sets, seed=0, draws=20),
        "seeds": seed_averages(scores, IDENTITY, row_sets),
        "curves": curve_points(scores, IDENTITY),
        "weights": gate_weights(given, IDENTITY, seed=0, draws=20),
        "use": gate_use(given, IDENTITY),
        "calibration_quality": calibration_quality(given, known, IDENTITY),
    }


def test_constant_predictions_have_the_auroc_of_chance():
    found = every_table(predictions([1, 0] * 40, np.zeros(80)))
    metrics = found["metrics"].set_index("metric")
    assert metrics.loc["auroc", ["value", "lower", "upper"]].to_numpy(dtype=float) == pytest.approx(0.5)
    assert metrics.loc["log_loss", "value"].to_numpy() == pytest.approx(np.log(2))
    assert found["seeds"]["auroc_sd"].eq(0).all() and found["calibration_quality"]["auroc"].eq(0.5).all()


@pytest.mark.parametrize("label", [[1] * 8, [0] * 8])
def test_a_set_of_one_class_has_its_rows_and_no_auroc(label):
    found = every_table(predictions(label, np.arange(8.0)))
    metrics = found["metrics"]
    assert metrics.loc[metrics["metric"] == "auroc", ["value", "lower", "upper"]].isna().all(axis=None)
    assert metrics["n"].eq(8).all() and metrics["n_positive"].eq(sum(label)).all()
    assert found["seeds"]["auroc"].isna().all() and found["curves"].empty and len(found["calibration_quality"]) == 2


def test_a_set_without_rows_has_tables_with_their_columns():
    whole, empty = (every_table(predictions([1, 0] * count, np.zeros(2 * count))) for count in (3, 0))
    for name, table in empty.items():
        assert table.empty and list(table.columns) == list(whole[name].columns), name


def test_a_draw_without_a_bound_row_has_no_mean_weight():
    found = gate_weights(predictions([1, *[0] * 7], np.arange(8.0)), IDENTITY, seed=0, draws=50)
    bound = found[found["label"] == "bound"]
    assert bound["value"].eq(0.5).all() and bound[["lower", "upper"]].isna().all(axis=None)


def metrics(values):
    """A table of metrics of values (factors, models, seeds)."""
    rows = [
        IDENTITY | {"experiment": f"F{factor}", "factor": f"F{factor}", "model": MODELS[model], "seed": seed}
        | {"rows": "all", "metric": "auroc", "value": value}
        for (factor, model, seed), value in np.ndenumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(rows)


LEVELS = 0.7 + np.array([0.01, 0.1, -0.05, 0.03, 0.2, -0.1])[:, None, None]
# In another order the same numbers have another sum.
ROUNDING = np.array([0.1, 0.2, -0.3])[None, :, None] + np.array([-0.1, -0.2, 0.3])[None, :, None]


@pytest.mark.parametrize(
    ("values", "effect"),
    [
        (np.full((6, 3, 2), 0.5), 0.0),
        (np.repeat(np.repeat(LEVELS, 3, axis=1), 2, axis=2), 0.0),
        (LEVELS + ROUNDING + np.zeros((1, 1, 2)), 0.0),
        (LEVELS + np.array([0.1, 0, 0])[None, :, None] + np.zeros((1, 1, 2)), 0.1),
        (np.array([1.0, 0.5, 0.5])[None, :, None] + np.zeros((6, 1, 2)), 0.5),
    ],
    ids=["all one number", "models equal", "equal but for rounding", "always better by the same", "perfect and chance"],
)
@pytest.mark.parametrize("factors", [1, 2, 3, 6])
def test_models_without_spread_have_a_row_for_every_test(values, effect, factors):
    found = compare_models(metrics(values[:factors]), MODELS[0])
    tests = found.set_index("test")
    assert {"repeated-measures ANOVA", "paired t", "Wilcoxon signed-rank"} <= set(tests.index)
    assert found["sentence"].ne("").all() and not found["sentence"].str.contains("nan").any()
    paired = tests.loc[["paired t"]]
    assert paired["effect"].to_numpy() == pytest.approx(effect)
    # Without spread there is no error to hold a difference against.
    assert paired["p"].isna().all() and tests.loc[["repeated-measures ANOVA"], "p"].isna().all()
    if factors > 2:
        assert "no test can compare the 3 models" in tests.loc["mixed model", "sentence"]
    if factors > 1 and effect:
        ranks = tests.loc["Friedman (Iman–Davenport)"]
        assert ranks["p"] == pytest.approx(3.0 ** (1 - factors) if (values[0, 1] == values[0, 2]).all() else ranks["p"])


def test_one_training_that_goes_its_own_way_is_an_error_that_a_mixed_model_can_use():
    values = LEVELS + np.array([0.1, 0, 0])[None, :, None] + np.zeros((1, 1, 2))
    values[2, 1, 1] += 0.05
    fit = fit_mixed(metrics(values), list(MODELS))
    assert fit is not None and np.isfinite([*fit.differences, fit.error, fit.statistic, fit.p]).all()


def test_sums_of_squares_of_rounding_are_none():
    same = [np.array([0.1 + 0.2, 0.3, 0.3]), np.array([0.3, 0.3, 0.1 + 0.2])]
    assert np.isnan([one_way(same).statistic, one_way(same).p]).all()
    values = 0.7 + np.random.default_rng(0).normal(0, 0.1, (5, 1)) + np.array([[0.1, 0.2, 0.3]])
    found = repeated_measures(values)
    assert found.sum_error == 0 and np.isnan(found.p) and found.eta_squared == 1
    assert np.isfinite(one_way([np.arange(3.0) * 1e-6, np.arange(3.0) * 2e-6]).statistic)


def test_what_an_assumption_cannot_be_tested_on_says_so():
    pairs = [np.array([0.1, 0.3]), np.array([0.2, 0.9])]
    assert homogeneity(pairs).words == "homogeneity of variances cannot be tested"
    values = np.random.default_rng(0).normal(size=(10, 3))
    dependent = np.column_stack([values, 2 * values[:, 0] - values[:, 1]])
    assert mauchly(dependent).words == "sphericity cannot be tested"
    assert mauchly(values).words.startswith("Mauchly's W = 0.")


def test_a_regression_that_goes_through_a_lone_factor_has_no_numbers():
    values = pd.DataFrame(
        {"protocol": "sound", "negatives": "supplied", "rows": "all", "model": MODELS[0], "metric": "auroc"}
        | {"set": "out_of_distribution", "factor": list("abcdef"), "overlap": [0.1] * 6}
        | {"value": [0.6, 0.7, 0.8, 0.65, 0.7, 0.9], "similarity": [1.0] * 5 + [4.0]},
    )
    found = regress(values)
    assert found["p"].isna().all() and found["sentence"].str.contains("cannot be regressed").all()


def test_rounding_is_no_spread():
    assert not varies(np.array([0.3, 0.1 + 0.2])) and not varies(np.array([1.0])) and not varies(np.zeros(3))
    assert varies(np.array([0.3, 0.3000001])) and varies(np.array([0.0, 1e-9]))
    assert settled(np.array([0.1 + 0.2]))[0] == 0.3


def test_validation_rows_of_one_class_leave_probabilities_as_they_came():
    found = calibrate(np.ones(5), np.arange(5.0), "supplied")
    assert (found.scale, found.shift, found.share, found.rows) == (1, 0, 0.5, 5)
    assert Calibration.from_json(found.as_json()) == found
    separated = calibrate(np.repeat([0, 1], 10), np.repeat([-1.0, 1.0], 10), "supplied")
    assert np.isfinite([separated.scale, separated.shift]).all() and separated.after["log_loss"] < 1e-3
    assert np.isnan(list(quality(np.empty(0), np.empty(0)).values())).all()


def test_embeddings_that_do_not_vary_are_in_distribution_wherever_they_lie():
    dead = fit_ood_score(np.zeros((6, 2, 3), np.float32), ["a", "a", "b", "b", "unbound", "unbound"])
    assert dead.p_value(torch.zeros(2, 2, 3)).tolist() == [1, 1]
    draw = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float32)
    classes = ["a", "a", "a", "unbound", "unbound", "unbound", "b"]
    lone, without = fit_ood_score(draw, classes), fit_ood_score(draw[:6], classes[:6])
    assert torch.equal(lone.classes, without.classes) and torch.equal(lone.distances, without.distances)
