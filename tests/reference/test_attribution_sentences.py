"""What is said and drawn of attributions against plain loops over the rows."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from evaluation_tables import MODEL, TESTS, by_hand, identities, run_of, three
from tfbs_moe.attribution.evaluation.faithfulness import SHARES, mean_change
from tfbs_moe.attribution.explain import known_sites
from tfbs_moe.attribution.names import METRIC_LABELS
from tfbs_moe.attribution.store import make_attributions, summarise, write_attributions
from tfbs_moe.config import complete_config
from tfbs_moe.data.dataset import make_dataset, subset, write_dataset
from tfbs_moe.figures import attribution, logos
from tfbs_moe.figures.catalogue import ATTRIBUTION_SUMMARY, LOGO_METHODS
from tfbs_moe.figures.draw import read_explained
from tfbs_moe.report.documents import methods as report_methods
from tfbs_moe.report.sections import answer
from tfbs_moe.report.sections import attribution as report_attribution
from tfbs_moe.sequence import one_hot_from_codes
from tfbs_moe.statistics.attribution_methods import compare_methods
from tfbs_moe.tables import write_tsv


def sites() -> pd.DataFrame:
    """Return a summary of attributions: every test set's first kind, two methods, one of which lacks B."""
    draw = np.random.default_rng(1)
    first = [row for row in identities() if row["negatives"] == TESTS[str(row["experiment"])][2][0] and not row["seed"]]
    rows = [
        row | {"model": MODEL, "method": method, "passes": 2, "metric": "site_average_precision"}
        for row in first
        for method in ("gradient", "ism")
    ]
    table = pd.DataFrame(rows).assign(value=draw.uniform(0, 1, len(rows)), shifts=1)
    table.loc[(table["method"] == "ism") & (table["factor"] == "B"), "value"] = np.nan
    return table


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_methods_are_averaged_over_factors_in_sentences_tables_and_figures(level: float) -> None:
    """B5, B9: sentence on the factors that both methods have, figures on all, each at the study's level."""
    table = sites()
    said = answer._localised(run_of({ATTRIBUTION_SUMMARY: table}, level), "sound", MODEL)
    for method, words in (("gradient", "vanilla gradient"), ("ism", "in-silico mutagenesis")):
        shared = by_hand(table[(table["method"] == method) & (table["factor"] != "B")])
        assert f"{words} {three(shared, level)}" in said
        every = by_hand(table[table["method"] == method])
        for _, drawn in (
            attribution.localisation(table, level),
            attribution.cost_against_quality(table, level),
            attribution.shift_curves(table[table["method"] == method], level),
        ):
            own = drawn[drawn["method"] == method] if "method" in drawn else drawn
            row = own.iloc[0]
            assert f"{row['value']:.3f} [{row['lower']:.3f}, {row['upper']:.3f}]" == three(every, level)
            assert row["n_factors"] == len(every)
    assert "mean over 5 factors" in said
    (shown,) = report_attribution._table(run_of({ATTRIBUTION_SUMMARY: table}), table)
    means = [by_hand(table[table["method"] == method]) for method in ("gradient", "ism")]
    place = [[text for text, _ in row] for row in shown.rows]
    assert [f"{np.mean(list(mean.values())):.3f}" in row for mean, row in zip(means, place, strict=True)] == [True] * 2


def test_methods_that_differ_by_rounding_are_equal_and_the_level_is_the_studys() -> None:
    """B4: .3 and .1 + .2 on six factors."""
    same = {"protocol": "sound", "model": MODEL, "metric": "site_average_precision"}
    rows = [
        same | {"experiment": f"E{place}", "factor": f"F{place}", "method": method, "value": value}
        for place in range(6)
        for method, value in (("gradient", 0.3), ("ism", 0.1 + 0.2))
    ]
    (found,) = compare_methods(pd.DataFrame(rows)).to_dict("records")
    assert (found["difference"], found["p"]) == (0, 1) and np.isnan(found["lower"])
    assert "come out equal, but they are not shown to differ: +0.000 on each of 6 factors" in found["sentence"]
    table = sites()
    known = [by_hand(table[table["method"] == method]) for method in ("gradient", "ism")]
    gaps = {factor: known[1][factor] - known[0][factor] for factor in known[1]}
    (found,) = compare_methods(table, level=0.8).to_dict("records")
    assert f"{three(gaps, 0.8, '+')} over {len(gaps)} factors" in found["sentence"]
    per_sequence = pd.DataFrame({"a": np.arange(50.0)})
    wide, narrow = (summarise(per_sequence, level=level).iloc[0] for level in (0.95, 0.8))
    assert wide["lower"] < narrow["lower"] < narrow["upper"] < wide["upper"]


def test_the_letters_beside_a_logo_are_those_of_the_sequence() -> None:
    """C2: whatever the contributions are, and N where the base is unknown."""
    one_hot = one_hot_from_codes(np.array([[3, 3, 4, 2, 1, 0]], np.uint8))
    values = np.zeros((1, 4, 6), np.float32)
    values[0, :, 0] = 1
    explained = logos.Explained(one_hot, np.array([0]), np.array([1.0]), {"gradient": values})
    _, table = logos.logos(explained)
    for _, track in table.groupby("track"):
        assert "".join(track["base"]) == "TTNGCA"
    assert list(table.loc[table["track"] == "gradient", "height"]) == [1, 0, 0, 0, 0, 0]


def test_the_area_under_a_straight_line_is_half_its_height_at_any_length() -> None:
    """C7: shares are whole numbers of positions."""
    for length in (20, 41, 101, 1000):
        counts = np.array([0, *(round(share * length) for share in SHARES)])
        assert mean_change(-counts[None] / length, length) == pytest.approx(-0.5, abs=1e-12)


def test_sensitivity_is_called_what_it_is() -> None:
    """C5."""
    assert "noise" not in METRIC_LABELS["sensitivity"] and "one substitution" in METRIC_LABELS["sensitivity"]


def test_boxes_of_a_logo_are_the_sites_that_its_attributions_are_judged_by(tmp_path: Path) -> None:
    """Before the mend: sites that other factors have in the same window were boxed too."""
    one_hot = one_hot_from_codes(np.random.default_rng(0).integers(0, 4, (3, 30)).astype(np.uint8))
    rows = make_dataset(
        one_hot, np.array([1, 1, 0]), chrom=np.array(["c"] * 3), start=np.array([0, 100, 200]),
        end=np.array([30, 130, 230]), strand=np.array(["."] * 3), attributes={"experiment": "A"},
    )  # fmt: skip
    write_dataset(rows, tmp_path / "test.h5")
    sites = pd.DataFrame(
        [("A", "c", 5, 10, "+"), ("B", "c", 8, 20, "+"), ("B", "c", 103, 110, "+")],
        columns=["experiment", "chrom", "start", "end", "strand"],
    )
    write_tsv(sites, tmp_path / "sites.tsv")
    explained = make_attributions(np.zeros((2, 4, 30)), one_hot[:2], np.array([0, 1]), np.zeros(2), {"method": "ism"})
    write_attributions(explained, tmp_path / "ism.h5")
    found = read_explained({"ism": tmp_path / "ism.h5"}, tmp_path / "test.h5", tmp_path / "sites.tsv")
    assert found.sites is not None and found.sites.sum(axis=1).tolist() == [5, 0]
    assert (found.sites == known_sites(subset(rows, np.array([0, 1])), sites, "A")).all()


@pytest.mark.parametrize("methods", [["gradient"], ["deeplift_shap", "shiftsmooth"]])
def test_methods_name_what_is_computed(methods: list[str]) -> None:
    """Every method that explains, every sequence, and of every metric the interval that it has."""
    settings = complete_config({"attribution": {"methods": methods}, "run": "r", "experiments": "e.tsv"})
    said = report_methods._attribution(settings)
    for name in (*settings["attribution"]["methods"], *LOGO_METHODS, settings["attribution"]["motif_method"]):
        assert re.search(rf"\b{name}\b", said.split(" on up to ")[0])
    assert f"up to {settings['attribution']['sequences']} bound sequences" in said and "best, median and worst" in said
    study = SimpleNamespace(config=settings, test_sets=[])
    assert "areas and with their skewness for losses, and from their percentiles for the sensitivity" in (
        report_methods._evaluation(study)
    )
