"""The published draws give the published F, and F grows with their number."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.scores import Scores
from tfbs_moe.statistics.factors import compare_models
from tfbs_moe.statistics.paper import (
    PUBLISHED_IDENTITY,
    paper_tables,
    published_anova,
    published_growth,
    read_published_draws,
)
from tfbs_moe.tables import read_tsv

RESOURCES = Path(__file__).resolve().parents[2] / "resources"
MODELS = ("moe.softmax", "convnet.A", "convnet.B")
# Table of F(3, 116) in arXiv 2507.09754.
PUBLISHED_F = {
    "ARID3A": 2865.1,
    "FOXM1": 14155.7,
    "GATA3": 1494.5,
    "BCLAF1": 5774.8,
    "CTCF": 18776.2,
    "POLR2A": 4057.0,
    "RBBP5": 1380.4,
    "SAP30": 1981.3,
    "STAT3": 334.8,
}


@pytest.fixture(scope="module")
def published():
    return read_published_draws(RESOURCES / "published_draws.tsv")


def test_their_draws_give_their_f(published):
    found = published_anova(published)
    omnibus = found[found["test"] == "paper's ANOVA"].set_index("factor")
    assert set(omnibus["df"]) == {"3, 116"}
    for factor, expected in PUBLISHED_F.items():
        assert omnibus.loc[factor, "statistic"] == pytest.approx(expected, abs=0.06), factor
    assert omnibus["unit"].str.contains("dropout mask").all()
    assert found["check"].str.contains("not independent").all()


def test_their_means_are_the_table_of_published_numbers(published):
    table = read_tsv(RESOURCES / "published.tsv")
    legacy = table[(table["evaluation"] == "legacy") & (table["metric"] == "auroc") & table["factor"].notna()]
    means = published.groupby(["our_model", "factor"])["value"].mean()
    for row in legacy.to_dict("records"):
        assert means[row["our_model"], row["factor"]] == pytest.approx(row["value"], abs=6e-4)


def as_metrics(published: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over draws in the form of the metrics table, for comparisons over factors."""
    means = published.groupby(["set", "factor", "our_model"], sort=False)["value"].mean().reset_index()
    named = means.rename(columns={"our_model": "model"}).assign(seed=0, experiment=means["factor"])
    return named.assign(**PUBLISHED_IDENTITY)


def test_with_factors_as_the_unit_the_headline_is_gone(published):
    found = compare_models(as_metrics(published), "moe.softmax")
    unseen = found[(found["set"] == "unseen") & (found["comparison"] == "moe.softmax − convnet.FOXM1")]
    row = unseen[unseen["test"] == "paired t"].iloc[0]
    assert row["n"] == 6
    assert row["p"] > 0.05
    assert "includes zero" in row["sentence"]


def test_f_grows_with_draws_and_the_f_of_factors_is_another(published):
    found = published_growth(published)
    ctcf = found[(found["experiment"] == "CTCF") & found["draws"].notna()]
    assert ctcf["draws"].tolist() == [5, 10, 20, 30]
    assert ctcf["statistic"].iloc[-1] > 4 * ctcf["statistic"].iloc[0]
    assert ctcf["statistic"].iloc[-1] == pytest.approx(PUBLISHED_F["CTCF"], abs=0.06)
    factors = found[found["unit"] == "factor"]
    assert factors["draws"].isna().all()
    assert set(factors["set"]) == {"in_distribution", "unseen"}
    assert factors["statistic"].max() < 100
    assert found["source"].eq("published").all()
    assert (
        found[["design", "unit", "n", "statistic", "df", "p", "p_adjusted", "effect_name", "check"]]
        .notna()
        .all(axis=None)
    )


def made_sets(negatives, names=("CTCF", "STAT3"), protocol="sound"):
    """Test sets on which the first model is better than the second, and that than the third."""
    rng = np.random.default_rng(0)
    label = np.repeat([True, False], 60)
    for name in names:
        logit = rng.normal(size=(3, 120)) + np.array([[1.5], [1.0], [0.5]]) * label
        trained = tuple((model, 0) for model in MODELS)
        identity = {"protocol": protocol, "experiment": name, "factor": name, "set": "unseen"}
        yield (
            identity | {"negatives": negatives},
            Scores(np.arange(120), label, np.tile(np.arange(60), 2), trained, logit, logit),
        )


def test_every_table_of_draws_of_a_study_on_the_authors_files(published):
    found = paper_tables(made_sets("supplied"), {"sound": MODELS}, published, seed=1, draws=20)
    assert set(found["anova"]["n"]) == {60}
    assert len(found["tukey"]) == 4
    omnibus = found["published"][found["published"]["statistic_name"] == "F"]
    assert set(omnibus["factor"]) == {"CTCF", "STAT3"}
    ours = found["draws"][found["draws"]["source"] == "this study"]
    drawn = ours.dropna(subset=["draws"]).pivot(index="experiment", columns="draws", values="statistic")
    assert (drawn[1000] > 20 * drawn[10]).all()
    assert ours[ours["unit"] == "factor"]["n"].tolist() == [2]
    assert set(found["draws"]["source"]) == {"published", "this study"}


def test_a_model_that_was_left_out_is_compared_with_nobody_and_the_others_are(published):
    """The tables are those of a study that never had it; without the first model there is nothing to compare."""
    more = [MODELS[0], "convnet.gone", *MODELS[1:]]
    found, plain = (
        paper_tables(made_sets("flanks"), {"sound": models}, published, seed=1, draws=20) for models in (more, MODELS)
    )
    for name, table in plain.items():
        pd.testing.assert_frame_equal(found[name], table)
    gone = paper_tables(made_sets("flanks"), {"sound": ["moe.gone", *MODELS]}, published, seed=1, draws=20)
    assert gone["anova"]["sentence"].str.contains("there are no predictions of moe.gone").all()


def test_the_authors_draws_have_no_place_beside_other_files(published):
    sets = [*made_sets("flanks", names=("CTCF",)), *made_sets("gc_matched", names=("CTCF",))]
    found = paper_tables(sets, {"sound": MODELS}, published, seed=1)
    assert found["published"].empty
    assert list(found["published"].columns) == list(found["anova"].columns)
    assert set(found["draws"]["source"]) == {"this study"}
    # One factor allows no test over factors; the first kind of negatives of an experiment is enough.
    assert found["draws"]["draws"].notna().all()
    assert set(found["draws"]["negatives"]) == {"flanks"}
    assert set(found["anova"]["negatives"]) == {"flanks", "gc_matched"}


def test_a_table_that_lacks_draws_is_refused(tmp_path, published):
    path = tmp_path / "draws.tsv"
    path.write_text("model\tour_model\tset\tfactor\tdraw1\tdraw2\nMoE\tmoe\tx\tCTCF\t0.9\t\n")
    with pytest.raises(InputError, match="needs the same two or more draws"):
        read_published_draws(path)
