"""Strata, similarity to training, regression, the matrix of negatives, power, and one test set."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.oneway import anova_oneway

from tfbs_moe.data.jaspar import Matrix, factor_matrices, matrices
from tfbs_moe.data.motif_prior import motif_priors_of
from tfbs_moe.statistics.factors import power_table, simulated_power
from tfbs_moe.statistics.generalisation import (
    compare_strata,
    factor_values,
    generalisation_tables,
    nearest_training_factors,
    negatives_matrix,
    regress,
    strata_means,
)
from tfbs_moe.statistics.hypothesis_tests.between import between_groups
from tfbs_moe.statistics.hypothesis_tests.effects import probability_of_superiority
from tfbs_moe.statistics.hypothesis_tests.results import RESULT_COLUMNS
from tfbs_moe.study import SETS

STRATA = {"within_family": 7, "cross_family": 6, "non_motif": 5, "other_cell": 1}


def metrics(spread=0.02, strata=None, protocol="sound", negatives="supplied", models=("moe.softmax", "baseline.mean")):
    rng = np.random.default_rng(2)
    records = []
    for level, (stratum, count) in enumerate((strata or STRATA).items()):
        for index in range(count):
            name = f"{stratum}{index}"
            base = 0.85 - 0.05 * level + rng.normal(0, spread)
            bound = 100
            for model in models:
                for seed in (0, 1):
                    for rows, positives in (("all", bound), ("overlap_free", bound - 10 * index)):
                        value = base + rng.normal(0, 0.005)
                        records.append((protocol, model, seed, f"{name}_K562", name, "unseen", stratum,
                                        negatives, rows, "auroc", value, positives))  # fmt: skip
    columns = ["protocol", "model", "seed", "experiment", "factor", "set", "stratum", "negatives", "rows", "metric",
               "value", "n_positive"]  # fmt: skip
    return pd.DataFrame(records, columns=columns)


def datasets(table):
    """Return the sizes of the test sets of a table of metrics, of whose pairs more overlap training than bound rows."""
    rows = table.query("rows == 'all'")[["experiment", "factor", "negatives"]].drop_duplicates("experiment")
    overlapping = [10 * int(name[-1]) if name[-1].isdigit() else 0 for name in rows["factor"]]
    test = rows.assign(split="test", positives=200, overlapping=overlapping)
    return pd.concat([test, test.assign(split="train", overlapping=0)])


def known(table=None):
    values = factor_values(metrics() if table is None else table)
    factors = list(dict.fromkeys(values["factor"]))
    return pd.DataFrame(
        {
            "protocol": "sound",
            "factor": factors,
            "nearest_stratum": ["within_family" if name < "o" else None for name in factors],
            "nearest_factor": ["JUND" if name < "o" else None for name in factors],
            "similarity": [
                float(len(name)) + index % 3 if name < "o" else np.nan for index, name in enumerate(factors)
            ],
        }
    )


def parts(table, model="moe.softmax"):
    values = factor_values(table)
    chosen = values[(values["model"] == model) & (values["rows"] == "all")]
    return {name: group["value"].to_numpy() for name, group in chosen.groupby("stratum", sort=False) if len(group) > 1}


def chosen(found, model="moe.softmax", strata="stratum", rows="all"):
    return found[(found["model"] == model) & (found["strata"] == strata) & (found["rows"] == rows)]


def test_overlap_is_the_share_of_bound_rows_and_not_of_pairs():
    """A bound row whose shuffle or match overlaps training is dropped with it, and overlaps nothing itself."""
    table = metrics()
    values = factor_values(table, datasets=datasets(table))
    first = values[values["factor"] == "within_family3"]
    assert first["overlap"].to_numpy() == pytest.approx(0.15)
    assert factor_values(table)["overlap"].isna().all()


def test_strata_means_have_the_factor_as_unit_and_both_ways_of_drawing():
    means = strata_means(factor_values(metrics(), known()))
    assert set(means["strata"]) == {"stratum", "nearest_stratum", "nearest_factor"}
    row = means.query(
        "model == 'moe.softmax' and rows == 'all' and name == 'within_family' and strata == 'stratum'"
    ).iloc[0]
    values = parts(metrics())["within_family"]
    assert row["n"] == 7
    interval = stats.ttest_1samp(values, 0).confidence_interval()
    assert (row["lower"], row["upper"]) == pytest.approx((interval.low, interval.high))
    high = metrics().assign(value=lambda table: np.where(table["factor"] == "within_family3", 0.2, 0.99))
    ends = strata_means(factor_values(high), level=0.999)
    assert ends["upper"].max() == 1.0
    single = means.query("name == 'other_cell'")
    assert single["lower"].isna().all()


def test_between_strata_tests_agree_with_their_libraries():
    found = chosen(compare_strata(factor_values(metrics()))).set_index(["test", "comparison"])
    groups = parts(metrics())
    everyone = " / ".join(groups)
    welch = anova_oneway(list(groups.values()), use_var="unequal")
    assert found.loc[("Welch's ANOVA", everyone), "statistic"] == pytest.approx(welch.statistic, rel=1e-9)
    kruskal = stats.kruskal(*groups.values())
    # Of 18 factors in all p is that of drawn strata; χ² is not far from it.
    assert found.loc[("Kruskal–Wallis", everyone), "p"] == pytest.approx(kruskal.pvalue, abs=0.03)
    pairs = [stats.mannwhitneyu(a, b, method="exact") for a, b in combinations(groups.values(), 2)]
    adjusted = multipletests([pair.pvalue for pair in pairs], method="holm")[1]
    assert found.xs("Mann–Whitney")["p_adjusted"].to_numpy() == pytest.approx(adjusted)
    assert found["check"].str.contains("left out, with one factor: other_cell").all()
    assert (found["headline"].groupby(level="test").first().sum()) == 2
    assert found.loc[("Kruskal–Wallis", everyone), "effect"] == pytest.approx(kruskal.statistic / 17)


def test_games_howell_of_two_strata_is_welchs_t_test():
    table = metrics(strata={"within_family": 7, "cross_family": 6})
    found = chosen(compare_strata(factor_values(table))).set_index("test")
    first, second = parts(table).values()
    welch = stats.ttest_ind(first, second, equal_var=False)
    assert found.loc["Games–Howell", "p"] == pytest.approx(welch.pvalue, abs=1e-6)
    interval = welch.confidence_interval()
    assert found.loc["Games–Howell", "effect_lower"] == pytest.approx(interval.low, abs=1e-6)


def test_games_howell_intervals_reach_to_the_quantile_of_the_studentized_range():
    drawn = np.random.default_rng(0)
    groups = {
        name: drawn.normal(scale=scale, size=6 + count)
        for count, (name, scale) in enumerate(zip("abcd", (1, 2, 3, 1), strict=True))
    }
    found = [one for one in between_groups(groups, "auroc", 0.9) if one.test == "Games–Howell"]
    assert len(found) == 6
    for one in found:
        first, second = (groups[name] for name in one.comparison.split(" − "))
        errors = [first.var(ddof=1) / len(first), second.var(ddof=1) / len(second)]
        df = sum(errors) ** 2 / (errors[0] ** 2 / (len(first) - 1) + errors[1] ** 2 / (len(second) - 1))
        half = stats.studentized_range.ppf(0.9, 4, df) * np.sqrt(sum(errors) / 2)
        assert one.effect_upper - one.effect == pytest.approx(half, rel=1e-9)


def test_strata_that_cannot_be_compared_have_a_defined_result():
    found = compare_strata(factor_values(metrics(strata={"within_family": 5, "non_motif": 1})))
    assert found["p"].isna().all()
    assert found["sentence"].str.contains("Fewer than two strata").all()


def in_two_cells(loss=0.02, factors=7, unseen=23):
    """Metrics of training factors in their own cell and, but for the last, in another; and of unseen factors."""
    rng = np.random.default_rng(5)
    rows = []
    for index in range(factors + unseen):
        own = rng.normal(0.8, 0.05)
        cells = [("unseen", "within_family", own - 0.05)]
        if index < factors:
            cells = [("in_distribution", "in_distribution", own)]
        if index < factors - 1:
            cells.append(("other_cell", "other_cell", own - loss + rng.normal(0, 0.002)))
        for its_set, stratum, value in cells:
            for rows_of, positives in (("all", 100), ("overlap_free", 100 - index)):
                rows.append(("sound", "moe.softmax", 0, f"F{index}_{its_set}", f"F{index}", its_set, stratum, "flanks",
                             rows_of, "auroc", value, positives))  # fmt: skip
    # Rows of another cell first: which cell is a factor's own is no matter of their order.
    rows.sort(key=lambda row: row[5] != "other_cell")
    return pd.DataFrame(rows, columns=metrics().columns)


def test_a_factor_in_two_cells_is_one_unit_between_strata_and_is_paired_with_itself():
    table = in_two_cells()
    found = chosen(compare_strata(factor_values(table))).set_index("test")
    values = factor_values(table).query("rows == 'all'")
    own, other, unseen = (values[values["set"] == name].set_index("factor")["value"] for name in SETS)
    assert len(own) == 7 and len(other) == 6 and len(unseen) == 23
    welch = anova_oneway([own, unseen], use_var="unequal")
    assert found.loc["Welch's ANOVA", "p"] == pytest.approx(welch.pvalue, rel=1e-9)
    assert found.loc["Welch's ANOVA", "n"] == 30
    assert found.loc["Kruskal–Wallis", "p"] == pytest.approx(stats.kruskal(own, unseen).pvalue, rel=1e-9)
    assert "left out of other_cell, as they count in another group: F0, F1" in found.loc["Kruskal–Wallis", "check"]
    paired = stats.ttest_rel(own[other.index], other)
    row = found.loc["paired t"]
    assert row["comparison"] == "in_distribution − other_cell"
    assert row["n"] == 6 and row["effect"] == pytest.approx(0.02, abs=0.003)
    assert row["p"] == row["p_adjusted"] == pytest.approx(paired.pvalue, rel=1e-9)
    # Taken for independent, the true loss is not seen.
    assert row["p"] < 0.001 and stats.ttest_ind(own, other, equal_var=False).pvalue > 0.3
    assert row["sentence"].startswith("in_distribution has a higher auroc than other_cell: +0.02")
    assert found.loc["Wilcoxon signed-rank", "p"] == pytest.approx(2 / 2**6)


def test_regression_is_over_factors_that_no_expert_saw_alone():
    table = in_two_cells()
    factors = table["factor"].unique()
    similarity = pd.DataFrame({"protocol": "sound", "factor": factors, "similarity": np.arange(len(factors)) % 5.0})
    found = regress(factor_values(table, similarity, datasets=datasets(table))).query("rows == 'all'")
    assert set(found["n"]) == {23} and set(found["set"]) == {"unseen"}
    assert found["sentence"].str.startswith("Over 23 unseen factors").all()


def test_strata_by_likeness_keep_another_cell_apart():
    """A training factor's nearest training factor is itself, in every cell."""
    similarity = nearest_training_factors(["JUNX"], ["JUNX"], made_collection()).assign(protocol="sound")
    rows = [("JUNX", "in_distribution", 0.9), ("JUNX", "other_cell", 0.7)]
    table = pd.DataFrame(
        [("sound", "moe.softmax", 0, its_set, name, its_set, its_set, "flanks", "all", "auroc", value, 9)
         for name, its_set, value in rows], columns=metrics().columns,
    )  # fmt: skip
    means = (
        strata_means(factor_values(table, similarity)).query("strata == 'nearest_stratum'").set_index("name")["value"]
    )
    assert means.to_dict() == pytest.approx({"in_distribution": 0.9, "other_cell": 0.7})


def test_regression_agrees_with_statsmodels():
    table = metrics(strata={"within_family": 7, "cross_family": 8, "non_motif": 5})
    values = factor_values(table, known(table), datasets=datasets(table))
    found = regress(values, models=["moe.softmax"])
    rows = found[(found["rows"] == "all") & (found["comparison"] == "auroc ~ similarity + overlap")]
    used = values[(values["model"] == "moe.softmax") & (values["rows"] == "all")].dropna(subset=["similarity"])
    fit = sm.OLS(used["value"], sm.add_constant(used[["similarity", "overlap"]])).fit(cov_type="HC3", use_t=True)
    assert rows["effect"].to_numpy() == pytest.approx(fit.params[["similarity", "overlap"]].to_numpy(), rel=1e-6)
    assert rows["p"].to_numpy() == pytest.approx(fit.pvalues[["similarity", "overlap"]].to_numpy(), rel=1e-6)
    assert rows["check"].str.contains("for lack of similarity or overlap: ").all()


def test_regression_on_too_few_factors_has_no_numbers():
    values = factor_values(metrics(strata={"cross_family": 3}))
    found = regress(values)
    assert found["p"].isna().all()
    assert found["sentence"].str.contains("cannot be regressed").all()


def made_matrix(name, consensus, family):
    probabilities = np.full((4, len(consensus)), 0.02)
    probabilities["ACGT".index("A"), :] = 0.02
    for column, base in enumerate(consensus):
        probabilities["ACGT".index(base), column] = 0.94
    return Matrix(name, name.split(".")[0], probabilities, (family,), (family,))


def made_collection():
    rng = np.random.default_rng(0)
    own = [
        made_matrix("FOSX.1", "TGACTCAT", "Fos"),
        made_matrix("JUNX.1", "ATGACTCA", "Fos"),
        made_matrix("MYCX.1", "CCACGTGG", "bHLH"),
        made_matrix("ZNFX.1", "GGGAAACC", "zinc"),
        made_matrix("MYCX::MAXX.1", "CCACGTGC", "bHLH"),
    ]
    others = [made_matrix(f"BACK{index}.1", "".join(rng.choice(list("ACGT"), 8)), "other") for index in range(60)]
    return own + others


def test_the_nearest_training_factor_is_found_on_either_strand():
    found = nearest_training_factors(["FOSX", "ZNFX", "POLR2A", "MYCX"], ["JUNX", "MYCX"], made_collection()).set_index(
        "factor"
    )
    assert found.loc["FOSX", ["nearest_factor", "nearest_stratum"]].tolist() == ["JUNX", "within_family"]
    assert found.loc["ZNFX", "nearest_stratum"] == "cross_family"
    assert found.loc["POLR2A", "nearest_stratum"] == "non_motif"
    assert np.isnan(found.loc["POLR2A", "similarity"])
    assert found.loc["MYCX", ["nearest_factor", "nearest_stratum"]].tolist() == ["MYCX", "in_distribution"]
    assert found.loc["FOSX", "similarity"] > found.loc["ZNFX", "similarity"]


def test_a_factor_has_its_own_matrices_before_those_of_its_dimers():
    matrices = made_collection()
    assert [matrix.matrix_id for matrix in factor_matrices("mycx", matrices)] == ["MYCX.1"]
    assert [matrix.matrix_id for matrix in factor_matrices("MAXX", matrices)] == ["MYCX::MAXX.1"]
    assert factor_matrices("NONE", matrices) == ()


def test_jaspar_knows_the_neighbours_of_ctcf_and_of_fosl1():
    found = nearest_training_factors(["FOSL1", "USF1", "POLR2A"], ["JUND", "MAX", "GABPA"]).set_index("factor")
    assert found.loc["FOSL1", "nearest_factor"] == "JUND"
    assert found.loc["USF1", "nearest_factor"] == "MAX"
    assert found.loc["POLR2A", "nearest_stratum"] == "non_motif"
    assert found.loc["FOSL1", "tomtom_p"] < 1e-4


def test_the_factors_of_a_fly_are_looked_up_among_those_of_insects():
    known = matrices("insects")
    found = nearest_training_factors(["zen", "Cf2", "POLR2A"], ["ftz", "br"], known).set_index("factor")
    assert found.loc["zen", "nearest_factor"] == "ftz"
    assert found.loc["zen", "nearest_stratum"] == "within_family"
    assert found.loc["POLR2A", "nearest_stratum"] == "non_motif"
    fly = motif_priors_of(["zen"], ["ftz", "br"], "insects")["zen"]
    assert fly.similarity["ftz"] > fly.similarity["br"]
    assert motif_priors_of(["zen"], ["ftz", "br"])["zen"].matrix_ids == ()


def test_the_matrix_of_negatives_has_a_cell_for_each_kind_on_each():
    tables = [
        metrics(protocol=protocol, negatives=negatives)
        for protocol in ("published", "sound")
        for negatives in ("flanks", "gc_matched")
    ]
    kinds = {"published": "block_shuffle", "sound": "dinucleotide_shuffle"}
    found = negatives_matrix(pd.concat(tables), kinds)
    cells = found[(found["model"] == "moe.softmax") & (found["rows"] == "all")]
    assert set(zip(cells["trained_on"], cells["tested_on"], strict=True)) == {
        (trained, tested) for trained in kinds.values() for tested in ("flanks", "gc_matched")
    }
    assert set(cells["n"]) == {19}
    assert ((cells["lower"] < cells["value"]) & (cells["value"] < cells["upper"])).all()


def test_every_table_of_where_results_hold():
    table = metrics(strata={"within_family": 2, "non_motif": 1})
    renamed = {"within_family0": "FOSX", "within_family1": "ZNFX", "non_motif0": "POLR2A"}
    table["factor"] = table["factor"].map(renamed)
    # A model may be missing on one dataset.
    table = table[(table["factor"] != "ZNFX") | (table["model"] != "baseline.mean")]
    found = generalisation_tables(
        table,
        datasets(table),
        {"sound": ["JUNX", "MYCX"]},
        {"sound": "dinucleotide_shuffle"},
        ["moe.softmax"],
        matrices=made_collection(),
    )
    assert found["similarity"].set_index("factor").loc["POLR2A", "nearest_stratum"] == "non_motif"
    means = found["strata"].query("rows == 'all' and model == 'baseline.mean'").set_index(["strata", "name"])
    assert means.loc[("stratum", "within_family"), "factors"] == "FOSX"
    assert set(found["strata_tests"]["model"]) == set(found["regression"]["model"]) == {"moe.softmax"}
    for name in ("strata_tests", "regression"):
        assert found[name]["p"].isna().all()
        assert found[name]["sentence"].str.len().gt(0).all()
        assert set(RESULT_COLUMNS) <= set(found[name].columns)
    assert set(found["negatives_matrix"]["trained_on"]) == {"dinucleotide_shuffle"}


def test_a_factor_is_near_to_those_that_its_protocol_has_experts_of():
    """JUNX, whose expert the second protocol lacks, is trained on under the first alone."""
    renamed = {"within_family0": "FOSX", "within_family1": "JUNX", "non_motif0": "POLR2A"}
    tables = [metrics(strata={"within_family": 2, "non_motif": 1}, protocol=name) for name in ("sound", "poor")]
    table = pd.concat(tables, ignore_index=True)
    table["factor"] = table["factor"].map(renamed)
    trained = {"sound": ["JUNX", "MYCX"], "poor": ["MYCX"]}
    kinds = dict.fromkeys(trained, "flanks")
    found = generalisation_tables(table, datasets(table), trained, kinds, ["moe.softmax"], matrices=made_collection())
    near = found["similarity"].set_index(["protocol", "factor"])
    assert near["nearest_stratum"].drop("POLR2A", level=1).to_dict() == {
        ("sound", "FOSX"): "within_family",
        ("sound", "JUNX"): "in_distribution",
        ("poor", "FOSX"): "cross_family",
        ("poor", "JUNX"): "cross_family",
    }
    assert near.loc[("poor", "FOSX"), "nearest_factor"] == "MYCX"
    means = found["strata"].query("strata == 'nearest_factor' and model == 'moe.softmax' and rows == 'all'")
    assert dict(zip(means["protocol"] + " " + means["name"], means["factors"], strict=True)) == {
        "sound JUNX": "FOSX, JUNX",
        "poor MYCX": "FOSX, JUNX",
    }


def test_a_study_of_one_stratum_has_nothing_to_compare():
    table = metrics(strata={"in_distribution": 3}).assign(set="in_distribution")
    found = generalisation_tables(
        table, datasets(table), {"sound": ["in_distribution0"]}, {"sound": "flanks"}, ["moe.softmax"], matrices=[]
    )
    assert found["strata_tests"]["p"].isna().all()
    assert found["regression"].empty
    assert len(found["strata"])


def test_the_probability_of_superiority_keeps_its_interval_where_groups_do_not_overlap():
    low, high = np.arange(3.0), np.arange(4.0) + 10
    share, lower, upper = probability_of_superiority(high, low, 0.95)
    assert (share, upper) == (1, 1)
    assert 0.4 < lower < 0.7
    mirrored = probability_of_superiority(low, high, 0.95)
    assert mirrored == pytest.approx((0, 0, 1 - lower))
    drawn = np.random.default_rng(0).normal(size=(300, 2, 12)) + np.array([[0.5], [0.0]])
    truth = stats.norm.cdf(0.5 / np.sqrt(2))
    ends = [probability_of_superiority(first, second, 0.95)[1:] for first, second in drawn]
    assert 0.91 <= np.mean([lower <= truth <= upper for lower, upper in ends]) <= 0.99


def test_simulated_power_agrees_with_the_noncentral_t():
    stream = np.random.default_rng(0)
    for count, effect in ((8, 0.02), (20, 0.01), (50, 0.01)):
        shift = effect / 0.02 * np.sqrt(count)
        limit = stats.t.ppf(0.975, count - 1)
        exact = stats.nct.sf(limit, count - 1, shift) + stats.nct.cdf(-limit, count - 1, shift)
        assert simulated_power(effect, 0.02, count, 0.95, stream, 20_000) == pytest.approx(exact, abs=0.01)


def test_power_says_how_many_factors_are_needed():
    found = power_table(metrics(), "moe.softmax", seed=1, grid=(5, 20, 80))
    one = found[(found["effect"] == 0.01) & (found["rows"] == "all")]
    assert one["power"].is_monotonic_increasing
    assert one["enough"].sum() <= 1
    assert one["sentence"].str.contains("a study needs").all()
    assert found.equals(power_table(metrics(), "moe.softmax", seed=1, grid=(5, 20, 80)))


def test_the_share_of_simulated_studies_has_wilsons_interval_at_both_ends_too():
    found = power_table(metrics(), "moe.softmax", seed=1, level=0.9, effects=(0.0, 0.01, 1.0), grid=(5, 20))
    assert found["power"].max() == 1
    for row in found.itertuples():
        interval = stats.binomtest(round(row.power * 2000), 2000).proportion_ci(0.9, method="wilson")
        assert (row.lower, row.upper) == pytest.approx(interval, rel=1e-12)
