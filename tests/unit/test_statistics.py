"""Statistics over draws (the paper's) and over factors (ours), against statsmodels and scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.anova import AnovaRM
from statsmodels.stats.multicomp import pairwise_tukeyhsd
from statsmodels.stats.multitest import multipletests

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.scores import Scores
from tfbs_moe.statistics.factors import (
    ALL_SETS,
    ComparisonSettings,
    compare_models,
    factor_table,
    factor_tables,
    rank_models,
)
from tfbs_moe.statistics.hypothesis_tests.linear_models import one_way, repeated_measures, sphericity
from tfbs_moe.statistics.hypothesis_tests.results import RESULT_COLUMNS, difference_sentence, p_words
from tfbs_moe.statistics.paper import anova_of_draws, paper_anova

MODELS = ("moe.softmax", "convnet.A", "convnet.B", "baseline.mean")
IDENTITY = {
    "protocol": "published",
    "experiment": "CTCF_NHA",
    "factor": "CTCF",
    "set": "unseen",
    "negatives": "supplied",
}


def test_one_way_agrees_with_scipy():
    rng = np.random.default_rng(0)
    groups = [rng.normal(shift, 1, size) for shift, size in ((0, 12), (0.5, 9), (1, 15))]
    found, expected = one_way(groups), stats.f_oneway(*groups)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-10)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.df, found.df_error) == (2, 33)
    assert found.eta_squared == pytest.approx(2 * found.statistic / (2 * found.statistic + 33))


def test_repeated_measures_agrees_with_statsmodels():
    values = np.random.default_rng(1).normal(size=(7, 4)) + np.arange(4) * 0.3
    long = pd.DataFrame(values).rename_axis("unit").reset_index().melt("unit", var_name="model")
    expected = AnovaRM(long, "value", "unit", within=["model"]).fit().anova_table.iloc[0]
    found = repeated_measures(values)
    assert found.statistic == pytest.approx(expected["F Value"], rel=1e-10)
    assert found.p == pytest.approx(expected["Pr > F"], rel=1e-9)


def test_epsilon_is_one_for_two_treatments_and_bounded():
    values = np.random.default_rng(2).normal(size=(9, 4))
    assert sphericity(values[:, :2]) == 1
    assert 1 / 3 <= sphericity(values) <= 1
    # Differences that all follow one direction: as far from sphericity as can be.
    line = np.outer(np.arange(9.0), [0, 1, 2, 4])
    assert sphericity(line) == pytest.approx(1 / 3)


def test_too_little_for_an_anova_is_one_clear_message():
    with pytest.raises(InputError, match="needs two groups and replicates"):
        one_way([np.ones(3)])
    with pytest.raises(InputError, match="two units and two treatments"):
        repeated_measures(np.ones((1, 4)))


def scores(pairs=200):
    rng = np.random.default_rng(5)
    label = np.repeat([True, False], pairs)
    logit = rng.normal(size=(4, 2 * pairs)) + np.array([[1.2], [1.0], [0.6], [1.0]]) * label
    return Scores(
        np.arange(2 * pairs), label, np.tile(np.arange(pairs), 2), tuple((m, 0) for m in MODELS), logit, logit * np.nan
    )


def test_the_papers_anova_has_its_degrees_of_freedom_and_says_what_it_is():
    table = paper_anova(scores(), IDENTITY, MODELS, seed=1)
    assert list(table.columns) == ["experiment", "factor", *RESULT_COLUMNS]
    omnibus = table.iloc[0]
    assert omnibus["df"] == "3, 116"
    assert "bootstrap draw" in omnibus["unit"]
    assert "not independent" in omnibus["check"]
    assert "not replicates" in omnibus["sentence"]
    assert table["comparison"].tolist()[1:] == [f"moe.softmax − {model}" for model in MODELS[1:]]


def test_its_f_grows_with_the_number_of_draws():
    found = [paper_anova(scores(), IDENTITY, MODELS, seed=1, draws=n).iloc[0]["statistic"] for n in (10, 60, 360)]
    assert found[1] > 4 * found[0]
    assert found[2] > 4 * found[1]


def test_tukey_agrees_with_statsmodels():
    rng = np.random.default_rng(3)
    values = {model: rng.normal(index / 2, 1, 30) for index, model in enumerate("abcd")}
    found = anova_of_draws(values, "x", "draw")[1:]
    expected = pairwise_tukeyhsd(np.concatenate(list(values.values())), np.repeat(list("abcd"), 30))
    for index, result in enumerate(found):
        assert result.effect == pytest.approx(-expected.meandiffs[index], abs=1e-9)
        assert result.p == pytest.approx(expected.pvalues[index], abs=1e-6)
        assert result.effect_lower == pytest.approx(-expected.confint[index][1], abs=1e-6)
        assert stats.studentized_range.sf(result.statistic, 4, 116) == pytest.approx(result.p, abs=1e-9)


def test_a_test_set_on_which_models_cannot_be_compared_says_why():
    whole = scores()
    one_class = whole.rows(whole.label)
    for given, models, reason in (
        (whole, ["moe.other", *MODELS], "there are no predictions of moe.other with seed 0"),
        (whole, [MODELS[0], "convnet.C"], "there are no predictions of convnet.C with seed 0"),
        (one_class, MODELS, f"an AUROC needs bound and unbound rows, and all its {len(one_class.row)} rows are of one"),
        (whole.rows(np.zeros(len(whole.row), dtype=bool)), MODELS, "it has no rows"),
    ):
        (row,) = paper_anova(given, IDENTITY, models, seed=1).to_dict("records")
        assert row["test"] == "paper's ANOVA" and np.isnan([row["statistic"], row["p"], row["effect"]]).all()
        assert f"CTCF_NHA: models cannot be compared on it, since {reason}" in row["sentence"]
    # An expert that could not be trained leaves the others to be compared.
    found, without = (paper_anova(whole, IDENTITY, models, seed=1) for models in (MODELS, [*MODELS, "convnet.C"]))
    pd.testing.assert_frame_equal(found, without)


def metrics(factors=8, seeds=(0, 1), gain=0.0, models=MODELS):
    rng = np.random.default_rng(11)
    level = rng.normal(0.8, 0.05, factors)
    records = []
    for index, model in enumerate(models):
        for factor in range(factors):
            for seed in seeds:
                value = level[factor] + rng.normal(0, 0.01) + (gain if index == 0 else 0)
                records.append(
                    {
                        "protocol": "sound",
                        "model": model,
                        "seed": seed,
                        "experiment": f"F{factor}_K562",
                        "factor": f"F{factor}",
                        "set": "unseen",
                        "negatives": "supplied",
                        "rows": "all",
                        "metric": "auroc",
                        "value": value,
                    }
                )
    return pd.DataFrame(records)


def wide(table):
    return table.groupby(["factor", "model"])["value"].mean().unstack()


def test_factors_are_the_unit():
    table = metrics(gain=0.02)
    found = compare_models(table, "moe.softmax")
    assert set(found["unit"]) == {"factor"}
    assert set(found["n"]) == {8}
    values = wide(table)
    for rival in MODELS[1:]:
        test = stats.ttest_rel(values["moe.softmax"], values[rival])
        row = found[(found["test"] == "paired t") & (found["comparison"] == f"moe.softmax − {rival}")].iloc[0]
        interval = test.confidence_interval()
        assert row["statistic"] == pytest.approx(test.statistic)
        assert row["p"] == pytest.approx(test.pvalue)
        assert (row["effect_lower"], row["effect_upper"]) == pytest.approx((interval.low, interval.high))
        assert "higher auroc" in row["sentence"]


def test_more_seeds_do_not_make_more_units():
    few, many = (compare_models(metrics(seeds=range(count)), "moe.softmax") for count in (1, 10))
    assert few["n"].tolist() == many["n"].tolist()
    assert few.iloc[0]["df"].split(",")[0] != ""


def test_p_values_are_holm_adjusted_within_a_family():
    found = compare_models(metrics(gain=0.01), "moe.softmax")
    for _, family in found[found["test"].isin(["paired t", "Wilcoxon signed-rank"])].groupby("test"):
        expected = multipletests(family["p"], method="holm")[1]
        assert family["p_adjusted"].to_numpy() == pytest.approx(expected)
        assert set(family["adjustment"]) == {"Holm over 3"}


def test_several_cells_of_one_factor_are_one_unit():
    table = metrics(factors=4)
    other = table[table["factor"] == "F0"].assign(experiment="F0_HepG2", value=lambda t: t["value"] + 0.1)
    found = factor_table(pd.concat([table, other]), MODELS)
    assert found.factors == ("F0", "F1", "F2", "F3")
    assert found.values[0] == pytest.approx(wide(table).loc["F0", list(MODELS)].to_numpy() + 0.05)


def test_a_model_missing_on_a_factor_is_compared_by_itself_and_costs_the_others_nothing():
    table = metrics()
    table = table[(table["factor"] != "F3") | (table["model"] != "convnet.B")]
    found = compare_models(table, "moe.softmax")
    partial = found["comparison"].str.contains("convnet.B")
    assert partial.any() and set(found.loc[partial, "n"]) == {7} and set(found.loc[~partial, "n"]) == {8}
    assert found.loc[partial, "check"].str.contains("left out, for lack of a model: F3").all()
    without = compare_models(table[table["model"] != "convnet.B"], "moe.softmax")
    columns = ["test", "comparison", "n", "statistic", "p", "effect"]
    pd.testing.assert_frame_equal(found.loc[~partial, columns].reset_index(drop=True), without[columns])
    assert set(rank_models(table)["model"]) == set(table["model"]) - {"convnet.B"}


def test_what_chose_by_test_labels_takes_part_in_no_test():
    table = metrics()
    oracle = table[table["model"] == "convnet.A"].assign(model="baseline.oracle", value=0.99)
    found = compare_models(pd.concat([table, oracle]), "moe.softmax")
    assert not found["comparison"].str.contains("oracle").any()
    assert "baseline.oracle" not in set(rank_models(pd.concat([table, oracle]))["model"])


def test_one_factor_and_two_factors_have_defined_results():
    one = compare_models(metrics(factors=1), "moe.softmax")
    assert set(one["test"]) == {"repeated-measures ANOVA", "paired t", "Wilcoxon signed-rank"}
    assert one[one["test"] != "Wilcoxon signed-rank"]["p"].isna().all()
    assert (one[one["test"] == "Wilcoxon signed-rank"]["p"] == 1).all()
    assert one["sentence"].str.contains("cannot be compared|higher auroc on").all()
    assert one.set_index("test").loc["paired t", "sentence"].str.contains("comes out (?:higher|lower) in auroc").all()
    two = compare_models(metrics(factors=2), "moe.softmax")
    assert two[two["test"] == "paired t"]["p"].notna().all()


def test_equal_models_are_not_told_apart():
    table = metrics(models=MODELS[:2])
    same = table.assign(value=table.groupby(["factor", "seed"])["value"].transform("first"))
    found = compare_models(same, "moe.softmax").set_index("test")
    assert np.isnan(found.loc["Wilcoxon signed-rank", "p"])
    assert "equal on every factor" in found.loc["Wilcoxon signed-rank", "sentence"]
    assert found.loc["paired t", ["effect_lower", "p"]].isna().all()
    assert "have the same auroc" in found.loc["paired t", "sentence"]


def test_an_unknown_metric_is_named():
    with pytest.raises(InputError, match="no auprc; they have auroc"):
        compare_models(metrics(), "moe.softmax", metric="auprc")


def test_sentences_claim_nothing_when_the_interval_includes_zero():
    assert "higher" in difference_sentence("a", "b", "AUROC", 0.02, 0.01, 0.03, 0.001)
    assert "lower" in difference_sentence("a", "b", "AUROC", -0.02, -0.03, -0.01, 0.001)
    unclear = difference_sentence("a", "b", "AUROC", 0.02, -0.01, 0.05, 0.2)
    assert "a comes out higher in AUROC than b, but no difference is shown" in unclear
    assert "+0.020 [−0.010, +0.050]" in unclear
    assert (p_words(0.0123), p_words(1e-9), p_words(float("nan"))) == ("p = .012", "p < .001", "p not defined")


def test_every_table_of_a_comparison_over_factors():
    settings = ComparisonSettings(margin=0.02, effects=(0.05,), target=0.5)
    found = factor_tables(metrics(), {"sound": ["moe.softmax"]}, settings, seed=3)
    assert set(found) == {"factors", "assumptions", "ranks", "power", "background"}
    assert found["background"].empty and "share" in found["background"], "there is no background network"
    assert "paired t" in set(found["factors"]["test"])
    assert found["factors"]["effect_name"].str.contains("margin 0.02").any()
    assert set(found["power"]["effect"]) == {0.05}
    assert found["power"]["sentence"].str.contains("with probability 0.5").all()
    assert ALL_SETS in set(found["ranks"]["set"])
    for name in ("factors", "assumptions"):
        assert set(RESULT_COLUMNS) <= set(found[name].columns)
        assert found[name][["design", "unit", "n"]].notna().all(axis=None)


def test_two_factors_and_one_seed_have_tables_too():
    found = factor_tables(metrics(factors=2, seeds=(0,)), {"sound": ["moe.softmax"]}, ComparisonSettings(), seed=3)
    assert found["power"].empty and "enough" in found["power"]
    assert len(found["factors"]) and len(found["assumptions"]) and len(found["ranks"])


@pytest.mark.parametrize("wrong", [{"target": 1.0}, {"level": 0.4}, {"margin": 0.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match="must"):
        ComparisonSettings(**wrong)
