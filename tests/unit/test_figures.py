"""Figures: the numbers drawn, and the catalogue that says which there are."""

import inspect
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from simulated_run import TRAINING, simulated_study, write_simulated_run
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.curves import CURVE_COLUMNS, curve_points
from tfbs_moe.evaluation.subsets import DRAWN_PER_SIZE, MOST_WHOLE
from tfbs_moe.figures import aggregate, attribution, catalogue, comparison, performance, training_and_gates
from tfbs_moe.figures.aggregate import beside_published, read_published, reproduction
from tfbs_moe.figures.catalogue import _tried, figure_items
from tfbs_moe.figures.draw import FUNCTIONS, Source, draw
from tfbs_moe.figures.schematic import _fate
from tfbs_moe.figures.style import REASON
from tfbs_moe.statistics.factors import ALL_SETS
from tfbs_moe.statistics.paper import growth
from tfbs_moe.statistics.units import mean_interval
from tfbs_moe.tables import read_json, read_tsv, write_json, write_tsv

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "resources" / "published.tsv"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A made run and all that figures are drawn from."""
    folder = tmp_path_factory.mktemp("made")
    made = simulated_study()
    write_simulated_run(folder, made)
    return Source(folder, made, read_published(PUBLISHED))


def test_the_calibration_figure_takes_sets_from_the_experts_there_are(source: Source, tmp_path: Path) -> None:
    """Before the mend it took them from the plan, unlike the curves beside it."""
    listed = read_tsv(source.folder / "trained/sound.tsv")
    out = listed["model"] == "convnet.GATA3"
    write_tsv(listed.assign(left_out=np.where(out, "too few.", None)), tmp_path / "trained/sound.tsv")
    (tmp_path / "predictions").symlink_to(source.folder / "predictions")
    _, table = draw(figure_items(source.study)["calibration.sound"], replace(source, folder=tmp_path))
    sets = table.groupby("factor")["set"].unique()
    assert list(sets["GATA3"]) == ["unseen"] and list(sets["FOXM1"]) == ["in_distribution"]


@pytest.mark.parametrize(
    "name",
    [
        "schematic", "overlap", "negatives", "set_means.sound", "differences.sound", "auroc.sound", "strata.sound",
        "roc.sound", "precision_recall.sound", "calibration.sound", "critical_difference.sound", "draws.sound",
        "learning_curves.sound", "attribution_grid.sound", "gate_weights.sound.softmax", "logos.sound.CTCF",
        "shifts.sound", "cost.sound", "motifs.sound.moe.softmax",
        "published", "localisation",
    ],
)  # fmt: skip
def test_every_kind_of_figure_draws_numbers_from_its_own_files(source: Source, name: str) -> None:
    """Each figure has axes with something on them and a table that is no excuse."""
    figure, table = draw(figure_items(source.study)[name], source)
    assert len(table) > 0
    assert list(table.columns) != [REASON]
    assert any(axes.has_data() or axes.patches for axes in figure.axes)


def test_a_figure_names_the_file_it_lacks(source: Source, tmp_path: Path) -> None:
    """The message says which file, and that its stage is to be run."""
    empty = Source(tmp_path, source.study, source.published)
    with pytest.raises(InputError, match=r"auroc\.sound.*metrics\.tsv.*not there"):
        draw(figure_items(source.study)["auroc.sound"], empty)


def test_the_catalogue_names_every_figure_once_and_inputs_exist(source: Source) -> None:
    """Names are unique, each protocol has its own figures, and every input is a file of the run."""
    named = figure_items(source.study)
    items = named.values()
    assert {"auroc.published", "auroc.sound"} <= set(named)
    assert sum(item.kind == "logos" for item in items) == 2 * 9
    assert all((source.folder / path).is_file() for item in items for path in item.inputs)
    assert all(item.caption.endswith(".") and item.alt for item in items)


def test_every_entry_of_the_catalogue_names_a_function_that_takes_its_arguments() -> None:
    """Also of figures that few studies have, such as those of searches."""
    for entry in catalogue._catalogue().values():
        inspect.signature(FUNCTIONS[entry["draw"]]).bind_partial(**dict.fromkeys(entry.get("arguments", ())))


@pytest.mark.parametrize(
    "change", [{"captoin": "Misspelt."}, {"for_each": "model"}, {"title": "{protocol}"}, {"caption": None}], ids=str
)
def test_a_fault_in_the_catalogue_is_an_error(monkeypatch: pytest.MonkeyPatch, change: dict[str, str | None]) -> None:
    """An unknown field, repetition or name, or a missing field."""
    fields = catalogue._catalogue()["schematic"] | change
    entry = {name: value for name, value in fields.items() if value is not None}
    monkeypatch.setattr(catalogue, "_catalogue", lambda: {"schematic": entry})
    with pytest.raises((TypeError, ValueError, KeyError)):
        figure_items(simulated_study())


def test_the_roc_table_holds_the_curve_whose_area_is_the_auroc() -> None:
    """The area under the drawn mean curve is the mean AUROC, but for the grid, and ends at (1, 1)."""
    draws = np.random.default_rng(3)
    label, rows = np.repeat([0, 1], 400), []
    for seed in range(2):
        logit = draws.normal(size=len(label)) + label
        part = {"row": np.arange(len(label)), "label": label, "pair": -1, "model": "moe.softmax", "seed": seed}
        rows.append(pd.DataFrame(part | {"logit": logit, "probability": 1 / (1 + np.exp(-logit))}))
    expected = np.mean([roc_auc_score(part["label"], part["logit"]) for part in rows])
    names = ("protocol", "experiment", "factor", "cell", "set", "stratum", "negatives")
    identity = dict.fromkeys(names, "x") | {"set": "in_distribution", "stratum": "in_distribution"}
    _, table = performance.curve_panels(curve_points(pd.concat(rows), identity), "roc")
    assert np.trapezoid(table["y"], table["x"]) == pytest.approx(expected, abs=0.005)
    assert (table["lower"] <= table["y"]).all()
    assert (table["y"] <= table["upper"]).all()
    assert table[["x", "y"]].iloc[-1].tolist() == [1.0, 1.0]


def test_without_curves_there_is_a_sentence() -> None:
    """A defined result instead of an error."""
    _, table = performance.curve_panels(pd.DataFrame(columns=[*CURVE_COLUMNS]), "roc")
    assert "both bound and unbound" in table[REASON].iloc[0]


def test_bars_of_the_rank_diagram_join_what_is_not_told_apart() -> None:
    """Two bars over three models, and the mean ranks on the line."""
    ranks = pd.DataFrame(
        {"model": ["moe.softmax", "convnet.A", "baseline.mean"], "mean_rank": [1.2, 1.9, 2.9], "n": 9}
        | {"critical_difference": 1.1, "groups": ["1", "1,2", "2"]}
        | {"metric": "auroc", "set": ALL_SETS, "rows": "all", "negatives": "supplied"}
    )
    figure, _ = comparison.critical_difference(ranks)
    bars = [line for line in figure.axes[0].lines if line.get_linewidth() == 2.2]
    spans = [tuple(np.round(line.get_xdata(), 2)) for line in bars]
    assert spans == [(1.16, 1.94), (1.86, 2.94)]


def test_the_matrix_of_negatives_crosses_training_with_test(source: Source) -> None:
    """One row per protocol under what it trained against, and the mean over the factors of the set."""
    _, table = draw(figure_items(source.study)["negatives"], source)
    assert set(zip(table["protocol"], table["trained_on"], strict=True)) == {
        ("published", "block_shuffle"),
        ("sound", "dinucleotide_shuffle"),
    }
    assert sorted(table["n_factors"]) == [3, 3, 6, 6]


def test_the_schematic_holds_the_names_of_the_study(source: Source) -> None:
    """Factors, negatives, experts, gate and seeds come from the config, and every arrow ends at a step."""
    _, table = draw(figure_items(source.study)["schematic"], source)
    words = " ".join(table["words"])
    assert "3 training factors" in words
    assert "ARID3A expert" in words
    assert "block shuffle" in words
    assert "2 seed(s)" in words
    ends = {end for cell in table["leads_to"] for end in cell.split(", ") if end}
    assert ends <= set(table["step"])


def test_captions_say_what_becomes_of_experts_and_which_subsets_are_tried(source: Source) -> None:
    """Before the mend: "frozen" where gates train experts on, "the subsets of that size" where 20 are drawn."""
    config = source.study.config
    assert _fate(source.study).startswith("frozen once trained")
    tuned = config["gates"]["softmax"] | {"fine_tune_epochs": 2}
    trained_on = replace(
        source.study, config=config | {"gates": {"softmax": tuned, "logit": config["gates"]["softmax"]}}
    )
    assert _fate(trained_on).startswith("trained, then on with the gate:")
    recipe = config["protocols"]["sound"] | {"gates": ["softmax", "logit"]}
    both = trained_on.config | {"protocols": config["protocols"] | {"sound": recipe}}
    assert _fate(replace(trained_on, config=both)).startswith("trained, then on with some gates (softmax):")
    assert "over all subsets of that size" in figure_items(source.study)["gate_subsets.sound"].caption
    assert _tried(MOST_WHOLE) == "all subsets of that size" and str(DRAWN_PER_SIZE) in _tried(MOST_WHOLE + 1)


def test_the_ring_marks_the_weights_kept_also_where_experts_learnt_on(source: Source, tmp_path: Path) -> None:
    """Before the mend: the epoch of the highest AUROC of gate and fine-tuning, whose weights were not kept."""
    shutil.copytree(source.folder / "moe/sound", tmp_path / "moe/sound")
    shutil.copytree(source.folder / "experts/sound", tmp_path / "experts/sound")
    path = tmp_path / "moe/sound/softmax/seed0"
    history = read_tsv(path / "history.tsv").assign(validation_auroc=[0.7, 0.9, 0.8, 0.85, 0.82])
    write_tsv(history, path / "history.tsv")
    described = read_json(path / "model.json")
    write_json(described | {"metrics": described["metrics"] | {"best_epoch": 4}}, path / "model.json")
    item = figure_items(source.study)["learning_curves.sound"]
    figure, table = draw(item, replace(source, folder=tmp_path))
    own = table[(table["model"] == "moe.softmax") & (table["seed"] == 0)]
    assert own.loc[own["kept"], "validation_auroc"].tolist() == [0.85]
    rings = [tuple(np.ravel(line.get_data())) for ax in figure.axes for line in ax.lines if line.get_marker() == "o"]
    assert (4, 0.85) in rings and (2, 0.9) not in rings


def _cells_and_strata() -> pd.DataFrame:
    """Metrics of two unseen factors, one of them in two cells, and of a training factor, in strata of a user's own."""
    rows = [("C1", "C", "unseen", "zinc_fingers", 0.5), ("C2", "C", "unseen", "zinc_fingers", 0.7),
            ("D", "D", "unseen", "bzip", 0.8), ("A", "A", "in_distribution", "mine", 0.9),
            ("A2", "A", "other_cell", "other_cell", 0.85)]  # fmt: skip
    same = {"protocol": "sound", "model": "moe.softmax", "seed": 0, "cell": "K562", "negatives": "flanks", "n": 9}
    same |= {"rows": "all", "metric": "auroc", "lower": 0.4, "upper": 1.0, "n_positive": 4}
    columns = ["experiment", "factor", "set", "stratum", "value"]
    return pd.DataFrame([same | dict(zip(columns, row, strict=True)) for row in rows])


def test_a_factor_in_two_cells_counts_once_in_every_mean() -> None:
    """Two unseen factors, .6 and .8, are no three test sets."""
    means = aggregate.over_factors(_cells_and_strata(), 0.95).set_index("set")
    assert means["n_factors"].to_dict() == {"unseen": 2, "in_distribution": 1, "other_cell": 1}
    assert means.loc["unseen", ["value", "lowest", "highest"]].tolist() == pytest.approx([0.7] * 3)


def test_strata_of_a_users_own_are_drawn_and_sets_keep_their_order() -> None:
    """Names that the project does not know are panels of their own, in the order of the table."""
    figure, table = comparison.strata(_cells_and_strata(), 0.95)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == ["other cell (n = 1)", "zinc fingers (n = 1)", "bzip (n = 1)", "mine (n = 1)"]
    assert table.set_index("experiment").loc[["C1", "C2"], "mean"].tolist() == pytest.approx([0.6, 0.6])
    assert list(aggregate.ordered_tests(_cells_and_strata())["experiment"]) == ["A", "A2", "C1", "C2", "D"]


def test_every_set_is_drawn_where_experts_are_away_and_draws_are_counted() -> None:
    """Three sets have three lines of their own colour."""
    same = {"protocol": "sound", "model": "moe.softmax", "negatives": "flanks", "value": 0.1, "lower": 0, "upper": 0.2}
    sets = [same | {"set": name, "absent": "A", "n_present": 2} for name in aggregate.SETS]
    figure, _ = training_and_gates.gate_subsets(pd.DataFrame(sets), pd.DataFrame(sets), "moe.softmax")
    assert len({line.get_color() for line in figure.axes[1].lines}) == 3
    same = {"protocol": "sound", "source": "this study", "experiment": "A"}
    rows = [same | {"set": name, "draws": k, "statistic": k} for name in aggregate.SETS for k in (10.0, 30.0)]
    figure, _ = comparison.f_against_draws(pd.DataFrame(rows))
    assert len({line.get_color() for line in figure.axes[0].lines}) == 3


def test_the_mean_over_factors_has_the_t_interval() -> None:
    """Known answer: 0.6, 0.7, 0.8 have mean 0.7 and half-width 4.3027 · 0.1 / √3."""
    mean, _, upper = mean_interval(np.array([0.6, 0.7, 0.8]), 0.95)
    assert mean == pytest.approx(0.7)
    assert upper - mean == pytest.approx(4.302653 * 0.1 / np.sqrt(3), rel=1e-6)
    assert np.isnan(mean_interval(np.array([0.6]), 0.95, "auroc")[1])
    # What lies between 0 and 1 has an interval that does; a difference, or a loss, may lie anywhere.
    few = np.array([0.5, 0.9])
    assert mean_interval(few, 0.95, "auroc")[1:] == (0.0, 1.0)
    assert mean_interval(few, 0.95)[1] == pytest.approx(0.7 - 12.706 * 0.2, abs=1e-3)
    assert mean_interval(few, 0.95, "log_loss")[2] > 3


def test_overlap_counts_bound_rows_only() -> None:
    """Two of four bound rows overlap; unbound ones are not asked."""
    rows = pd.DataFrame(
        {"experiment": "A", "negatives": "supplied", "label": [1, 1, 1, 1, 0, 0]}
        | {"overlaps_training": [True, True, False, False, False, False]}
        | {"shares_kmer_X": [True, False, False, False, False, False]}
    )
    shares = training_and_gates.overlap_shares(rows).set_index("training")["share"]
    assert shares.to_dict() == {"X": 0.25, "any": 0.5}


def test_published_numbers_are_joined_by_model_and_factor(source: Source) -> None:
    """The paper's MoE on CTCF, .934, stands beside our mixture on CTCF and nothing else."""
    table = beside_published(read_tsv(source.folder / "evaluation/metrics.tsv"), source.published)
    row = table[(table["model"] == "moe.softmax") & (table["name"] == "CTCF") & (table["protocol"] == "sound")]
    assert row["published"].tolist() == [0.934]
    assert {"in-distribution", "unseen factors"} <= set(table["name"])


def test_a_mean_over_other_factors_is_not_held_against_the_papers(source: Source) -> None:
    """Without STAT3 the unseen factors mean is not the paper's mean."""
    metrics = read_tsv(source.folder / "evaluation/metrics.tsv")
    fewer = metrics[metrics["factor"] != "STAT3"]
    assert "unseen factors" not in set(beside_published(fewer, source.published)["name"])
    assert reproduction(fewer, source.published, "published", "moe.softmax")["set"].tolist() == ["in_distribution"]


def test_reproduction_is_judged_by_the_tolerance(source: Source) -> None:
    """0.702 + 0.029 counts as reproduced, 0.686 + 0.031 does not."""
    metrics = read_tsv(source.folder / "evaluation/metrics.tsv")
    metrics["value"] = np.where(metrics["set"] == "in_distribution", 0.731, 0.717)
    table = reproduction(metrics, source.published, "published", "moe.softmax").set_index("set")
    assert table["within"].to_dict() == {"in_distribution": True, "unseen": False}
    assert table["reference"].to_dict() == {"in_distribution": 0.702, "unseen": 0.686}


def test_the_papers_means_agree_with_its_factors() -> None:
    """The table of published numbers was copied without a slip: the means follow from the factors to rounding."""
    published = read_published(PUBLISHED)
    legacy = published[(published["evaluation"] == "legacy") & (published["metric"] == "auroc")]
    for (_, _), group in legacy.groupby(["name", "set"]):
        factors = group[group["factor"].notna()]["value"]
        assert group[group["factor"].isna()]["value"].iloc[0] == pytest.approx(factors.mean(), abs=0.0011)
    assert published["source"].notna().all()


def test_f_grows_with_draws_and_the_factors_line_is_level() -> None:
    """The line of a test set rises with its draws; the factors have one level for all of them."""
    draws = np.random.default_rng(5)
    common = {"protocol": "sound", "set": "unseen", "negatives": "supplied"}
    sets = [
        (
            common | {"experiment": f"E{place}", "factor": f"F{place}"},
            {
                f"convnet.{name}": draws.normal(mean, 0.01, 300)
                for name, mean in zip("ABC", (0.7, 0.72, 0.68), strict=True)
            },
        )
        for place in range(4)
    ]
    figure, table = comparison.f_against_draws(growth(sets, "this study", "draw", (10, 30, 100, 300)))
    lines = figure.axes[0].lines
    assert len(lines) == 5
    assert all(np.all(np.diff(line.get_ydata()) > 0) for line in lines[:4])
    assert len(set(lines[4].get_ydata())) == 1
    assert set(table["unit"]) == {"draw", "factor"}


def test_in_real_dna_methods_are_held_against_matrices_and_their_control(source: Source) -> None:
    """Without a known site the panels show matrix matches and the shuffled matrix."""
    summary = read_tsv(source.folder / "attributions/summary.tsv")
    summary = summary[summary["metric"] == "site_average_precision"]
    names = ["matrix_average_precision", "shuffled_matrix_average_precision"]
    _, table = attribution.localisation(pd.concat([summary.assign(metric=name) for name in names]), 0.95)
    assert list(dict.fromkeys(table["metric"])) == names


def test_a_search_shows_every_trial_and_rings_the_chosen_one(tmp_path: Path) -> None:
    """Trials that were given up are hollow; a study that searches nothing has no such figure."""
    study = simulated_study(experts={"convnet": {"search": {"trials": 4}}})
    trials = pd.DataFrame(
        {
            "trial": range(4),
            "state": ["complete", "pruned", "complete", "running"],
            "validation_auroc": [0.7, 0.5, 0.8, np.nan],
            "training.learning_rate": [0.1, 0.2, 0.3, 0.4],
        }
    )
    for name in TRAINING:
        write_tsv(trials, tmp_path / f"search/sound/convnet/{name}/trials.tsv")
    figure, table = draw(figure_items(study)["search.sound"], Source(tmp_path, study, read_published(PUBLISHED)))
    assert len(table) == 12
    panels = [ax for ax in figure.axes if ax.has_data()]
    assert len(panels) == 3
    hollow, full, _, ring = panels[0].lines
    assert list(hollow.get_xdata()) == [1] and list(full.get_xdata()) == [0, 2] and list(ring.get_xdata()) == [2]
    assert not any(item.kind == "search" for item in figure_items(simulated_study()).values())
