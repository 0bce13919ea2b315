"""F against the number of draws, means of figures and their order, beside scipy and plain loops."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.anova import AnovaRM

from tfbs_moe.figures.aggregate import ordered_tests, over_factors, over_seeds, paired_differences
from tfbs_moe.statistics.mixtures import background_shares
from tfbs_moe.statistics.paper import growth, published_anova, published_growth
from tfbs_moe.study import BACKGROUND_BASELINE, IN_DISTRIBUTION, OTHER_CELL, UNSEEN

SEEDS = range(3)
MODELS = ("moe.a", "convnet.b", "kmer.c")
ANOVA = "paper's ANOVA"


def made_sets(draw: np.random.Generator, draws: int) -> list[tuple[dict[str, str], dict[str, np.ndarray]]]:
    """Return test sets of two sets; one factor has two experiments, and one draw lacks a class."""
    sets = []
    for place, (its_set, factor) in enumerate([("unseen", "A"), ("unseen", "B"), ("unseen", "A"), ("trained", "C")]):
        identity = {"protocol": "p", "experiment": f"E{place}", "factor": factor, "set": its_set, "negatives": "n"}
        level = draw.uniform(0.6, 0.9)
        values = {model: level + draw.normal(place / 100, 0.02, draws) for model in MODELS}
        if place == 1:
            for drawn in values.values():
                drawn[3] = np.nan
        sets.append((identity, values))
    return sets


@pytest.mark.parametrize("seed", SEEDS)
def test_f_over_draws_is_scipys_of_the_first_so_many(seed: int) -> None:
    sets = made_sets(np.random.default_rng(seed), 40)
    found = growth(sets, "made", "draw", counts=(5, 20, 40, 100), level=0.95)
    by_draws = found.dropna(subset=["draws"]).set_index(["experiment", "draws"])
    assert len(by_draws) == 4 * 3
    for (identity, values), count in itertools.product(sets, (5, 20, 40)):
        row = by_draws.loc[(identity["experiment"], count)]
        kept = [drawn[:count][np.isfinite(drawn[:count])] for drawn in values.values()]
        expected = stats.f_oneway(*kept)
        assert (row["statistic"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue))
        within = sum(((each - each.mean()) ** 2).sum() for each in kept)
        both = np.concatenate(kept)
        assert row["effect"] == pytest.approx(1 - within / ((both - both.mean()) ** 2).sum())
        assert row["n"] == len(both) and row["df"] == f"2, {len(both) - 3}"
    # Over factors: the mean of all draws, a factor's experiments averaged; one factor allows no test.
    (row,) = found[found["draws"].isna()].to_dict("records")
    means = {identity["experiment"]: [np.nanmean(drawn) for drawn in values.values()] for identity, values in sets}
    wide = np.array([np.mean([means["E0"], means["E2"]], axis=0), means["E1"]])
    long = pd.DataFrame(wide).rename_axis("unit").reset_index().melt("unit", var_name="model")
    table = AnovaRM(long, "value", "unit", within=["model"]).fit().anova_table.iloc[0]
    assert row["set"] == "unseen" and row["n"] == 2 and row["statistic"] == pytest.approx(table["F Value"])


@pytest.mark.parametrize("seed", SEEDS)
def test_published_draws_are_analysed_in_their_own_order(seed: int) -> None:
    """Rows of the table in any order: the first draws are those with the lowest numbers."""
    draw = np.random.default_rng(seed)
    rows = [
        {"model": model, "our_model": model, "set": "unseen", "factor": factor, "draw": number, "value": value}
        for factor, model in itertools.product("AB", MODELS)
        for number, value in enumerate(draw.normal(0.8, 0.02, 30), start=1)
    ]
    table = pd.DataFrame(rows)
    mixed = table.sample(frac=1, random_state=seed)
    whole = published_anova(mixed).query("test == @ANOVA").set_index("factor")
    first = published_growth(mixed, counts=(10, 30, 100)).dropna(subset=["draws"]).set_index(["factor", "draws"])
    assert len(first) == 4
    for factor, count in itertools.product("AB", (10, 30)):
        own = table[(table["factor"] == factor) & (table["draw"] <= count)]
        expected = stats.f_oneway(*(part["value"] for _, part in own.groupby("model")))
        assert first.loc[(factor, count), "statistic"] == pytest.approx(expected.statistic)
        if count == 30:
            assert whole.loc[factor, ["statistic", "p"]].tolist() == pytest.approx([*expected])


def metrics(draw: np.random.Generator) -> pd.DataFrame:
    """Factors in one to three experiments, of one to three seeds, with one or two kinds of negatives."""
    rows = []
    for factor, its_set in {"A": IN_DISTRIBUTION, "B": UNSEEN, "C": UNSEEN, "D": OTHER_CELL, "E": UNSEEN}.items():
        for cell, kind in itertools.product(
            range(draw.integers(1, 4)), ("flanks", "gc_matched")[: draw.integers(1, 3)]
        ):
            names = {"protocol": "p", "experiment": f"{factor}{cell}", "factor": factor, "cell": str(cell)}
            names |= {"set": its_set, "stratum": "mine" if factor == "C" else its_set, "negatives": kind}
            rows += [
                names | {"model": model, "seed": seed, "rows": "all", "metric": "auroc", "n": 10}
                | {"value": draw.uniform(0.6, 0.9), "lower": draw.uniform(0.5, 0.6), "upper": draw.uniform(0.9, 1)}
                for model in (*MODELS, BACKGROUND_BASELINE)
                for seed in range(1 if model == BACKGROUND_BASELINE else draw.integers(1, 4))
            ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("seed", SEEDS)
def test_figures_average_seeds_then_experiments_then_factors(seed: int) -> None:
    table = metrics(np.random.default_rng(seed))
    one = over_seeds(table).set_index(["experiment", "negatives", "model"])
    for key, own in table.groupby(["experiment", "negatives", "model"]):
        row = one.loc[key]
        assert row[["value", "lower", "upper"]].tolist() == pytest.approx(
            [own[name].mean() for name in ("value", "lower", "upper")]
        )
        assert (row["lowest"], row["highest"], row["seeds"]) == (own["value"].min(), own["value"].max(), len(own))
    differences = paired_differences(table, "moe.a").set_index(["experiment", "negatives", "rival"])
    assert len(differences) == len(one) - one.index.get_level_values("model").tolist().count("moe.a")
    for key, row in differences.iterrows():
        ours = one.loc[(*key[:2], "moe.a"), "value"]
        assert row["difference"] == pytest.approx(ours - one.loc[key, "value"])

    def factor_means(own: pd.DataFrame) -> list[float]:
        return [
            np.mean([cell["value"].mean() for _, cell in part.groupby("experiment")])
            for _, part in own.groupby("factor")
        ]

    for row in over_factors(table, 0.9).to_dict("records"):
        keys = ["model", "set", "negatives"]
        own = table[np.logical_and.reduce([table[key] == row[key] for key in keys])]
        means = factor_means(own)
        assert (row["value"], row["n_factors"]) == (pytest.approx(np.mean(means)), len(means))
        if len(means) > 1:
            ends = stats.t.interval(0.9, len(means) - 1, np.mean(means), stats.sem(means))
            assert (row["lower"], row["upper"]) == pytest.approx(np.clip(ends, 0, 1))
        single = [np.mean(factor_means(part)) for _, part in own.groupby("seed")]
        assert (row["lowest"], row["highest"]) == pytest.approx((min(single), max(single)))
        assert row["seeds"] == own["seed"].nunique()
    order = ordered_tests(table)
    # The user's stratum comes after those of the project, within its set.
    rank = {IN_DISTRIBUTION: 0, OTHER_CELL: 1, UNSEEN: 2}
    keys = [(rank[row.set], row.stratum == "mine") for row in order.itertuples()]
    assert keys == sorted(keys) and len(order) == len(table[["experiment", "negatives"]].drop_duplicates())
    assert order["label"].is_unique
    for row in order.itertuples():
        assert row.label.startswith(row.factor) and (" · " in row.label) == (
            table[table["experiment"] == row.experiment]["negatives"].nunique() > 1
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_background_networks_share_is_of_means_over_factors_that_both_have(seed: int) -> None:
    draw = np.random.default_rng(seed)
    table = metrics(draw)
    table = table[~((table["factor"] == "C") & (table["model"] == BACKGROUND_BASELINE))]
    table.loc[table["set"] == OTHER_CELL, "value"] = 0.4
    found = background_shares(table, {"p": ["moe.a", "moe.absent"]})
    assert set(found["model"]) == {"moe.a"}
    for row in found.to_dict("records"):
        own = table[(table["set"] == row["set"]) & (table["negatives"] == row["negatives"])]
        means = own.groupby(["model", "factor", "experiment"])["value"].mean().groupby(["model", "factor"]).mean()
        wide = means.unstack("factor").loc[["moe.a", BACKGROUND_BASELINE]].dropna(axis=1)
        mixture, background = wide.mean(axis=1)
        assert (row["value"], row["background"], row["n"]) == (
            pytest.approx(mixture), pytest.approx(background), wide.shape[1]
        )  # fmt: skip
        expected = (background - 0.5) / (mixture - 0.5) if mixture > 0.5 else np.nan
        assert row["share"] == pytest.approx(expected, nan_ok=True)
    assert OTHER_CELL in set(found["set"])
