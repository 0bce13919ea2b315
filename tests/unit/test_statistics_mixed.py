"""The mixed model, the assumptions and the rule."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tfbs_moe.statistics.hypothesis_tests.assumptions import (
    assumption_results,
    homogeneity,
    influence,
    mauchly,
    normality,
    ranks_are_reported,
)
from tfbs_moe.statistics.hypothesis_tests.linear_models import fit_mixed, moments, repeated_measures
from tfbs_moe.statistics.units import FactorTable

MODELS = ["m0", "m1", "m2"]


def cells(factors=8, seeds=3, training=0.01, interaction=0.02, seed=0):
    rng = np.random.default_rng(seed)
    shape = (factors, len(MODELS), seeds)
    return (
        0.8
        + rng.normal(0, 0.1, (factors, 1, 1))
        + rng.normal(0, interaction, (factors, len(MODELS), 1))
        + rng.normal(0, training, (1, len(MODELS), seeds))
        + rng.normal(0, 0.005, shape)
    )


def long(values):
    factor, model, seed = np.indices(values.shape).reshape(3, -1)
    names = np.array(MODELS)[model]
    return pd.DataFrame({"factor": factor, "model": names, "seed": seed, "value": values.ravel()})


def test_with_one_seed_it_is_the_repeated_measures_anova():
    values = cells(seeds=1)
    found, expected = fit_mixed(long(values), MODELS), repeated_measures(values[:, :, 0])
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-6)
    assert found.p == pytest.approx(expected.p, rel=1e-5)
    assert found.df_error == expected.df_error


def test_the_error_of_a_difference_is_that_of_its_mean_squares():
    values = cells()
    found, expected = fit_mixed(long(values), MODELS), moments(values)
    assert min(expected.values()) > 0
    assert found.components == pytest.approx(expected)
    difference = values.mean(axis=2)
    assert found.differences == pytest.approx((difference[:, [0]] - difference[:, 1:]).mean(axis=0), abs=1e-9)
    # The variance of a difference by the expected mean squares.
    factors, _, seeds = values.shape
    variance = 2 * (
        expected["factor_model"] / factors + expected["training"] / seeds + expected["residual"] / (factors * seeds)
    )
    assert found.error == pytest.approx(np.sqrt(variance))


def test_a_training_that_varies_widens_the_interval():
    calm, wild = (fit_mixed(long(cells(training=sd, seed=3)), MODELS) for sd in (0.0, 0.05))
    assert wild.error > 2 * calm.error
    assert wild.df_error < calm.df_error


def test_trainings_that_were_not_met_on_every_factor_and_models_with_fewer_are_left_out():
    values = cells(seeds=4)
    table = long(values)
    # The first model's last training lacks a factor; the third model has two trainings alone.
    lacking = (table["model"] == "m0") & (table["seed"] == 3) & (table["factor"] == 2)
    few = (table["model"] == "m2") & (table["seed"] > 1)
    found = fit_mixed(table[~lacking & ~few], MODELS)
    assert found.models == ("m0", "m1") and found.seeds == 3
    whole = fit_mixed(long(values[:, :2, :3]), MODELS[:2])
    assert (found.p, found.error) == pytest.approx((whole.p, whole.error))
    assert fit_mixed(table[(table["model"] == "m0") | (table["seed"] == 0)], MODELS) is None


def test_too_few_factors_have_no_mixed_model():
    assert fit_mixed(long(cells(factors=2)), MODELS) is None
    assert fit_mixed(long(np.ones((5, 3, 2))), MODELS) is None


def table(values):
    names = tuple(f"F{index}" for index in range(len(values)))
    return FactorTable(values, names, tuple(MODELS[: values.shape[1]]))


def test_normality_sends_skewed_differences_to_ranks():
    skewed = np.exp(np.random.default_rng(0).normal(0, 1.5, 20))
    straight = stats.norm.ppf((np.arange(20) + 0.5) / 20)
    assert ranks_are_reported(normality(skewed, "x"), 20)
    assert not ranks_are_reported(normality(straight, "x"), 20)
    # With five factors ranks cannot reach significance, so they are not reported first.
    assert not ranks_are_reported(normality(np.array([0, 0, 0, 0, 9.0]), "x"), 5)


def test_what_cannot_be_tested_is_said_and_changes_nothing():
    for check in (normality(np.ones(9), "x"), normality(np.ones(2), "x"), mauchly(np.ones((3, 3))), homogeneity([])):
        assert "cannot be tested" in check.words
        assert not check.fails


def test_mauchly_holds_its_level_under_sphericity_and_finds_its_absence():
    rng = np.random.default_rng(5)
    rejected = np.mean([mauchly(rng.normal(size=(25, 4)) + rng.normal(size=(25, 1))).fails for _ in range(1000)])
    assert rejected == pytest.approx(0.05, abs=0.02)
    line = np.outer(rng.normal(size=25), [0, 1, 2, 6]) + rng.normal(0, 0.1, (25, 4))
    assert mauchly(line).fails
    assert mauchly(line).statistic < 0.1


def test_mauchly_of_a_hand_made_covariance():
    # W = det(S) / (trace(S) / p)^p of the contrasts' covariance, here with p = 2.
    values = np.random.default_rng(9).normal(size=(12, 3))
    contrasts = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])
    covariance = contrasts @ np.cov(values, rowvar=False) @ contrasts.T
    assert mauchly(values).statistic == pytest.approx(np.linalg.det(covariance) / (np.trace(covariance) / 2) ** 2)


def test_influence_names_the_factor_that_carries_a_result():
    found = influence(np.array([0.0, 0.01, -0.01, 0.4]), ("A", "B", "C", "D"))
    assert found.unit == "D"
    assert found.without == pytest.approx(0)
    assert influence(np.array([0.1, 0.2]), ("A", "B")) is None


def test_assumptions_are_a_table_of_results():
    values = cells()[:, :, 0]
    results = assumption_results(table(values), "auroc")
    assert [result.test for result in results[:3]] == ["Shapiro–Wilk", "Mauchly", "Brown–Forsythe"]
    assert {result.comparison for result in results[3:]} == {"m0 − m1", "m0 − m2"}
    assert all(result.sentence for result in results)
