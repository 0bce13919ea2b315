"""Each proper test rejects a true null hypothesis as often as it says; the one with draws as replicates does not."""

import numpy as np
import pytest

from tfbs_moe.statistics.levels import COLUMNS, PAPER, SIMULATIONS, SLOW, level_table

STUDIES = 2000
# ``benchmarks/levels.py`` has the slowest in full.
SLOW_STUDIES = 120
SEED = 1

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def levels():
    return level_table(SEED, STUDIES, SLOW_STUDIES).set_index("test")


@pytest.mark.parametrize("test", [name for name, (_, proper, _) in SIMULATIONS.items() if proper and name not in SLOW])
def test_proper_tests_hold_their_level(levels, test):
    row = levels.loc[test]
    assert row["studies"] == STUDIES
    assert 0.04 <= row["rejected"] <= 0.06, row["sentence"]
    assert row["lower"] < row["rejected"] < row["upper"]


def test_the_mixed_model_is_not_far_from_its_level(levels):
    row = levels.loc["mixed model"]
    assert row["lower"] <= 0.05 <= row["upper"], row["sentence"]


def test_draws_as_replicates_reject_nearly_always(levels):
    assert levels.loc[PAPER, "rejected"] > 0.8


def test_ignoring_pairs_wastes_power_and_ignoring_sphericity_costs_the_level(levels):
    assert levels.loc["DeLong, pairs ignored", "rejected"] < 0.02
    assert levels.loc["repeated-measures ANOVA, one model more scattered, uncorrected", "rejected"] > 0.07


def test_the_same_seed_gives_the_same_studies():
    first, again = (level_table(SEED, 20, 2) for _ in range(2))
    assert first.equals(again)
    assert list(first.columns) == list(COLUMNS)
    assert np.isfinite(first["rejected"]).all()
