"""Hypothesis tests, effect sizes and their intervals against scipy, statsmodels, scikit-posthocs and plain code."""

import math
from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.anova import AnovaRM
from statsmodels.stats.multitest import multipletests

from metric_tables import MIXTURE, RIVALS, metrics
from tfbs_moe.statistics.hypothesis_tests import studentized_range
from tfbs_moe.statistics.hypothesis_tests.assumptions import (
    homogeneity,
    homogeneity_of_residuals,
    mauchly,
    normality_within,
    residuals,
)
from tfbs_moe.statistics.hypothesis_tests.effects import common_language, eta_interval, hedges, hodges_lehmann
from tfbs_moe.statistics.hypothesis_tests.linear_models import fit_mixed, repeated_measures
from tfbs_moe.statistics.hypothesis_tests.ranks import friedman, nemenyi
from tfbs_moe.statistics.hypothesis_tests.results import holm

SEEDS = range(5)


def test_friedmans_exact_p_is_that_of_every_order() -> None:
    """Ties within factors, one or two factors, agreement: counted one by one."""
    for seed, (factors, models) in product(SEEDS, [(2, 2), (3, 2), (4, 2), (2, 3), (3, 3), (4, 3), (2, 4)]):
        values = np.random.default_rng(seed).integers(0, 3, (factors, models)).astype(float)
        ranks = stats.rankdata(values, axis=1)
        if (ranks == ranks[:, :1]).all():
            continue
        sums = [np.sum(orders, axis=0) for orders in product(*(list(permutations(row)) for row in ranks))]
        spread = (np.array(sums) ** 2).sum(axis=1)
        expected = (spread >= (ranks.sum(axis=0) ** 2).sum() - 1e-9).mean()
        assert friedman(values).p == pytest.approx(expected, rel=1e-9), values
    assert friedman(np.array([[1.0, 0], [1, 0]])).p == 0.5
    assert [friedman(np.tile([1.0, 0], (count, 1))).p for count in (2, 3, 4)] == [0.5, 0.25, 0.125]


def test_no_p_of_friedmans_test_is_below_that_of_full_agreement() -> None:
    """Also where orders are too many to count."""
    for models, factors in product((5, 8, 27), (2, 3, 6)):
        agree = np.tile(np.arange(float(models)), (factors, 1))
        nearly = agree.copy()
        nearly[0, [0, 1]] = nearly[0, [1, 0]]
        assert friedman(nearly).p >= friedman(agree).p > 0
        assert friedman(agree).p == pytest.approx(1 / math.factorial(models) ** (factors - 1))


@pytest.mark.parametrize("df", [1, 3.7, 25, 377, 99_999, math.inf])
@pytest.mark.parametrize("groups", [2, 3, 14])
def test_the_studentized_range_is_scipys(groups: int, df: float) -> None:
    q = np.array([0.0, 0.3, 1.2, 2.5, 4.0, 7.5, 15.0])
    assert studentized_range.sf(q, groups, df) == pytest.approx(stats.studentized_range.sf(q, groups, df), abs=1e-9)
    for level in (0.9, 0.95):
        quantile = stats.studentized_range.ppf(level, groups, df)
        assert studentized_range.quantile(level, groups, df) == pytest.approx(quantile, rel=1e-9)


def test_kendalls_w_and_nemenyi_by_the_book() -> None:
    for seed in SEEDS:
        values = np.random.default_rng(seed).integers(0, 6, (9, 4)).astype(float)
        ranks = stats.rankdata(values, axis=1)
        # Siegel and Castellan (1988), with their correction for ties.
        ties = sum(count**3 - count for row in ranks for count in np.unique(row, return_counts=True)[1])
        squares = ((ranks.sum(axis=0) - 9 * 2.5) ** 2).sum()
        assert friedman(values).concordance == pytest.approx(12 * squares / (9**2 * (4**3 - 4) - 9 * ties))
        many = np.random.default_rng(seed).normal(size=(27, 8)) + np.arange(8) / 5
        expected = scikit_posthocs.posthoc_nemenyi_friedman(many).to_numpy()
        np.testing.assert_allclose(nemenyi(many), expected, atol=1e-6)


def noncentral_t(statistic: float, df: int, noncentrality: float) -> float:
    """P(T <= t), from its definition: a normal number over the root of a chi-squared one."""
    z = np.linspace(-9, 9, 40_001)
    squares = np.where(z < 0, stats.chi2.ppf(stats.norm.cdf(z), df), stats.chi2.isf(stats.norm.sf(z), df))
    below = stats.norm.cdf(statistic * np.sqrt(squares / df) - noncentrality)
    return float(np.trapezoid(stats.norm.pdf(z) * below, z))


@pytest.mark.parametrize("count", [2, 3, 6, 13])
def test_hedges_interval_ends_where_the_noncentral_t_says(count: int) -> None:
    for seed, scale in product(SEEDS, (0.0, 1.0, 20.0)):
        differences = np.random.default_rng(seed).normal(scale, 1, count)
        effect, lower, upper = hedges(differences, 0.95)
        cohen = differences.mean() / differences.std(ddof=1)
        # The unbiased g of Hedges (1981); with one degree of freedom it is not defined, and d stands as it is.
        correction = effect / cohen
        if count > 2:
            half = (count - 1) / 2
            exact = math.gamma(half) / (math.sqrt(half) * math.gamma(half - 0.5))
            assert correction == pytest.approx(exact)
        statistic = cohen * math.sqrt(count)
        for end, probability in ((lower, 0.975), (upper, 0.025)):
            found = noncentral_t(statistic, count - 1, end * math.sqrt(count))
            assert found == pytest.approx(probability, abs=1e-7), (seed, scale)


def test_hedges_at_the_edges() -> None:
    assert hedges(np.array([0.05, 0.0535]), 0.95) == pytest.approx((20.91, 0.5719, 46.895), rel=1e-3)
    assert np.isnan(hedges(np.full(3, 0.1), 0.95)).all() and np.isnan(hedges(np.array([0.1]), 0.95)).all()
    for gap in (1e-3, 1e-5, 1e-8):
        effect, lower, upper = hedges(np.array([0.1, 0.1 + gap]), 0.95)
        assert 0 < lower < effect < upper
        # Nothing but the spread's own chance is left: sd over sigma is a chi of one degree of freedom.
        if gap < 1e-4:
            assert lower / effect == pytest.approx(stats.chi2.ppf(0.025, 1) ** 0.5, rel=1e-2)
            assert upper / effect == pytest.approx(stats.chi2.ppf(0.975, 1) ** 0.5, rel=1e-2)
    # An interval leaves zero out exactly where the t test says so.
    for seed in range(40):
        differences = np.random.default_rng(seed).normal(0.5, 1, 2)
        _, lower, upper = hedges(differences, 0.95)
        assert (lower <= 0 <= upper) == (stats.ttest_1samp(differences, 0).pvalue >= 0.05)


def test_the_interval_of_eta_squared_ends_where_the_noncentral_f_says() -> None:
    for statistic, (df, df_error) in product((1.2, 4.0, 30.0), [(1, 1), (2, 4), (4, 88)]):
        for end, probability in zip(eta_interval(statistic, df, df_error, 0.9), (0.95, 0.05), strict=True):
            noncentrality = end * (df + df_error + 1) / (1 - end)
            found = stats.ncf.cdf(statistic, df, df_error, noncentrality)
            assert found == pytest.approx(probability, abs=1e-6) or (end == 0 and found < probability)
    for edge in (0.0, 1e12, 1e30):
        lower, upper = eta_interval(edge, 2, 4, 0.9)
        assert 0 <= lower <= upper <= 1
    assert np.isnan(eta_interval(math.inf, 2, 4, 0.9)).all()


def test_holm_agrees_with_statsmodels() -> None:
    for seed in SEEDS:
        p = np.random.default_rng(seed).choice([0.001, 0.01, 0.02, 0.02, 0.3, 0.9], 7)
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([0.04]).tolist() == [0.04]


def test_the_hodges_lehmann_interval_is_every_difference_that_the_test_keeps() -> None:
    for seed in SEEDS:
        differences = np.random.default_rng(seed).normal(0.3, 1, 9)
        _, lower, upper = hodges_lehmann(differences, 0.95)
        for shift, kept in [(lower - 1e-6, False), (lower + 1e-6, True), (upper - 1e-6, True), (upper + 1e-6, False)]:
            assert (stats.wilcoxon(differences - shift, method="exact").pvalue > 0.05) == kept


@pytest.mark.parametrize("seed", range(3))
def test_the_mixed_model_is_that_of_the_restricted_likelihood(seed: int) -> None:
    """Against statsmodels, where every component is above zero."""
    draw = np.random.default_rng(seed)
    values = (
        0.8
        + draw.normal(0, 0.1, (7, 1, 1))
        + draw.normal(0, 0.02, (7, 3, 1))
        + draw.normal(0, 0.02, (1, 3, 3))
        + draw.normal(0, 0.004, (7, 3, 3))
    )
    names = (MIXTURE, *RIVALS[:2])
    rows = metrics(values, names)
    fit = fit_mixed(rows, list(names))
    assert fit is not None and min(fit.components.values()) > 0
    data = rows.assign(group=1, scaled=rows["value"] / 0.1, kind=pd.Categorical(rows["model"], names))
    terms = {"a": "0 + C(factor)", "b": "0 + C(factor):C(model)", "c": "0 + C(model):C(seed)"}
    likelihood = sm.MixedLM.from_formula("scaled ~ kind", groups="group", vc_formula=terms, data=data).fit(reml=True)
    components = [fit.components[name] for name in ("factor", "factor_model", "training")]
    assert np.asarray(likelihood.vcomp) * 0.01 == pytest.approx(components, rel=0.02)
    assert -np.asarray(likelihood.fe_params)[1:] * 0.1 == pytest.approx(fit.differences)
    assert np.asarray(likelihood.bse_fe)[1:] * 0.1 == pytest.approx([fit.error] * 2, rel=0.01)
    covariance = np.asarray(likelihood.cov_params())[1:3, 1:3]
    f = likelihood.fe_params.iloc[1:] @ np.linalg.solve(covariance, likelihood.fe_params.iloc[1:]) / 2
    assert fit.statistic == pytest.approx(f, rel=0.02)


def test_what_is_not_trained_has_no_part_in_the_mixed_model() -> None:
    """GC content has one value for all seeds. Before the mend: rejected in .18 of studies with two such controls."""
    draw = np.random.default_rng(0)
    rejected, studies, names = 0, 400, (MIXTURE, *RIVALS)
    for _ in range(studies):
        values = 0.8 + draw.normal(0, 0.05, (6, 1, 1)) + draw.normal(0, 0.01, (6, 4, 1)) + np.zeros(3)
        values[:, :2] += draw.normal(0, 0.02, (1, 2, 3)) + draw.normal(0, 0.003, (6, 2, 3))
        fit = fit_mixed(metrics(values, names), list(names))
        assert fit is not None and fit.models == names[:2]
        rejected += fit.p < 0.05
    assert 0.02 < rejected / studies < 0.09
    # One training each says nothing about who was trained; nor do trainings that all came out the same.
    for seeds in (values[:, :, :1], np.repeat(values[:, :, :1], 3, axis=2)):
        fit = fit_mixed(metrics(seeds, names), list(names))
        assert fit is not None and fit.models == names


@pytest.mark.parametrize(("count", "models"), [(2, 3), (3, 5), (6, 3), (8, 5)])
def test_the_p_of_repeated_measures_is_that_of_all_signs(count: int, models: int) -> None:
    for seed in SEEDS:
        values = np.random.default_rng(seed).integers(0, 5, (count, models)) + np.arange(models) * 0.4
        left = values - values.mean(axis=1, keepdims=True)

        def f(signs: tuple[int, ...], left: np.ndarray = left) -> float:
            turned = left * np.array(signs)[:, None]
            effect = turned.mean(axis=0)
            error = ((turned - effect) ** 2).sum()
            return float(len(left) * (effect**2).sum() / error) if error > 1e-9 else math.inf

        every = np.array([f(signs) for signs in product((-1, 1), repeat=count)])
        found = repeated_measures(values)
        if not math.isnan(found.statistic):
            observed = f((1,) * count)
            assert found.p_signs == pytest.approx((every >= observed * (1 - 1e-9)).mean())
    # Between two models it is the paired t test.
    pair = np.random.default_rng(0).normal(size=(9, 2))
    assert repeated_measures(pair).p_signs == pytest.approx(stats.ttest_rel(*pair.T).pvalue)
    # Drawn signs, of many factors: not far from F where models spread alike.
    many = repeated_measures(np.random.default_rng(2).normal(size=(40, 4)) + np.arange(4) * 0.15)
    assert many.p_signs == pytest.approx(many.p, abs=0.03)


def test_checks_of_many_numbers_are_those_of_the_library() -> None:
    """What is drawn and what is approximated agree where there are enough factors."""
    for seed in SEEDS:
        values = np.random.default_rng(seed).normal(size=(60, 3))
        found, left = homogeneity_of_residuals(values), residuals(values)
        assert found.statistic == pytest.approx(stats.levene(*left.T, center="median").statistic)
        groups = [values[:20, 0], values[:31, 1], values[:, 2]]
        expected = stats.levene(*groups, center="median")
        assert homogeneity(groups).statistic == pytest.approx(expected.statistic)
        assert homogeneity(groups).p == pytest.approx(expected.pvalue, abs=0.03)
        shapiro = stats.shapiro(np.concatenate([group - group.mean() for group in groups]))
        assert normality_within(groups).statistic == pytest.approx(shapiro.statistic)
        assert normality_within(groups).p == pytest.approx(shapiro.pvalue, abs=0.04)
        # Box's approximation to Mauchly's W of three treatments.
        w = mauchly(values).statistic
        assert mauchly(values).p == pytest.approx(stats.chi2.sf(-(59 - 11 / 12 - 1 / 12) * math.log(w), 2), abs=0.03)


@pytest.mark.parametrize("count", [2, 6, 13])
def test_the_share_of_factors_has_clopper_and_pearsons_interval(count: int) -> None:
    for higher in range(count + 1):
        differences = np.where(np.arange(count) < higher, 1.0, -1.0)
        share, *ends = common_language(differences, 0.95)
        exact = stats.binomtest(higher, count).proportion_ci(method="exact")
        assert share == higher / count and ends == pytest.approx([exact.low, exact.high])


def test_repeated_measures_agrees_with_statsmodels() -> None:
    for seed, (factors, models) in product(SEEDS, [(2, 2), (2, 5), (3, 3), (13, 4)]):
        values = np.random.default_rng(seed).normal(size=(factors, models))
        long = pd.DataFrame(values).rename_axis("unit").reset_index().melt("unit", var_name="model")
        expected = AnovaRM(long, "value", "unit", within=["model"]).fit().anova_table.iloc[0]
        found = repeated_measures(values)
        assert (found.statistic, found.p) == pytest.approx((expected["F Value"], expected["Pr > F"]), rel=1e-8)
