"""Each proper test rejects a true null hypothesis as often as it says; the one with draws as replicates does not.

2,000 made studies each, always the same ones. The bounds are 4 to 6 %: two standard errors of a proportion of 5 %.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tfbs_moe.evaluation.delong import delong
from tfbs_moe.statistics.anova import one_way, repeated_measures
from tfbs_moe.statistics.assumptions import normality, ranks_are_reported
from tfbs_moe.statistics.between import compare_strata
from tfbs_moe.statistics.equivalence import equivalence, non_inferiority
from tfbs_moe.statistics.mixed import fit_mixed
from tfbs_moe.statistics.ranks import friedman, nemenyi
from tfbs_moe.statistics.strata import factor_values

STUDIES = 2000
ALPHA = 0.05
FACTORS = 23
MODELS = 5

pytestmark = pytest.mark.slow


def studies(count=FACTORS, models=MODELS, name=0, studies=STUDIES):
    """Made studies in which no model is better: factors differ, and models differ on each by chance alone."""
    rng = np.random.default_rng([11, name])
    return rng.normal(0.8, 0.1, (studies, count, 1)) + rng.normal(0, 0.02, (studies, count, models))


def rejected(p):
    return float((np.asarray(p) < ALPHA).mean())


def assert_level(p, studies=STUDIES):
    share = rejected(p)
    interval = stats.binomtest(round(share * studies), studies).proportion_ci()
    # The interval says what 2,000 studies can tell; it must reach into the band of 4 to 6 %.
    assert interval.low <= 0.06 and interval.high >= 0.04, (
        f"rejects {share:.4f} [{interval.low:.4f}, {interval.high:.4f}]"
    )


def test_repeated_measures_anova():
    assert_level([repeated_measures(values).p_corrected for values in studies(name=1)])


def test_repeated_measures_anova_without_sphericity():
    # One rival scatters five times as much; uncorrected, the test rejects too often.
    values = studies(name=2)
    values[:, :, 0] += np.random.default_rng(3).normal(0, 0.1, values.shape[:2])
    found = [repeated_measures(study) for study in values]
    assert rejected([anova.p for anova in found]) > 0.07
    assert 0.04 <= rejected([anova.p_corrected for anova in found]) <= 0.06


def test_friedman():
    assert_level([friedman(values).p for values in studies(name=4)])


def test_nemenyi_holds_the_level_of_the_family():
    p = [np.min(nemenyi(values)[np.triu_indices(MODELS, 1)]) for values in studies(name=5, studies=1000)]
    # The test is known to be somewhat conservative in small studies.
    assert 0.03 <= rejected(p) <= 0.06


def differences(name):
    values = studies(models=2, name=name)
    return values[:, :, 0] - values[:, :, 1]


def test_paired_t():
    assert_level(stats.ttest_1samp(differences(6), 0, axis=1).pvalue)


def test_wilcoxon():
    assert_level(stats.wilcoxon(differences(7), axis=1).pvalue)


def by_the_rule(values):
    check = normality(values, "differences")
    test = stats.wilcoxon(values) if ranks_are_reported(check, len(values)) else stats.ttest_1samp(values, 0)
    return test.pvalue


def test_the_test_that_the_rule_chooses():
    assert_level([by_the_rule(values) for values in differences(8)])


def test_equivalence_and_non_inferiority_at_the_margin():
    values = differences(9) - 0.01
    assert_level([non_inferiority(study, 0.01, ALPHA).p for study in values])
    # Two one-sided tests reject less often than one of them where the spread is wide against the margin.
    assert rejected([equivalence(study, 0.01, ALPHA).p for study in values]) <= 0.06


def test_welch_and_kruskal_between_strata():
    rng = np.random.default_rng(12)
    count = 400
    sizes = {"within_family": 10, "cross_family": 8, "non_motif": 8}
    p = {"Welch's ANOVA": [], "Kruskal–Wallis": []}
    for _ in range(count):
        rows = [
            ("sound", "m", 0, f"{name}{i}", f"{name}{i}", "ood", name, "s", "all", "auroc", rng.normal(0.8, 0.05), 10)
            for name, size in sizes.items()
            for i in range(size)
        ]
        columns = ["protocol", "model", "seed", "experiment", "factor", "set", "stratum", "negatives", "rows",
                   "metric", "value", "n_positive"]  # fmt: skip
        found = compare_strata(factor_values(pd.DataFrame(rows, columns=columns))).set_index(["test", "strata"])["p"]
        for test, values in p.items():
            values.append(found[(test, "stratum")])
    # 400 studies: a standard error of 1.1 %.
    for values in p.values():
        assert 0.028 <= rejected(values) <= 0.072


def test_delong_on_pairs():
    rng = np.random.default_rng(13)
    pairs = 150
    label, pair = np.repeat([True, False], pairs), np.tile(np.arange(pairs), 2)
    p, ignoring = [], []
    for _ in range(STUDIES):
        shared, own = rng.normal(size=(2, pairs)), rng.normal(size=(2, 2 * pairs))
        logit = np.tile(shared, 2) + own + 0.8 * label
        for answers, its_pair in ((p, pair), (ignoring, np.full(2 * pairs, -1))):
            effect, error = delong(label, logit, its_pair).contrast(np.array([1.0, -1.0]))
            answers.append(2 * stats.norm.sf(abs(effect) / error))
    assert_level(p)
    # Taking the pairs apart wastes what pairing gives.
    assert rejected(ignoring) < 0.02


def test_mixed_model():
    rng = np.random.default_rng(14)
    count, factors, seeds = 300, 9, 3
    index = np.indices((factors, 3, seeds)).reshape(3, -1)
    frame = pd.DataFrame({"factor": index[0], "model": np.array(["a", "b", "c"])[index[1]], "seed": index[2]})
    p = []
    for _ in range(count):
        values = (
            rng.normal(0, 0.1, (factors, 1, 1))
            + rng.normal(0, 0.02, (factors, 3, 1))
            + rng.normal(0, 0.01, (1, 3, seeds))
            + rng.normal(0, 0.01, (factors, 3, seeds))
        )
        p.append(fit_mixed(frame.assign(value=values.ravel()), ["a", "b", "c"]).p)
    # 300 studies: a standard error of 1.3 %.
    assert 0.025 <= rejected(p) <= 0.075


def test_anova_over_draws_does_not_hold_its_level():
    # Three networks that are equally good, 30 bootstrap draws of one test set each: the paper's design.
    rng = np.random.default_rng(15)
    pairs, draws = 200, 30
    p = []
    for _ in range(200):
        positive, negative = rng.normal(0.8, 1, (3, pairs)), rng.normal(size=(3, pairs))
        groups = []
        for own in range(3):
            rows = rng.integers(0, pairs, (draws, pairs))
            drawn = stats.rankdata(np.concatenate([positive[own][rows], negative[own][rows]], axis=1), axis=1)
            groups.append((drawn[:, :pairs].sum(axis=1) - pairs * (pairs + 1) / 2) / pairs**2)
        p.append(one_way(groups).p)
    assert rejected(p) > 0.7
