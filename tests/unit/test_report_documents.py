"""Documents beside the report: methods, cards, RO-Crate; and two runs side by side."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from simulated_run import TRAINING, simulated_study, write_simulated_run
from tfbs_moe.cli.main import main
from tfbs_moe.errors import InputError
from tfbs_moe.figures import aggregate
from tfbs_moe.figures.aggregate import read_published
from tfbs_moe.figures.catalogue import METRICS
from tfbs_moe.figures.style import model_label
from tfbs_moe.planning import document_files
from tfbs_moe.report.documents.cards import cards, expert_cards
from tfbs_moe.report.documents.compare import compare_runs, summary, write_comparison
from tfbs_moe.report.documents.methods import references
from tfbs_moe.report.documents.summary import summary_document
from tfbs_moe.report.documents.write import methods_document, ro_crate, write_documents
from tfbs_moe.report.inputs import Run, read_run
from tfbs_moe.report.page import Explorer, Fold, Items, Missing, Text, make_table, to_markdown
from tfbs_moe.report.sections.data_and_results import MOST_MODELS, explorers
from tfbs_moe.tables import write_tsv

PUBLISHED = Path(__file__).resolve().parents[2] / "resources" / "published.tsv"
SURROUNDINGS = {"commit": "abc", "Python": "3.11", "torch": "2.13"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A made run."""
    folder, study = tmp_path_factory.mktemp("made"), simulated_study()
    write_simulated_run(folder, study)
    return read_run(folder, study, read_published(PUBLISHED))


def _other(run: Run, folder: Path, shift: float, **changes: object) -> Run:
    """Return a second run whose metrics are shifted, on disk in ``folder``."""
    study = simulated_study(run="other", **changes)
    metrics = run.tables[METRICS].copy()
    metrics["value"] += shift
    write_tsv(metrics, folder / METRICS)
    return read_run(folder, study, run.published)


def test_documents_are_written_where_they_are_announced_and_the_same_each_time(run: Run) -> None:
    """Every announced file is there, and a second writing gives the same bytes."""
    written = []
    for _ in range(2):
        write_documents(run.folder, run.study, run.published, SURROUNDINGS, date="2026-01-02")
        written.append({path: (run.folder / path).read_bytes() for path in document_files(run.study)})
    assert written[0] == written[1]
    assert set(written[0]) == {
        "methods.md", "cards/model.published.softmax.md", "cards/model.sound.softmax.md", "cards/datasets.md",
        "ro-crate-metadata.json",
        *(f"cards/expert.{protocol}.convnet.{name}.md" for protocol in ("published", "sound") for name in TRAINING),
    }  # fmt: skip


def test_an_experts_card_says_what_it_is_and_how_every_seed_went(run: Run) -> None:
    """It holds size, data, each seed's validation AUROC and weights, and its test metrics."""
    card = next(card for card in expert_cards(run) if card.name == "expert.sound.convnet.ARID3A")
    text = to_markdown(card.title, card.blocks)
    assert "2705 weights" in text
    assert "120 training rows, 60 of them bound" in text
    assert text.count("| 0.700 |") == len(run.study.config["replicates"])
    assert "| training | learning_rate | 0.005 |" in text
    assert "| ARID3A_test | supplied | all | auroc |" in text
    assert "| cross_family |" in text


def test_a_model_card_says_use_data_performance_and_limits(run: Run) -> None:
    """The sound mixture's card holds sources, metrics by stratum, its negatives and its limits."""
    card = next(card for card in cards(run) if card.name == "model.sound.softmax")
    text = to_markdown(card.title, card.blocks)
    for heading in ("Intended use", "Not for", "Training data", "How well it does, by stratum"):
        assert f"## {heading}" in text
    assert "https://example.org/data.gz" in text
    assert "Clinical decisions" in text
    assert "trained against dinucleotide shuffle and tested against supplied" in text
    assert "| cross_family |" in text


def test_cards_and_methods_say_species_and_assembly(run: Run) -> None:
    """They name them where the config does; a study of prepared files need not."""
    assert not any("Genome:" in to_markdown(card.title, card.blocks) for card in [*cards(run), *expert_cards(run)])
    human = Run(run.folder, simulated_study(genome={"assembly": "GRCh38"}), run.published, {})
    said = [to_markdown(card.title, card.blocks) for card in [*cards(human), *expert_cards(human)]]
    assert all(
        "Genome: hg38 (GRCh38), Homo sapiens. Matrices of the factors: JASPAR’s vertebrates." in text for text in said
    )


def test_a_card_without_metrics_says_why(run: Run) -> None:
    """A run that measured nothing has a card, and the reason in the place of the numbers."""
    empty = Run(run.folder, run.study, run.published, {})
    text = to_markdown("card", cards(empty)[0].blocks)
    assert "evaluation/metrics.tsv was not made in this run" in text


def test_the_methods_cite_what_the_config_uses(run: Run) -> None:
    """A study of prepared files cites no blacklist; one with SmoothGrad cites its authors."""
    text = methods_document(run.study)
    assert "Altschul SF, Erickson BW (1985)" in text
    assert "JASPAR 2024" in text
    assert "blacklist" not in text
    with_smoothgrad = simulated_study(attribution={"methods": ["gradient", "shiftsmooth", "smoothgrad"]})
    without = simulated_study(attribution={"methods": ["gradient", "shiftsmooth"]})
    assert any("SmoothGrad" in text for text in references(with_smoothgrad))
    assert not any("SmoothGrad" in text for text in references(without))


def test_the_crate_follows_the_specification(run: Run) -> None:
    """Descriptor and root come first, every reference resolves, ids are unique, checksums are those of the files."""
    crate = ro_crate(run, [METRICS, "no/such/file"], SURROUNDINGS, "2026-01-02")
    graph = {entity["@id"]: entity for entity in crate["@graph"]}
    assert crate["@context"] == "https://w3id.org/ro/crate/1.1/context"
    assert len(graph) == len(crate["@graph"])
    descriptor, root = crate["@graph"][:2]
    assert descriptor["@id"] == "ro-crate-metadata.json"
    assert descriptor["about"] == {"@id": "./"}
    assert descriptor["conformsTo"]["@id"] == "https://w3id.org/ro/crate/1.1"
    assert root["@type"] == "Dataset"
    assert all(root[key] for key in ("name", "description", "datePublished", "license"))
    assert set(_references(crate["@graph"])) - {descriptor["conformsTo"]["@id"]} <= set(graph)
    assert graph[METRICS]["sha256"] == hashlib.sha256((run.folder / METRICS).read_bytes()).hexdigest()
    assert "no/such/file" not in graph
    assert graph["#run"]["object"] == [{"@id": "https://example.org/data.gz"}]
    assert graph["#software-torch"]["softwareVersion"] == "2.13"


def test_the_crate_keeps_a_checksum_under_its_own_name(run: Run) -> None:
    """An MD5 is not called a SHA-256."""
    study = simulated_study()
    study.experiments["CTCF"]["checksum"] = "md5:" + "0" * 32
    study.experiments["CTCF"]["source"] = "https://example.org/ctcf.gz"
    crate = ro_crate(Run(run.folder, study, run.published, {}), [], {})
    entity = next(entity for entity in crate["@graph"] if entity["@id"] == "https://example.org/ctcf.gz")
    assert entity["md5"] == "0" * 32
    assert "sha256" not in entity


def test_a_file_that_experiments_share_has_all_their_names(run: Run) -> None:
    study = simulated_study()
    for name in ("CTCF", "STAT3"):
        study.experiments[name]["source"] = "https://example.org/both.gz"
    crate = ro_crate(Run(run.folder, study, run.published, {}), [], {})
    (entity,) = (entity for entity in crate["@graph"] if entity["@id"] == "https://example.org/both.gz")
    assert [name.split(",")[0] for name in entity["name"].split("; ")] == ["CTCF", "STAT3"]


def test_markdown_of_every_kind_of_block() -> None:
    """Headings, lists, tables with their numbers to the right, reasons and folds; a chart has no Markdown."""
    table = make_table(pd.DataFrame({"a": ["x|y", "z"], "n": [1.5, 2.0]}), "Caption.", "t")
    fold = Fold("More", [Items(["one", "two"]), Missing("Thing", "Not made."), Explorer("e", "Chart", "dots", {})])
    text = to_markdown("Title", [Text("Words."), Text("Part", style="heading"), table, fold])
    assert text.startswith("# Title\n\nWords.\n\n## Part\n\nCaption.\n\n| a | n |\n| --- | ---: |\n| x\\|y | 1.500 |\n")
    assert text.endswith("## More\n\n- one\n- two\n\n*Thing is not shown. Not made.*\n")


def test_equal_runs_differ_in_nothing(run: Run, tmp_path: Path) -> None:
    """The same metrics and settings give no difference, and the sentence says so."""
    comparison = compare_runs(run, _other(run, tmp_path, 0.0))
    assert comparison.settings["parameter"].tolist() == ["run"]
    assert summary(comparison)[-1] == "Every metric that both runs have is the same."
    assert comparison.metrics["within_seed_spread"].all()


def test_a_shift_is_found_by_its_size_and_the_changed_setting_by_its_name(run: Run, tmp_path: Path) -> None:
    """Every AUROC rose by 0.1 when a seed changed: mean, interval without zero, seed spread left, setting named."""
    comparison = compare_runs(run, _other(run, tmp_path, 0.1, seed=7))
    assert set(comparison.settings["parameter"]) == {"run", "seed"}
    assert comparison.metrics["difference"].to_numpy() == pytest.approx(0.1)
    assert not comparison.metrics["within_seed_spread"].any()
    assert comparison.sets["value"].to_numpy() == pytest.approx(0.1)
    # A shift that is the same everywhere has no spread to be held against.
    sentences = summary(comparison)
    assert any("AUROC is not shown to differ in other, +0.100 over 6 factors" in text for text in sentences)
    uneven = _other(run, tmp_path, 0.1)
    uneven.tables[METRICS]["value"] += uneven.tables[METRICS]["factor"].map({"CTCF": 0.01, "STAT3": -0.01}).fillna(0)
    sentences = summary(compare_runs(run, uneven))
    assert any("AUROC is higher in other, +0.100 [+0.09" in text for text in sentences)


def test_a_difference_that_may_be_zero_is_not_told_apart(run: Run, tmp_path: Path) -> None:
    """Half of the factors rose and half fell."""
    other = _other(run, tmp_path, 0.0)
    metrics = other.tables[METRICS]
    metrics["value"] += metrics["factor"].isin(["CTCF", "STAT3", "SAP30", "ARID3A"]).map({True: 0.1, False: -0.1})
    assert any("not shown to differ in other" in text for text in summary(compare_runs(run, other)))


def test_runs_without_anything_in_common_cannot_be_compared(run: Run, tmp_path: Path) -> None:
    """One clear message."""
    other = _other(run, tmp_path, 0.0)
    other.tables[METRICS]["model"] = "moe.else"
    with pytest.raises(InputError, match="nothing to compare"):
        compare_runs(run, other)
    with pytest.raises(InputError, match=r"other cannot be compared.*metrics\.tsv was not made"):
        compare_runs(run, Run(tmp_path, other.study, run.published, {}))


def test_a_comparison_is_a_page_with_its_tables(run: Run, tmp_path: Path) -> None:
    """The page names both runs; every table is a file beside it."""
    write_comparison(compare_runs(run, _other(run, tmp_path, 0.1)), tmp_path / "page")
    text = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert "<h1>made and other</h1>" in text
    names = {path.name for path in (tmp_path / "page").iterdir()}
    assert names == {"index.html", "metrics.tsv", "sets.tsv", "settings.tsv", "code.tsv"}


def test_runs_of_one_name_are_told_apart_and_equal_ones_have_empty_tables(run: Run, tmp_path: Path) -> None:
    """Two checkouts each have a run of one name; a run beside itself differs in nothing, and the page says that."""
    comparison = compare_runs(run, run)
    assert (comparison.first, comparison.second) == ("made (first)", "made (second)")
    assert summary(comparison) == ["No parameter differs.", "Every metric that both runs have is the same."]
    write_comparison(comparison, tmp_path)
    assert (tmp_path / "index.html").read_text(encoding="utf-8").count("Both runs are the same in this.") == 4


def test_what_one_run_has_alone_is_said(run: Run, tmp_path: Path) -> None:
    """A model that one run lacks, and a metric that is defined in neither, which is no difference."""
    other = _other(run, tmp_path, 0.0)
    tables = [found.tables[METRICS].copy() for found in (run, other)]
    undefined, lacking = tables[0]["model"].unique()[-2:]
    for table in tables:
        table.loc[table["model"] == undefined, "value"] = float("nan")
    first = Run(run.folder, run.study, run.published, {**run.tables, METRICS: tables[0]})
    second_metrics = tables[1][tables[1]["model"] != lacking]
    second = Run(other.folder, other.study, run.published, {**other.tables, METRICS: second_metrics})
    alone = [text for text in summary(compare_runs(first, second)) if "are only in" in text]
    count = (aggregate.over_seeds(tables[0])["model"] == lacking).sum()
    assert count > 0
    assert alone == [f"{count:,} metrics are only in made, of {model_label(lacking)}."]


def _on_disk(run: Run, folder: Path, **changes: object) -> Path:
    """Write what a comparison reads of a run, as a finished run has it."""
    study = simulated_study(**changes)
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(study.config), encoding="utf-8")
    write_tsv(pd.DataFrame(study.experiments.values()), folder / "experiments.tsv")
    write_tsv(run.tables[METRICS], folder / METRICS)
    return folder


def test_the_command_compares_two_folders(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What differs is printed, the page written; a second time the bytes are the same."""
    first, second = _on_disk(run, tmp_path / "a"), _on_disk(run, tmp_path / "b", seed=7)
    pages = []
    for _ in range(2):
        assert main(["compare", str(first), str(second), "-o", str(tmp_path / "page")]) == 0
        pages.append({path.name: path.read_bytes() for path in (tmp_path / "page").iterdir()})
    assert pages[0] == pages[1]
    printed = capsys.readouterr().out
    assert "1 parameter(s) differ: seed." in printed
    assert str(tmp_path / "page" / "index.html") in printed


@pytest.mark.parametrize("fault", ["no run", "no metrics", "no place"])
def test_the_command_says_what_it_cannot_compare(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    """One message on one line, status 1, and nothing written."""
    first, second, output = _on_disk(run, tmp_path / "a"), tmp_path / "b", tmp_path / "page"
    if fault != "no run":
        _on_disk(run, second)
    if fault == "no metrics":
        (second / METRICS).unlink()
    if fault == "no place":
        output.write_text("a file")
    assert main(["compare", str(first), str(second), "-o", str(output)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("tfbs-moe compare: ") and said.count("\n") == 1
    named = {"no run": second / "config.yaml", "no metrics": second, "no place": output}[fault]
    assert str(named) in said
    assert not output.is_dir()


def test_charts_hold_the_numbers_of_the_tables(run: Run) -> None:
    """Every mean of the table is a point, and the bars of one test set add up to one."""
    charts = {chart.identifier: json.loads(chart.json) for chart in explorers(run)}
    assert set(charts) == {"explore-auroc", "explore-roc", "explore-gate"}
    columns, *points = charts["explore-auroc"]["points"]
    assert columns[:4] == ["protocol", "rows", "label", "model"]
    assert len(points) == 2 * 2 * 9 * 5
    names, *bars = charts["explore-gate"]["points"]
    rows = [dict(zip(names, bar, strict=True)) for bar in bars]
    one = [row for row in rows if (row["protocol"], row["labelled"], row["label"]) == ("sound", "bound", "CTCF")]
    assert sum(row["value"] for row in one) == pytest.approx(1, abs=1e-3)


def test_a_chart_holds_no_more_models_than_it_can_show_and_no_markup(run: Run) -> None:
    """Of many experts some are left out; mixtures and controls never are; no name can end the script element."""
    metrics = run.tables[METRICS]
    one = metrics[metrics["model"] == "convnet.ARID3A"]
    many = [one.assign(model=f"convnet.</script>{place}") for place in range(30)]
    chart = explorers(Run(run.folder, run.study, run.published, {METRICS: pd.concat([metrics, *many])}))[0]
    assert isinstance(chart, Explorer)
    names = [model["name"] for model in json.loads(chart.json)["models"]]
    assert len(names) == MOST_MODELS
    assert {"moe.softmax", "baseline.mean"} <= set(names)
    assert "</script>" not in chart.json


def _references(value: object) -> list[str]:
    """Return every ``@id`` that stands alone, which is a reference."""
    if isinstance(value, dict):
        if set(value) == {"@id"}:
            return [value["@id"]]
        return [name for inner in value.values() for name in _references(inner)]
    if isinstance(value, list):
        return [name for inner in value for name in _references(inner)]
    return []


def test_methods_say_the_learning_rates_that_experiments_have_of_their_own() -> None:
    """A study whose experts differ in their learning rate says from where to where."""
    own = {
        name: {"training": {"learning_rate": rate}} for name, rate in zip(TRAINING, (0.002, 0.003, 0.004), strict=True)
    }
    text = methods_document(simulated_study(experts={"convnet": {"factors": own}}))
    assert "learning rate 0.002 to 0.004 by experiment" in text


def test_the_summary_has_every_model_factor_and_seed(run: Run) -> None:
    text = summary_document(run)
    metrics = run.table("evaluation/metrics.tsv")
    assert metrics is not None
    own = metrics.query("protocol == 'sound' and model == 'moe.softmax' and rows == 'all'")
    ctcf = own.loc[own["experiment"] == "CTCF", "value"].mean()
    lines = text[text.index("## Protocol sound") :].splitlines()
    factors = next(
        line for line in lines if line.startswith("| mixture (softmax)") and f"{ctcf:.3f}".lstrip("0") in line
    )
    assert factors
    seeds = own.groupby(["set", "seed"])["value"].mean()
    assert all(f"{value:.3f}".lstrip("0") in text for value in seeds)
    assert "baseline: mean" in text and "minus each rival on factors no expert saw" in text
