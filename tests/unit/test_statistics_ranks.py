"""Rank tests and effect sizes: against Demšar's worked example, scipy, statsmodels and scikit-posthocs."""

from itertools import combinations, permutations, product

import numpy as np
import pytest
import scikit_posthocs
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from tfbs_moe.statistics.hypothesis_tests.effects import (
    common_language,
    equivalence,
    eta_interval,
    hedges,
    hodges_lehmann,
    non_inferiority,
)
from tfbs_moe.statistics.hypothesis_tests.ranks import (
    critical_difference,
    friedman,
    mean_ranks,
    nemenyi,
    rank_table,
    wilcoxon,
)

# AUC of four decision trees on 14 data sets: Demšar (2006), table 6.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        # Printed as 0.975 twice, and ranked 2 and 3.
        [0.972, 0.981, 0.975, 0.9749],
        [0.957, 0.978, 0.946, 0.970],
    ]
)
TREES = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")


def test_demsars_ranks_and_critical_difference():
    assert mean_ranks(DEMSAR) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    # Demšar's tables of q: 3.031 for eight classifiers, 3.164 for ten.
    for models, q in ((8, 3.031), (10, 3.164)):
        expected = q * np.sqrt(models * (models + 1) / (6 * 30))
        assert critical_difference(np.tile(np.arange(models), (30, 1)), 0.95) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("count", "models"), [(2, 3), (3, 3), (4, 2), (5, 3), (3, 4), (6, 2)])
def test_nemenyis_p_of_few_factors_is_that_of_all_orders(count, models):
    orders = np.array(list(permutations(range(1, models + 1))))
    sums = np.zeros((1, models), dtype=int)
    for _ in range(count):
        sums = (sums[:, None] + orders[None]).reshape(-1, models)
    widths = np.ptp(sums, axis=1)
    values = np.random.default_rng(count).normal(size=(count, models))
    ranks = stats.rankdata(-values, axis=1).sum(axis=0)
    expected = [[(widths >= abs(first - second)).mean() for second in ranks] for first in ranks]
    assert nemenyi(values) == pytest.approx(np.array(expected))
    shown = [width / count for width in range(1, count * models) if 0 < (widths >= width).mean() <= 0.05]
    assert critical_difference(stats.rankdata(values, axis=1), 0.95) == pytest.approx(shown[0] if shown else np.inf)


@pytest.mark.parametrize(
    "values",
    [
        [[2, 1]] * 5 + [[1, 1]],
        [[2, 1]] * 9 + [[1, 1]] * 3,
        [[3, 2, 1], [3, 2, 1], [3, 1, 1], [2, 2, 1]],
        [[3, 2, 1], [3, 3, 1], [3, 2, 1]],
        [[3, 1, 1], [3, 1, 1], [2, 2, 1], [3, 2, 1], [3, 2, 1]],
    ],
)
def test_nemenyis_p_and_bars_are_of_all_orders_of_tied_ranks(values):
    """Five wins and a tie are the sign test's p = .0625; as if there were no ties, .031, and bars beside p < .05."""
    values = np.array(values, dtype=float)
    ranks = stats.rankdata(-values, axis=1)
    sums = np.zeros((1, values.shape[1]))
    for row in ranks:
        sums = (sums[:, None] + np.array(list(permutations(row)))[None]).reshape(-1, len(row))
    widths = np.ptp(sums, axis=1)
    totals = ranks.sum(axis=0)
    expected = np.array([[(widths >= abs(first - second)).mean() for second in totals] for first in totals])
    assert nemenyi(values) == pytest.approx(expected)
    models = tuple("abc"[: values.shape[1]])
    bars = rank_table(values, models, 0.95).set_index("model")["groups"].str.split(",").to_dict()
    for first, second in combinations(range(len(models)), 2):
        joined = set(bars[models[first]]) & set(bars[models[second]]) - {""}
        assert bool(joined) == (expected[first, second] > 0.05)


def test_where_no_rank_is_improbable_enough_all_models_are_joined():
    table = rank_table(np.arange(6.0).reshape(2, 3), ("a", "b", "c"), 0.95)
    assert np.isinf(table["critical_difference"]).all() and table["groups"].tolist() == ["1", "1", "1"]


def test_orders_that_are_too_many_to_count_are_drawn_where_factors_are_few():
    values = np.random.default_rng(2).normal(size=(3, 8))
    found, stream = friedman(values), np.random.default_rng(1)
    drawn = np.argsort(stream.random((100_000, 3, 8)), axis=2).sum(axis=1) + 3
    observed = (stats.rankdata(values, axis=1).sum(axis=0) ** 2).sum()
    assert found.exact and found.p == pytest.approx(((drawn**2).sum(axis=1) >= observed).mean(), abs=0.01)
    widths = np.ptp(drawn, axis=1)
    ranks = stats.rankdata(values, axis=1).sum(axis=0)
    assert nemenyi(values)[0, 1] == pytest.approx((widths >= abs(ranks[0] - ranks[1])).mean(), abs=0.01)


def test_friedman_agrees_with_scipy():
    found, expected = friedman(DEMSAR), stats.friedmanchisquare(*DEMSAR.T)
    assert found.chi_squared == pytest.approx(expected.statistic, rel=1e-10)
    assert found.p_chi_squared == pytest.approx(expected.pvalue, rel=1e-9)
    # Iman and Davenport's F of it, and Kendall's W.
    assert found.statistic == pytest.approx(13 * found.chi_squared / (14 * 3 - found.chi_squared))
    assert found.concordance == pytest.approx(found.chi_squared / (14 * 3))


def test_friedman_of_models_that_are_equal_is_not_defined_and_of_agreement_is_infinite():
    assert np.isnan(friedman(np.ones((5, 3))).p)
    agree = friedman(np.tile([1.0, 2.0, 3.0], (5, 1)))
    assert (agree.statistic, agree.concordance) == (np.inf, 1)
    # The other four factors rank as the first one does, of six ways that each could.
    assert agree.p == pytest.approx(6.0**-4)


@pytest.mark.parametrize(("count", "models"), [(2, 2), (4, 2), (2, 3), (4, 3), (3, 4)])
@pytest.mark.parametrize("ties", [False, True])
def test_friedmans_p_is_that_of_all_orders_of_few_factors(count, models, ties):
    draw = np.random.default_rng(count * models)
    values = draw.integers(0, 2, (count, models)) * 1.0 if ties else draw.normal(size=(count, models))
    values[0, :2] = 0, 1

    def statistic(rows):
        return stats.rankdata(rows, axis=1).sum(axis=0).var()

    orders = [list(permutations(row)) for row in values]
    every = np.array([statistic(np.array(rows)) for rows in product(*orders)])
    assert friedman(values).p == pytest.approx((every >= statistic(values) - 1e-9).mean())


def test_friedmans_p_of_many_factors_is_that_of_f_and_of_two_that_agree_a_half():
    assert friedman(np.array([[1.0, 0.0], [1.0, 0.0]])).p == pytest.approx(0.5)
    many = np.random.default_rng(0).normal(size=(60, 9))
    found = friedman(many)
    assert not found.exact and found.p == pytest.approx(stats.f.sf(found.statistic, 8, 8 * 59))


@pytest.mark.parametrize(
    "differences",
    [[0.05, 0.0535], [0.1, 0.11], [-0.2, -0.2001], [0.3, -0.1, 0.02], [1, 1 + 1e-9], [5, 5.00001, 5.00002]],
)
def test_hedges_interval_is_that_of_the_noncentral_t_by_quadrature(differences):
    values = np.array(differences)
    count, df = len(values), len(values) - 1
    statistic = values.mean() / values.std(ddof=1) * np.sqrt(count)
    g, lower, upper = hedges(values, 0.95)

    def below(noncentrality):
        """P(Z + noncentrality <= t · sqrt(V / df)), V of χ², over the quantiles of V."""
        share = (np.arange(200_000) + 0.5) / 200_000
        scale = np.sqrt(stats.chi2.ppf(share, df) / df)
        return stats.norm.cdf(statistic * scale - noncentrality).mean()

    ends = np.array([lower, upper]) * np.sqrt(count)
    assert [below(end) for end in ends] == pytest.approx([0.975, 0.025], abs=2e-4)
    assert lower < statistic / np.sqrt(count) < upper or statistic > 1e3
    assert abs(g) <= abs(statistic) / np.sqrt(count) * (1 + 1e-9)


def test_differences_that_are_equal_but_for_rounding_have_no_size_of_effect():
    for values in ([0.1, 0.1, 0.1], [0.3 - 0.1, 0.2, 0.1 + 0.1], [0.7]):
        assert np.isnan(hedges(np.array(values), 0.95)).all()


@pytest.mark.parametrize("statistic", [1e5, 1e7, 1e12, 1e31])
def test_eta_interval_of_a_huge_f_is_near_one(statistic):
    lower, upper = eta_interval(statistic, 3, 12, 0.9)
    assert 1 - 1e3 / statistic <= lower <= upper <= 1


def test_nemenyi_of_many_factors_agrees_with_scikit_posthocs():
    values = np.random.default_rng(0).normal(size=(30, 8)) + np.arange(8) / 4
    expected = scikit_posthocs.posthoc_nemenyi_friedman(values).to_numpy()
    assert nemenyi(values) == pytest.approx(expected, abs=1e-6)
    # Where orders are counted the studentised range is not far from them.
    expected = scikit_posthocs.posthoc_nemenyi_friedman(DEMSAR).to_numpy()
    assert nemenyi(DEMSAR) == pytest.approx(expected, abs=0.04)


def test_groups_join_models_within_the_critical_difference():
    table = rank_table(DEMSAR, TREES, 0.95)
    assert table["model"].tolist() == ["C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"]
    # 1.964 and 3.143 differ by less than 1.25: one bar over all.
    assert table["groups"].tolist() == ["1"] * 4
    apart = np.column_stack([np.arange(30.0) + shift for shift in (3, 2, 1, 0)])
    groups = rank_table(apart, TREES, 0.95)["groups"].tolist()
    assert groups == ["", "", "", ""] or all("," not in group for group in groups)
    assert rank_table(apart[:10], TREES, 0.95)["groups"].tolist() == ["1", "1,2", "2,3", "3"]


def test_tost_agrees_with_statsmodels():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.8, 0.05, 12), rng.normal(0.8, 0.05, 12)
    p, lower, upper = ttost_paired(first, second, -0.05, 0.05)
    found = equivalence(first - second, 0.05, 0.05)
    assert found.p == pytest.approx(p, abs=1e-12)
    assert non_inferiority(first - second, 0.05, 0.05).p == pytest.approx(lower[1], abs=1e-12)
    # Equivalence is shown exactly where the 90 % interval lies within the margin.
    assert (found.p < 0.05) == (found.lower > -0.05 and found.upper < 0.05)


def test_equivalence_is_not_shown_by_few_noisy_factors():
    assert equivalence(np.array([0.03, -0.04, 0.02, -0.03]), 0.01, 0.05).p > 0.3
    tight = equivalence(np.linspace(-0.002, 0.002, 12), 0.01, 0.05)
    assert tight.p < 0.001


def test_hedges_interval_inverts_the_noncentral_t():
    differences = np.random.default_rng(3).normal(0.5, 1, 15)
    g, lower, upper = hedges(differences, 0.95)
    t = stats.ttest_1samp(differences, 0).statistic
    correction = 1 - 3 / (4 * 14 - 1)
    assert g == pytest.approx(t / np.sqrt(15) * correction, rel=1e-3)
    for end, tail in ((lower, 0.975), (upper, 0.025)):
        assert stats.nct.cdf(t, 14, end * np.sqrt(15)) == pytest.approx(tail, abs=1e-6)


def test_eta_interval_excludes_zero_exactly_where_p_is_small():
    for statistic in (1.0, 2.9, 3.1, 30.0, 20000.0):
        lower, upper = eta_interval(statistic, 3, 24, 0.9)
        assert (lower > 0) == (stats.f.sf(statistic, 3, 24) < 0.05)
        assert lower <= upper <= 1


def test_hodges_lehmann_interval_agrees_with_the_wilcoxon_test():
    rng = np.random.default_rng(8)
    for count in (6, 9, 20):
        differences = rng.normal(0.3, 1, count)
        estimate, lower, upper = hodges_lehmann(differences, 0.95)
        assert lower <= estimate <= upper
        # Shifted to just outside an end the test rejects, just inside it does not.
        for end, inwards in ((lower, 1e-9), (upper, -1e-9)):
            assert stats.wilcoxon(differences - (end + inwards), method="exact").pvalue > 0.05
            assert stats.wilcoxon(differences - (end - inwards), method="exact").pvalue <= 0.05


def test_five_units_allow_no_rank_interval():
    estimate, lower, _ = hodges_lehmann(np.arange(5.0), 0.95)
    assert estimate == 2
    assert np.isnan(lower)


def test_common_language_counts_ties_half():
    share, lower, upper = common_language(np.array([1.0, 2.0, 0.0, -1.0]), 0.95)
    assert share == 0.625
    interval = stats.binomtest(5, 8).proportion_ci(method="exact")
    assert common_language(np.array([1.0] * 5 + [-1.0] * 3), 0.95)[1:] == pytest.approx((interval.low, interval.high))
    assert 0 < lower < share < upper < 1


@pytest.mark.parametrize("zero_method", ["wilcox", "pratt"])
def test_wilcoxon_is_scipys_with_ties_and_zeros_too(zero_method: str) -> None:
    """Where scipy's is exact: from 14 differences on only without either."""
    rng = np.random.default_rng(0)
    for count in (1, 2, 5, 8, 20):
        for digits in (0, 8):
            differences = rng.normal(0.3, 1.5, count).round(digits) + 0.0
            differences[0] = 1.0
            theirs = stats.wilcoxon(differences, zero_method=zero_method)
            ours = wilcoxon(differences, zero_method)
            if count < 14 or digits:
                np.testing.assert_allclose(ours, (theirs.statistic, theirs.pvalue), rtol=1e-12)
