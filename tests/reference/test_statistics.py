"""Tests over factors against scipy, statsmodels, scikit-posthocs and plain code, on random numbers and at the edges."""

import math
from itertools import combinations, permutations, product

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from metric_tables import MIXTURE, RIVALS, metrics, of_test
from tfbs_moe.statistics.calibration import ood_evidence
from tfbs_moe.statistics.factors import ComparisonSettings, compare_models
from tfbs_moe.statistics.generalisation import compare_strata, factor_values, negatives_matrix, regress
from tfbs_moe.statistics.hypothesis_tests.between import between_groups
from tfbs_moe.statistics.hypothesis_tests.linear_models import repeated_measures
from tfbs_moe.statistics.hypothesis_tests.ranks import wilcoxon
from tfbs_moe.statistics.mixtures import ablation
from tfbs_moe.statistics.pairwise import PAIRED, WILCOXON, paired_results
from tfbs_moe.statistics.units import FactorTable, mean_interval
from tfbs_moe.study import IN_DISTRIBUTION, OTHER_CELL, UNSEEN

SEEDS = range(5)


@pytest.mark.parametrize(
    ("count", "models", "words"),
    [(3, 3, "p exact, over all orders"), (5, 14, "p over 20,000 drawn orders"), (12, 9, "p of F")],
)
def test_what_friedmans_p_is_of_is_told(count: int, models: int, words: str) -> None:
    """Before the mend drawn orders were called all of them: of 14 models over 5 factors there are 10⁵⁴."""
    values = np.random.default_rng(1).uniform(size=(count, models, 1))
    found = compare_models(metrics(values, (MIXTURE, *(f"convnet.{each}" for each in range(models - 1)))), MIXTURE)
    assert words in of_test(found, "Friedman (Iman–Davenport)").iloc[0]["check"]


@pytest.mark.parametrize(("models", "over_signs"), [(2, False), (4, True)])
def test_a_p_beside_an_f_that_is_not_of_it_says_so(models: int, over_signs: bool) -> None:
    """Before the mend: "F(2, 10) = 928.22, p = .031", which is 2 of 64 signs and no p of that F."""
    values = np.arange(models)[:, None] + np.random.default_rng(2).normal(0, 0.01, (6, models, 1))
    found = compare_models(metrics(values, (MIXTURE, *RIVALS)[:models]), MIXTURE)
    row = of_test(found, "repeated-measures ANOVA").iloc[0]
    assert row["sentence"].endswith("p = .031 over signs of factors.") == over_signs
    df, df_error = map(float, row["df"].split(", "))
    assert (row["p"] == pytest.approx(stats.f.sf(row["statistic"], df, df_error))) != over_signs


@pytest.mark.parametrize("seed", SEEDS)
def test_a_factor_in_two_sets_is_one_unit_in_every_test(seed: int) -> None:
    """Six factors in their own cell and in another, with a loss of .02 that only pairs show, and unseen ones."""
    draw = np.random.default_rng(seed)
    own = 0.85 + draw.normal(0, 0.08, (6, 1, 1))
    elsewhere = own - 0.02 + draw.normal(0, 0.003, (6, 1, 1))
    unseen = metrics(0.7 + draw.normal(0, 0.05, (5, 1, 1)), (MIXTURE,))
    unseen["factor"] = "U" + unseen["factor"]
    table = pd.concat(
        [metrics(own, (MIXTURE,), which=IN_DISTRIBUTION), metrics(elsewhere, (MIXTURE,), which=OTHER_CELL), unseen]
    )
    values = factor_values(table)
    found = compare_strata(values)
    found = found[found["strata"] == "stratum"]
    own, elsewhere, new = own.ravel(), elsewhere.ravel(), unseen["value"].to_numpy()
    paired = of_test(found, PAIRED).iloc[0]
    expected = stats.ttest_rel(own, elsewhere)
    assert paired["n"] == 6 and paired["p"] == pytest.approx(expected.pvalue) and expected.pvalue < 0.001
    # Independent groups hold the factor once: its own cell.
    assert of_test(found, "Welch's ANOVA").iloc[0]["n"] == 11
    welch = stats.ttest_ind(own, new, equal_var=False)
    assert of_test(found, "Games–Howell").iloc[0]["p"] == pytest.approx(welch.pvalue, abs=1e-6)
    assert of_test(found, "Kruskal–Wallis").iloc[0]["p"] == pytest.approx(every_split(own, new))
    assert of_test(found, "Mann–Whitney").iloc[0]["p"] == pytest.approx(stats.mannwhitneyu(own, new).pvalue)
    known = pd.DataFrame(
        {
            "protocol": values["protocol"].iloc[0],
            "factor": values["factor"].unique(),
            "similarity": draw.normal(size=11),
            "nearest_factor": "F0",
        }
    )
    slopes = regress(factor_values(table, known))
    assert set(slopes["n"].astype(int)) <= {5, 0} and ": 5 factors are too few" in slopes["sentence"].iloc[0]
    trust = table.assign(
        auroc=table["value"], ood_p_bound=draw.normal(size=len(table)), ood_bound=0.1,
    )  # fmt: skip
    once = trust[trust["set"] != OTHER_CELL]
    rho = ood_evidence(trust).iloc[0]
    expected = stats.spearmanr(once["ood_p_bound"], once["auroc"])
    assert rho["n"] == 11 and rho[["rank_correlation", "p"]].to_list() == pytest.approx(list(expected))


def every_split(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of all ways to draw the first group whose H is as large."""
    both = np.concatenate([first, second])
    rows = [list(chosen) for chosen in combinations(range(len(both)), len(first))]
    h = [stats.kruskal(both[row], np.delete(both, row)).statistic for row in rows]
    return float((np.array(h) >= stats.kruskal(first, second).statistic - 1e-9).mean())


def test_seeds_and_cells_are_averaged_alike_in_every_table() -> None:
    """Uneven designs: factors with one, two or three experiments, of one to three seeds each."""
    draw = np.random.default_rng(0)
    shapes = [(1, 3), (2, 1), (3, 2), (1, 1), (2, 3)]
    rows = [
        {"protocol": "p", "set": UNSEEN, "stratum": UNSEEN, "negatives": "flanks", "rows": "all", "metric": "auroc"}
        | {"factor": f"F{factor}", "experiment": f"F{factor}_{cell}", "seed": seed, "model": model, "n_positive": 9}
        | {"value": draw.uniform(0.5, 1)}
        for factor, (cells, seeds) in enumerate(shapes)
        for cell in range(cells)
        for seed in range(seeds + cell)
        for model in (MIXTURE, RIVALS[0])
    ]
    table = pd.DataFrame(rows)
    units = {
        model: np.array([
            np.mean([experiment["value"].mean() for _, experiment in factor.groupby("experiment")])
            for _, factor in own.groupby("factor")
        ])
        for model, own in table.groupby("model")
    }  # fmt: skip
    for model in (MIXTURE, RIVALS[0]):
        values = factor_values(table).query("model == @model").sort_values("factor")["value"]
        np.testing.assert_allclose(values, units[model], atol=1e-11)
        row = negatives_matrix(table, {"p": "flanks"}).query("model == @model").iloc[0]
        assert row[["value", "lower", "upper"]].to_list() == pytest.approx(list(mean_interval(units[model], 0.95)))
        interval = stats.ttest_1samp(units[model], 0).confidence_interval()
        assert row[["lower", "upper"]].to_list() == pytest.approx([interval.low, interval.high])
    gap = ablation(table, {("p", RIVALS[0]): {"gate": "a"}, ("p", MIXTURE): {"gate": "b"}}).iloc[1]
    test = stats.ttest_rel(units[MIXTURE], units[RIVALS[0]])
    assert gap["difference"] == pytest.approx((units[MIXTURE] - units[RIVALS[0]]).mean())
    assert gap["difference_lower"] == pytest.approx(test.confidence_interval().low)
    paired = of_test(compare_models(table, MIXTURE), PAIRED).iloc[0]
    assert (paired["p"], paired["statistic"]) == pytest.approx((test.pvalue, test.statistic))


@pytest.mark.parametrize("seed", SEEDS)
def test_rivals_that_lack_a_factor_are_adjusted_with_the_others(seed: int) -> None:
    draw = np.random.default_rng(seed)
    values = 0.8 + draw.normal(0, 0.01, (8, 5, 2))
    values[:, 0] += 0.01
    # A factor's matrix, where only some have one.
    values[draw.permutation(8)[:4], 4] = np.nan
    found = compare_models(metrics(values, (MIXTURE, *RIVALS, "baseline.matrix")), MIXTURE)
    wide = values.mean(axis=2)
    for test, function in ((PAIRED, stats.ttest_rel), (WILCOXON, stats.wilcoxon)):
        kept = [np.isfinite(wide[:, rival]) for rival in range(1, 5)]
        raw = [function(wide[rows, 0], wide[rows, rival + 1]).pvalue for rival, rows in enumerate(kept)]
        family = of_test(found, test)
        assert family["n"].tolist() == [8, 8, 8, 4] and set(family["adjustment"]) == {"Holm over 4"}
        assert family["p"].to_numpy() == pytest.approx(raw)
        assert family["p_adjusted"].to_numpy() == pytest.approx(multipletests(raw, method="holm")[1])
    for test in ("mixed model contrast", "equivalence (TOST)", "non-inferiority"):
        family = of_test(found, test)
        assert len(family) == 4
        assert family["p_adjusted"].to_numpy() == pytest.approx(multipletests(family["p"], method="holm")[1])


@pytest.mark.parametrize("seed", range(12))
def test_every_sentence_claims_what_the_adjusted_p_allows(seed: int) -> None:
    draw = np.random.default_rng(seed)
    values = 0.8 + draw.normal(0, 0.02, (7, 1, 1)) + draw.normal(0, 0.008, (7, 4, 2))
    values[:, 0] += 0.009 * (seed % 3)
    found = compare_models(metrics(values, (MIXTURE, *RIVALS)), MIXTURE)
    for test in (PAIRED, "mixed model contrast"):
        for comparison, row in of_test(found, test).iterrows():
            first, second = str(comparison).split(" − ")
            claimed = f"{first} has a higher" in row["sentence"] or f"{first} has a lower" in row["sentence"]
            assert claimed == (row["p_adjusted"] < 0.05), row["sentence"]
            assert f"Holm over {len(RIVALS)}" in row["sentence"] and second in row["sentence"]
    margins = found[found["test"].isin(["equivalence (TOST)", "non-inferiority"])]
    for row in margins.to_dict("records"):
        assert ("is not shown to be" in row["sentence"]) == (row["p_adjusted"] >= 0.05)
        shown = f"p = {row['p_adjusted']:.3f}".replace("0.", ".", 1) if row["p_adjusted"] >= 0.001 else "p < .001"
        assert shown in row["sentence"]


def test_a_margin_that_holds_alone_and_not_among_others_is_not_claimed() -> None:
    """Before the mend: "is equivalent", p = .027, where p adjusted was .054."""
    draw = np.random.default_rng(0)
    values = np.full((8, 3, 1), 0.8) + draw.normal(0, 0.05, (8, 1, 1))
    noise = stats.zscore(draw.normal(size=8), ddof=1)[:, None] * 0.01
    t = stats.t.isf(0.027, 7)
    # Mean difference and spread such that the one-sided p against the margin of .01 is .027.
    values[:, 1] += 0.01 - t * 0.01 / math.sqrt(8) + noise
    values[:, 2] += 0.01 - t * 0.01 / math.sqrt(8) + noise[::-1]
    rows = of_test(compare_models(metrics(values, (MIXTURE, *RIVALS[:2])), MIXTURE), "non-inferiority")
    assert rows["p"].to_numpy() == pytest.approx([0.027] * 2) and rows["p_adjusted"].to_numpy() == pytest.approx(0.054)
    assert rows["sentence"].str.contains(r"is not shown to be no worse than .*p = \.054, Holm over 2").all()


@pytest.mark.parametrize("metric", ["auroc", "log_loss", "brier", "calibration_error"])
def test_margins_have_the_sign_of_every_comparison(metric: str) -> None:
    """The first minus the other; no worse is less where less is better."""
    draw = np.random.default_rng(3)
    values = 0.3 + draw.normal(0, 0.002, (9, 2, 1))
    better = -0.02 if metric != "auroc" else 0.02
    values[:, 0] += better
    table = metrics(values, (MIXTURE, RIVALS[0]), metric)
    found = compare_models(table, MIXTURE, metric=metric, settings=ComparisonSettings(margin=0.01))
    difference = values[:, 0, 0] - values[:, 1, 0]
    rows = {test: of_test(found, test).iloc[0] for test in (PAIRED, "non-inferiority", "equivalence (TOST)")}
    assert all(row["effect"] == pytest.approx(difference.mean()) for row in rows.values())
    inferior = rows["non-inferiority"]
    side = {"alternative": "greater" if metric == "auroc" else "less"}
    worst = -0.01 if metric == "auroc" else 0.01
    assert inferior["p"] == pytest.approx(stats.ttest_1samp(difference, worst, **side).pvalue)
    assert "is no worse than" in inferior["sentence"]
    bound = stats.ttest_1samp(difference, 0, **side).confidence_interval()
    assert (inferior["effect_lower"], inferior["effect_upper"]) == pytest.approx((bound.low, bound.high))
    # An interval without an end has the level of its one end; that of two tests leaves out a share at both.
    assert inferior["check"] == "one-sided, interval of level 0.95"
    tost = rows["equivalence (TOST)"]
    assert tost["p"] == pytest.approx(ttost_paired(difference, np.zeros(9), -0.01, 0.01)[0])
    ends = stats.ttest_1samp(difference, 0).confidence_interval(0.9)
    assert (tost["effect_lower"], tost["effect_upper"]) == pytest.approx((ends.low, ends.high))
    assert tost["check"] == "one-sided, interval of level 0.9"


@pytest.mark.parametrize("count", [1, 2, 3, 6, 9, 15])
def test_wilcoxon_counts_every_sign(count: int) -> None:
    """Ties and zeros too (Pratt 1959): p is the share of all signs that are as far out."""
    for seed in SEEDS:
        differences = np.random.default_rng(seed).integers(-2, 4, count) / 10
        values = 0.5 + np.stack([differences, np.zeros(count)], axis=1)
        names = tuple(f"F{factor}" for factor in range(count))
        _, found = paired_results(FactorTable(values, names, (MIXTURE, RIVALS[0])), "auroc", 0.95)
        if not differences.any():
            assert math.isnan(found.p)
            continue
        ranks = stats.rankdata(np.abs(differences))[differences != 0]
        signs = np.array(list(product((-1, 1), repeat=len(ranks))))
        far = np.abs((signs * ranks).sum(axis=1))
        observed = abs((np.sign(differences[differences != 0]) * ranks).sum())
        assert found.test == WILCOXON and found.p == pytest.approx((far >= observed - 1e-9).mean())


def test_five_factors_that_differ_show_nothing_however_many_do_not() -> None:
    """By the normal approximation p was .026 and .043, and .014 with twenty factors that are equal of 26."""
    for equal in (0, 9, 60):
        differences = np.r_[np.arange(1, 6) / 10, np.zeros(equal)]
        assert wilcoxon(differences, "pratt")[1] == wilcoxon(differences)[1] == 2 / 2**5
    untied = np.random.default_rng(0).normal(0.3, 1, 50)
    expected = stats.wilcoxon(untied, method="exact")
    assert wilcoxon(untied) == pytest.approx((expected.statistic, expected.pvalue))


def test_models_with_fewer_trainings_have_no_part_in_the_mixed_model() -> None:
    """Before the mend: rejected in .24 of studies where some factors had one seed and others five."""
    draw = np.random.default_rng(0)
    values = 0.8 + draw.normal(0, 0.05, (8, 1, 1)) + draw.normal(0, 0.01, (8, 4, 5))
    values[:, 3, 1:] = np.nan
    found = compare_models(metrics(values, (MIXTURE, *RIVALS)), MIXTURE)
    whole = found[found["test"] == "mixed model"].iloc[0]
    assert whole["comparison"] == " / ".join((MIXTURE, *RIVALS[:2]))
    assert f"left out, with fewer trainings or none: {RIVALS[2]}" in whole["check"] and np.isnan(whole["effect_lower"])
    contrasts = found[found["test"] == "mixed model contrast"]
    assert len(contrasts) == 2 and set(contrasts["adjustment"]) == {"Holm over 2"}
    # Seeds that half of the factors alone have are no trainings of all of them.
    values[4:, :, 1:] = np.nan
    few = compare_models(metrics(values, (MIXTURE, *RIVALS)), MIXTURE)
    anova = repeated_measures(values[:, :, 0])
    mixed = few[few["test"] == "mixed model"].iloc[0]
    assert (mixed["statistic"], mixed["p"]) == pytest.approx((anova.statistic, anova.p))
    # A mixture with more trainings than any other has none to be compared with.
    values[:, 1:, 1:] = np.nan
    values[:, 0] = draw.normal(0.8, 0.05, (8, 5))
    alone = compare_models(metrics(values, (MIXTURE, *RIVALS)), MIXTURE)
    assert "No other model has as many trainings" in of_test(alone, "mixed model").iloc[0]["sentence"]


@pytest.mark.parametrize("count", [4, 5, 6, 7])
def test_spearmans_p_of_few_factors_is_that_of_all_orders(count: int) -> None:
    for seed, ties in product(SEEDS, (False, True)):
        draw = np.random.default_rng(seed)
        first, second = draw.normal(size=(2, count)).round(0 if ties else 9)
        if np.ptp(first) == 0 or np.ptp(second) == 0:
            continue
        names = {"protocol": "p", "model": "m", "negatives": "flanks", "set": UNSEEN, "ood_bound": 0.1}
        table = pd.DataFrame({"ood_p_bound": first, "auroc": second}).assign(**names)
        table = table.assign(factor=[f"F{index}" for index in range(count)], experiment="E")
        row = ood_evidence(table).iloc[0]
        a, b = stats.rankdata(first), stats.rankdata(second)
        orders = stats.zscore(np.array(list(permutations(a))), axis=1)
        every = np.abs(orders @ stats.zscore(b)) / count
        assert row["rank_correlation"] == pytest.approx(np.corrcoef(a, b)[0, 1])
        assert row["p"] == pytest.approx((every >= abs(np.corrcoef(a, b)[0, 1]) - 1e-9).mean())


def test_strata_of_few_factors_have_no_welch_and_an_exact_rank_test() -> None:
    draw = np.random.default_rng(0)
    for sizes in ((3, 6), (2, 2), (4, 4, 9)):
        table = pd.concat(
            metrics(draw.normal(0.7, 0.05, (size, 1, 1)), (MIXTURE,)).assign(stratum=f"s{size}{index}")
            for index, size in enumerate(sizes)
        )
        table["factor"] = table["experiment"] = [f"F{index}" for index in range(len(table))]
        found = compare_strata(factor_values(table)).query("strata == 'stratum'")
        assert not found["test"].isin(["Welch's ANOVA", "Games–Howell"]).any()
        ranked = found[found["test"] == "Kruskal–Wallis"].iloc[0]
        groups = [group["value"].to_numpy() for _, group in table.groupby("stratum", sort=False)]
        assert bool(ranked["headline"]) and (len(sizes) > 2 or ranked["p"] == pytest.approx(every_split(*groups)))
        pairs = found[found["test"] == "Mann–Whitney"]
        exact = [stats.mannwhitneyu(a, b, method="exact").pvalue for a, b in combinations(groups, 2)]
        assert pairs["p"].to_numpy() == pytest.approx(exact) and pairs["effect_lower"].isna().all()


@pytest.mark.parametrize(
    ("first", "second"),
    [([0.8] * 3, [0.9] * 3), ([0.8] * 2, [0.9] * 8), ([0.5, 0.6, 0.6, 0.6], [0.7, 0.7, 0.8]), ([0.9, 0.9, 1], [1] * 3)],
)
def test_ties_between_few_factors_are_counted_over_every_split(first: list[float], second: list[float]) -> None:
    """By scipy's normal approximation three against three, apart but for ties, had p = .047; a tenth of splits do."""
    found = between_groups({"a": np.array(first, float), "b": np.array(second, float)}, "auroc", 0.95)
    (p,) = (result.p for result in found if result.test == "Mann–Whitney")
    ranks, size = stats.rankdata([*first, *second]), len(first)
    sums = np.array([sum(chosen) for chosen in combinations(ranks, size)])
    seen = ranks[:size].sum()
    assert p == pytest.approx(min(1, 2 * min((sums <= seen).mean(), (sums >= seen).mean())))


SHAPES = [(1, 2, 1), (1, 3, 2), (2, 2, 1), (2, 3, 2), (3, 2, 2), (3, 3, 1), (4, 3, 2)]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(("count", "models", "seeds"), SHAPES)
def test_no_study_is_too_odd_for_its_tables(count: int, models: int, seeds: int) -> None:
    """Perfect, identical, shifted, coarse models: each test has a row, no number is infinite but a margin's end."""
    draw = np.random.default_rng(count)
    shape = (count, models, seeds)
    perfect = np.where(np.arange(models)[None, :, None] == 0, 1.0, 0.5) * np.ones(shape)
    level = draw.uniform(0.5, 1, (count, 1, 1))
    one_off = perfect.copy()
    one_off[0, -1, -1] = 0.51
    for values in (
        np.ones(shape), perfect, one_off, level * np.ones(shape), draw.integers(5, 8, shape) / 10,
        level + draw.normal(0, 1e-13, shape), level + draw.normal(0, 1e-9, shape),
    ):  # fmt: skip
        found = compare_models(metrics(values, (MIXTURE, *RIVALS)[:models]), MIXTURE)
        assert found["sentence"].ne("").all() and not found["sentence"].str.contains("nan|inf").any()
        assert found["p"].dropna().between(0, 1).all()
        assert not np.isinf(found[["p", "p_adjusted", "effect"]].to_numpy(dtype=float)).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_regression_agrees_with_statsmodels_or_has_no_numbers(seed: int) -> None:
    draw = np.random.default_rng(seed)
    values = metrics(draw.uniform(0.6, 0.9, (9, 1, 1)), (MIXTURE,)).assign(overlap=0.1, similarity=draw.normal(size=9))
    row = regress(values.assign(metric="auroc")).iloc[0]
    fit = sm.OLS(values["value"], sm.add_constant(values["similarity"])).fit(cov_type="HC3", use_t=True)
    expected = (fit.params.iloc[1], fit.pvalues.iloc[1], *fit.conf_int().iloc[1])
    assert row[["effect", "p", "effect_lower", "effect_upper"]].to_list() == pytest.approx(list(expected))
    # One factor decides the slope alone: its leverage is 1, and HC3 divides by nothing.
    lone = values.assign(similarity=np.where(np.arange(9) == 4, 1.0, 0.0))
    assert regress(lone)["p"].isna().all()
