"""The report: what it says follows from the tables, what is missing says why, and the page needs nothing else."""

import base64
import gzip
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simulated_run import degrade_simulated_run, simulated_study, write_simulated_run
from tfbs_moe.config import defaults, load_schema
from tfbs_moe.figures.aggregate import read_published
from tfbs_moe.figures.catalogue import METRICS, figure_items
from tfbs_moe.figures.draw import Source, draw
from tfbs_moe.figures.style import nothing_to_draw, save
from tfbs_moe.report import build
from tfbs_moe.report.build import build_report
from tfbs_moe.report.documents.methods import methods, parameters
from tfbs_moe.report.documents.summary import summary_document
from tfbs_moe.report.inputs import FACTOR_STATISTICS, GATE_WEIGHTS, SEED_AVERAGES, Run, read_run
from tfbs_moe.report.page import MOST_ROWS, Items, Text, as_download, identifier, interval, make_table, number
from tfbs_moe.report.sections import compose as sections
from tfbs_moe.report.sections import data_and_results
from tfbs_moe.report.sections.answer import answer, differences, verdict
from tfbs_moe.report.sections.attribution import attribution
from tfbs_moe.report.sections.caveats import caveats
from tfbs_moe.report.sections.compose import reproduction
from tfbs_moe.report.sections.data_and_results import retrainings
from tfbs_moe.report.sections.gate_and_calibration import gate
from tfbs_moe.tables import read_tsv, write_json, write_tsv

PUBLISHED = Path(__file__).resolve().parents[2] / "resources" / "published.tsv"
DRAWN = ("auroc.sound", "overlap")
NONE_TO_DRAW = "localisation"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A made run with two figures, and one that had nothing to draw."""
    folder = tmp_path_factory.mktemp("made")
    study = simulated_study(title="Do <mixtures> help?")
    write_simulated_run(folder, study)
    published = read_published(PUBLISHED)
    for name in DRAWN:
        save(*draw(figure_items(study)[name], Source(folder, study, published)), folder / "figures" / name)
    save(*nothing_to_draw("No site is known."), folder / "figures" / NONE_TO_DRAW)
    return read_run(folder, study, published)


@pytest.fixture(scope="module")
def page(run: Run) -> str:
    """The report's HTML."""
    output = run.folder / "report" / "index.html"
    build_report(run.folder, run.study, run.published, output, {"commit": "abc"})
    return output.read_text(encoding="utf-8")


class _Outline(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_needs_no_other_file_or_host(page: str) -> None:
    """Every link, picture and style is within the page; no address is loaded."""
    outline = _Outline(page)
    loaded = [attributes.get("src") or attributes.get("href") for _, attributes in outline.tags]
    assert all(address.startswith(("data:", "#")) for address in loaded if address)
    assert "url(" not in page
    # A script with a type that is not JavaScript is data, which the page's own script reads.
    assert all(attributes in ({}, {"type": "application/json"}) for attributes in outline.all("script"))


def test_the_page_can_be_found_ones_way_in(page: str) -> None:
    """Language, title, landmarks, alternative texts, scopes, one first heading, unique ids, sections in order."""
    outline = _Outline(page)
    assert outline.all("html") == [{"lang": "en"}]
    assert len(outline.all("h1")) == len(outline.all("main")) == len(outline.all("nav")) == 1
    assert all(len(str(attributes["alt"])) > 20 for attributes in outline.all("img"))
    assert all(attributes["scope"] in ("col", "row") for attributes in outline.all("th"))
    identifiers = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    sections = "question answer glance data results gate calibration negatives statistics attribution published methods"
    found = [attributes["id"] for attributes in outline.all("section")]
    assert found == [*sections.split(), "provenance", "files"]
    targets = [str(attributes["href"])[1:] for attributes in outline.all("a") if str(attributes["href"])[0] == "#"]
    assert set(targets) <= set(identifiers)


def test_what_a_user_wrote_is_text_and_not_markup(page: str) -> None:
    """A title with angle brackets stays a title."""
    assert "Do &lt;mixtures&gt; help?" in page
    assert "<mixtures>" not in page


def test_the_same_run_gives_the_same_bytes(run: Run, page: str, tmp_path: Path) -> None:
    """Built twice, the page is the same."""
    build_report(run.folder, run.study, run.published, tmp_path / "again.html", {"commit": "abc"})
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_figures_and_tables_can_be_saved_with_their_numbers(run: Run, page: str) -> None:
    """The downloads hold the very files of the run."""
    links = [attributes for attributes in _Outline(page).all("a") if "download" in attributes]
    files = {str(attributes["download"]): str(attributes["href"]) for attributes in links}
    saved = gzip.decompress(base64.b64decode(files["auroc.sound.tsv.gz"].split(",")[1]))
    assert saved == (run.folder / "figures/auroc.sound.tsv").read_bytes()
    assert base64.b64decode(files["auroc.sound.pdf"].split(",")[1]).startswith(b"%PDF")


def test_long_text_is_packed_and_short_text_is_not() -> None:
    """What a script unpacks is the file itself; without a script it is saved as .gz; short text stays as it is."""
    content = b"a\tb\n" * 5_000
    packed = as_download("numbers.tsv", content)
    assert (packed.file_name, packed.packed) == ("numbers.tsv.gz", "text/tab-separated-values")
    assert gzip.decompress(base64.b64decode(packed.data.split(",")[1])) == content
    assert len(packed.data) < len(content) / 10
    plain = as_download("numbers.tsv", content[:40])
    assert (plain.file_name, plain.packed) == ("numbers.tsv", "")
    assert base64.b64decode(plain.data.split(",")[1]) == content[:40]


def test_attribution_says_where_shiftsmooth_can_matter_and_what_was_recovered(run: Run) -> None:
    """A blind model is called one, with the numbers; comparison, sanity and motifs are told in sentences."""
    text = _text(attribution(run).blocks)
    assert "ShiftSmooth has a rank correlation of 0.9995 with the gradient and is the same" in text
    assert "(above 0.999) in 75% of the sequences" in text and "global pooling" in text
    assert "ShiftSmooth has a rank correlation of 0.99995 with the gradient: it is the gradient" in text
    assert "they are not shown to differ" in text or "no difference can be shown" in text
    assert "with all weights randomised, vanilla gradient keeps a rank correlation of 0.500" in text
    assert "for the same network, trained on permuted labels, vanilla gradient has a rank correlation of 0.500" in text
    assert "1 motif was found" in text


def test_a_missing_figure_and_an_empty_one_have_their_place_and_reason(page: str) -> None:
    """The place of a figure that was not made names its files; that of an empty one says why it is empty."""
    assert re.search(r"Logos|logos", page)
    assert "roc.sound.svg, roc.sound.png, roc.sound.pdf, roc.sound.tsv not found" in page
    assert "No site is known." in page


def test_a_run_without_any_result_still_has_a_report(tmp_path: Path) -> None:
    """Every section says what it lacks; nothing is claimed."""
    build_report(tmp_path / "empty", simulated_study(), read_published(PUBLISHED), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "There is no answer yet. The file evaluation/metrics.tsv was not made in this run." in text
    assert "The file statistics/factors.tsv was not made in this run." in text
    assert "mean AUROC of 0" not in text


def test_the_gate_section_says_where_it_collapsed_and_what_it_misses(run: Run) -> None:
    section = gate(run)
    notes = [block.text for block in section.blocks if isinstance(block, Text) and block.style == "note"]
    assert (
        len(notes) == 1
        and "“published”" in notes[0]
        and "on 1 of 9 test sets, 1 of 9 times with each seed counted (CTCF)" in notes[0]
    )
    said = next(block for block in section.blocks if isinstance(block, Items)).items
    assert any("uses 1.7 experts per sequence" in sentence for sentence in said)
    losses = run.table("statistics/gate_losses.tsv")
    assert losses is not None
    here = losses[(losses["protocol"] == "sound") & (losses["set"] == "unseen")]
    most = here.loc[here["value"].idxmax()]
    assert any(f"without {most['absent']}" in sentence and "sound, unseen factors" in sentence for sentence in said)
    assert any("of 1 unseen factors whose matrix is like" in sentence for sentence in said)


def test_the_answer_gives_levels_rival_overlap_reproduction_gate_and_sites(run: Run) -> None:
    """One sentence for each table, in the order a reader asks."""
    sentences = answer(run)
    assert len(sentences) == 6
    assert "“sound”" in sentences[0] and "on 3 factors" in sentences[0] and "on 6 unseen factors" in sentences[0]
    assert sentences[1].startswith("It is higher than its strongest trained rival")
    assert "share no sequence with bound rows of training" in sentences[2]
    assert "0.702" in sentences[3] and "tolerance of 0.03" in sentences[3]
    assert "ARID3A" in sentences[4]
    assert "; ShiftSmooth 0.500" in sentences[5]


def test_the_answer_tells_three_sets_apart(run: Run) -> None:
    """A training factor in another cell is not among the unseen ones."""
    metrics = run.tables[METRICS].copy()
    moved = metrics["experiment"].isin(["CTCF", "STAT3"])
    metrics.loc[moved, ["set", "stratum"]] = "other_cell"
    sentence = answer(Run(run.folder, run.study, run.published, run.tables | {METRICS: metrics}))[0]
    assert "on 3 factors the experts were trained on, " in sentence
    assert "on 2 of these factors in another cell and " in sentence
    assert "on 4 unseen factors (no expert saw them)" in sentence


def test_a_factor_whose_expert_was_left_out_is_told_apart_from_those_with_one(run: Run) -> None:
    """Before the mend it was one of "3 factors with an expert" and stood among those in distribution."""
    models = ["convnet.ARID3A", "convnet.FOXM1", "convnet.GATA3"]
    experiments = run.study.experiments
    listed = pd.DataFrame({"model": models, "seed": 0, "folder": "x", "left_out": [None, None, "too few."]})
    for column in ("factor", "cell"):
        listed[column] = [experiments[model.removeprefix("convnet.")][column] for model in models]
    listed = pd.concat([listed, listed.assign(seed=1)])
    tables = {f"trained/{protocol}.tsv": listed for protocol in run.study.protocols}
    lacking = Run(run.folder, run.study, run.published, run.tables | tables)
    glance = sections._glance(lacking).blocks
    facts = glance[0].items
    assert facts[0] == "2 factors with an expert: ARID3A, FOXM1."
    assert facts[1].startswith("7 factors no expert saw: GATA3, ")
    factor, its_set, stratum = (glance[-1].columns.index(name) for name in ("factor", "set", "stratum"))
    told = {row[factor][0]: (row[its_set][0], row[stratum][0]) for row in glance[-1].rows}
    assert told["GATA3"] == ("unseen factors", "unseen") and told["FOXM1"] == ("in-distribution", "in distribution")
    assert "1 training factors whose expert was left out: GATA3." in facts
    # One seed or one protocol that has it is enough.
    once = listed.assign(left_out=listed["left_out"].where(listed["seed"] == 1))
    tables["trained/sound.tsv"] = once.astype({"left_out": object})
    partly = Run(run.folder, run.study, run.published, run.tables | tables)
    assert sections._glance(partly).blocks[0].items[0].startswith("3 factors with an expert")


def test_no_difference_is_claimed_whose_interval_includes_zero(run: Run) -> None:
    """The same numbers with wider intervals are not shown to differ."""
    tests = run.tables[FACTOR_STATISTICS].copy()
    tests["effect_lower"] = tests["effect"] - 1
    tests["effect_upper"] = tests["effect"] + 1
    wide = Run(run.folder, run.study, run.published, run.tables | {FACTOR_STATISTICS: tests})
    sentence = answer(wide)[1]
    assert "is not shown to differ from it" in sentence
    assert "mixture − rival is +0.0" in sentence and "an interval that includes zero" in sentence
    assert "higher than" not in sentence and "lower than" not in sentence
    tests["effect"] *= -1
    tests[["effect_lower", "effect_upper"]] = np.nan
    behind = Run(run.folder, run.study, run.published, run.tables | {FACTOR_STATISTICS: tests})
    sentence = answer(behind)[1]
    assert "mixture − rival is −0.0" in sentence
    assert "no interval: too few factors, or the same difference on each" in sentence


def test_a_mixture_below_its_own_expert_is_named_with_both_numbers(run: Run) -> None:
    """Each has to lie outside the interval of the other; other experts of the set are no measure."""
    metrics = run.tables[METRICS].copy()
    assert caveats(run) == []
    here = (metrics["protocol"] == "sound") & (metrics["experiment"] == "GATA3_test")
    for model, value in (("moe.softmax", 0.485), ("convnet.GATA3", 0.748), ("convnet.FOXM1", 0.9)):
        rows = here & (metrics["model"] == model)
        metrics.loc[rows, ["value", "lower", "upper"]] = value, value - 0.1, value + 0.1
    changed = Run(run.folder, run.study, run.published, run.tables | {METRICS: metrics})
    (said,) = caveats(changed)
    assert said.startswith(
        "sound: on 1 of 3 test sets of training factors the mixture (softmax) has a lower AUROC than"
    )
    assert said.endswith("interval: GATA3_test (supplied) 0.485 where it has 0.748.")
    metrics.loc[here & (metrics["model"] == "moe.softmax"), "upper"] = 0.75
    assert caveats(Run(run.folder, run.study, run.published, run.tables | {METRICS: metrics})) == []


def test_a_gate_that_looks_away_from_a_factors_own_expert_is_named(run: Run) -> None:
    weights = run.tables[GATE_WEIGHTS].copy()
    here = (weights["protocol"] == "sound") & (weights["experiment"] == "GATA3_test")
    weights.loc[here, "value"] = weights.loc[here, "expert"].map({"ARID3A": 0.97, "FOXM1": 0.01, "GATA3": 0.02})
    (said,) = caveats(Run(run.folder, run.study, run.published, run.tables | {GATE_WEIGHTS: weights}))
    assert said.startswith("sound: on 1 of 3 test sets of training factors the mixture (softmax) gives more than 95%")
    assert said.endswith("GATA3_test (supplied) 98%, 99% of it to ARID3A.")
    weights.loc[here, "value"] = weights.loc[here, "expert"].map({"ARID3A": 0.9, "FOXM1": 0.04, "GATA3": 0.06})
    assert caveats(Run(run.folder, run.study, run.published, run.tables | {GATE_WEIGHTS: weights})) == []


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_run_that_lacks_much_has_its_figures_and_its_report(tmp_path: Path) -> None:
    """A set without rows, constant predictions, attributions of zero, no motif, no matrix, few rows: all at once."""
    study, published = simulated_study(), read_published(PUBLISHED)
    write_simulated_run(tmp_path, study)
    degrade_simulated_run(tmp_path, study, gone="CTCF", flat="STAT3")
    # Every kind once; both protocols have the same.
    for item in figure_items(study).values():
        if item.parameters.get("protocol") != "published":
            draw(item, Source(tmp_path, study, published))
    draws = read_tsv(tmp_path / "statistics/draws.tsv").assign(statistic=np.nan)
    write_tsv(draws, tmp_path / "statistics/draws.tsv")
    build_report(tmp_path, study, published, tmp_path / "report/index.html")
    text = (tmp_path / "report/index.html").read_text(encoding="utf-8")
    assert "CTCF/supplied/test: left out: 3 bound rows are left" in text
    assert "No motif was found: too few stretches" in text
    assert "on 5 unseen factors" in text and "; results are of 5, without CTCF" in text
    summary = summary_document(read_run(tmp_path, study, published))
    wary = summary[summary.index("## What to know first") : summary.index("## Protocol")]
    assert "- CTCF/supplied/test: left out" in wary and "- 87 bound rows to learn from." in wary
    assert "Throughout, STAT3: 0.500" in summary


@pytest.mark.parametrize(
    ("bounds", "p", "expected"),
    [
        ((0.02, 0.01, 0.03), 0.001, "higher"),
        ((-0.02, -0.03, -0.01), 0.001, "lower"),
        ((0.02, 0.01, 0.03), 0.05, "not shown to differ"),
        ((0.02, 0.01, 0.03), np.nan, "not shown to differ"),
        ((0.02, -0.01, 0.05), 0.001, "not shown to differ"),
        ((0.02, 0.0, 0.04), 0.001, "not shown to differ"),
        ((0.02, np.nan, np.nan), 0.001, "not shown to differ"),
    ],
)
def test_a_verdict_needs_an_interval_without_zero_and_a_small_p(
    bounds: tuple[float, float, float], p: float, expected: str
) -> None:
    """Zero at the very end of the interval, no interval, or an adjusted p at the level is no verdict."""
    assert verdict(*bounds[1:], p, 0.95) == expected


def test_the_strongest_rival_comes_first_with_its_interval(run: Run) -> None:
    """Rivals are ordered by their own mean, whatever the difference says."""
    table = differences(run, "sound", "moe.softmax", "unseen")
    assert table["rival_mean"].is_monotonic_decreasing
    assert set(table["rival"]) == {"convnet.ARID3A", "convnet.FOXM1", "convnet.GATA3", "baseline.mean"}
    assert (table["n"] == 6).all()


def test_an_unreached_reproduction_comes_with_what_the_tables_say_of_why(run: Run) -> None:
    """The verdict names value, reference and tolerance, and the reasons name factors, experts, seeds and the rerun."""
    metrics = run.tables[METRICS].copy()
    metrics["value"] = 0.60
    text = _text(reproduction(Run(run.folder, run.study, run.published, run.tables | {METRICS: metrics})))
    assert "Not reached, in-distribution: mean AUROC 0.600" in text
    assert "against 0.702; difference −0.102, tolerance ±0.03" in text
    assert "CTCF −0.334" in text
    assert "FOXM1 expert −0.135" in text
    assert "0.679 ± 0.004 over 3 seeds" in text


def test_where_the_audit_warns_of_nothing_the_page_says_what_negatives_are_and_what_overlaps(run: Run) -> None:
    """Neither is a fault of the data, and both limit what a result means."""
    quiet = run.tables | {data_and_results.WARNINGS: pd.DataFrame()}
    negatives, overlap = data_and_results._warnings(Run(run.folder, run.study, run.published, quiet))
    assert "they are shuffles of the bound sequences, or what a prepared file supplies" in negatives.text
    assert re.search(r"share sequence with bound rows of training: \w+ \d+%, ", overlap.text)


def test_a_reached_reproduction_gives_no_reasons(run: Run) -> None:
    """Nothing is explained that needs no explanation."""
    metrics = run.tables[METRICS].copy()
    metrics["value"] = 0.70
    text = _text(reproduction(Run(run.folder, run.study, run.published, run.tables | {METRICS: metrics})))
    assert "Reached, in-distribution" in text and "Reached, unseen factors" in text
    assert "Not reached" not in text and "why" not in text


def test_large_downloads_become_links_to_the_files_beside_the_page(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page above its limit sheds the largest files first and stays below it."""
    output = tmp_path / "report.html"
    build_report(run.folder, run.study, run.published, output)
    limit = output.stat().st_size - 5_000
    monkeypatch.setattr(build, "LARGEST_PAGE", limit)
    build_report(run.folder, run.study, run.published, output)
    assert output.stat().st_size <= limit
    # The SVG of a figure goes before its PDF, which is a vector file too.
    page = output.read_text(encoding="utf-8")
    assert 'href="../figures/auroc.sound.svg" download="auroc.sound.svg"' in page
    assert 'href="../figures/auroc.sound.pdf"' not in page


def test_methods_and_parameters_come_from_the_config(run: Run) -> None:
    """Every key of the config has a row with the schema's own words; prose names seeds, draws and negatives."""
    table = parameters(run.study.config).set_index("parameter")
    assert table.loc["evaluation.bootstrap", "value"] == "1000"
    assert table.loc["evaluation.bootstrap", "meaning"] == "Bootstrap resamples."
    assert set(defaults(load_schema("config"))) <= {name.split(".")[0] for name in table.index}
    text = " ".join(methods(run.study))
    assert "seeds 0, 1" in text and "1,000 bootstrap draws" in text and "permute non-overlapping pairs" in text


def test_table_cells_keep_full_precision_as_sort_keys() -> None:
    """A cell shows three decimals and sorts by all of them; a p has an exponent; what is missing sorts apart."""
    frame = pd.DataFrame({"a": ["x", "y"], "value": [0.123456, np.nan], "n": [1200, 3], "p": [1e-7, 0.5]})
    table = make_table(frame, "caption", "name")
    assert table.rows[0] == [("x", "x"), ("0.123", "0.123456"), ("1,200", "1200.0"), ("1.0e−07", "1e-07")]
    assert table.rows[1] == [("y", "y"), ("–", ""), ("3", "3.0"), ("0.500", "0.5")]
    assert table.numeric == [False, True, True, True]


def test_of_a_long_table_the_page_has_the_first_rows_and_the_file_all():
    frame = pd.DataFrame({"row": np.arange(MOST_ROWS + 1), "kind": "a"})
    table = make_table(frame, "Rows.", "long")
    assert (
        table.caption == "Rows. Throughout, kind: a. The first 1,000 of 1,001 rows are shown; the saved file has all."
    )
    assert len(table.rows) == MOST_ROWS
    packed = base64.b64decode(table.download.data.partition(",")[2])
    assert len(gzip.decompress(packed).splitlines()) == MOST_ROWS + 2
    assert "Shown" not in make_table(frame[:MOST_ROWS], "Rows.", "long").caption


def test_counts_with_gaps_are_counts_and_what_never_changes_is_said_once() -> None:
    """A count is no 46.000 for want of another; a column that says one thing throughout moves to the caption."""
    frame = pd.DataFrame({"set": ["a", "b", "c"], "overlapping": [46.0, np.nan, 3.0], "negatives": "other_peaks"})
    table = make_table(frame, "Rows.", "name")
    assert table.columns == ["set", "overlapping"]
    assert [row[1][0] for row in table.rows] == ["46", "–", "3"]
    assert table.caption == "Rows. Throughout, negatives: other peaks."
    assert b"other_peaks" in base64.b64decode(table.download.data.split(",")[1])


def test_numbers_read_as_printed_ones() -> None:
    """True minus signs, an en dash for what does not exist, no interval where there is none."""
    assert number(-0.5) == "−0.500"
    assert number(float("nan")) == "–"
    assert interval(0.1, -0.05, 0.25, sign=True) == "+0.100 [−0.050, +0.250]"
    assert interval(0.1, float("nan"), float("nan")) == "0.100"
    assert identifier("logos.sound.CTCF (K562)") == "logos-sound-ctcf-k562"


def test_the_table_of_metrics_on_the_page_is_that_of_the_run(run: Run, page: str) -> None:
    """A value of metrics.tsv, averaged over seeds, stands in the page with its full precision as key."""
    metrics = read_tsv(run.folder / METRICS)
    one = metrics[(metrics["protocol"] == "sound") & (metrics["model"] == "moe.softmax")]
    value = one[(one["experiment"] == "CTCF") & (one["rows"] == "all")]["value"].mean()
    assert f'data-key="{float(value)!r}"' in page


def test_the_page_says_what_more_trainings_would_give(run: Run, page: str) -> None:
    """Logits are drawn anew by each seed, so their mean is better than one of them, and the table says so."""
    (table,) = retrainings(run)
    shown = {(row[0], row[1], row[2]): row for row in ([text for text, _ in line] for line in table.rows)}
    row = shown["sound", "unseen factors", "mixture (softmax)"]
    averages = read_tsv(run.folder / SEED_AVERAGES)
    own = averages[(averages["protocol"] == "sound") & (averages["model"] == "moe.softmax")]
    own = own[own["set"] == "unseen"]
    assert f"{own['auroc'].mean():.3f}" in row and f"{own['auroc_averaged'].mean():.3f}" in row
    assert "What more trainings would give" in page


def _text(blocks: list) -> str:
    """Return the words of paragraphs and lists."""
    return " ".join(getattr(block, "text", "") + " ".join(getattr(block, "items", [])) for block in blocks)


def test_searches_are_told_where_the_study_asks_for_them(run: Run, tmp_path: Path) -> None:
    """The table says how many trials there were, how many were given up, and what was chosen."""
    assert sections._searches(run) == []
    study = simulated_study(experts={"convnet": {"search": {"trials": 2}}})
    trials = pd.DataFrame({"trial": [0, 1], "state": ["complete", "pruned"], "validation_auroc": [0.7, 0.5]})
    folder = tmp_path / "search/sound/convnet/ARID3A"
    write_tsv(trials, folder / "trials.tsv")
    best = {"network": {"pooling": "max"}, "training": {}, "trial": 0, "validation_auroc": 0.7}
    write_json(best, folder / "best.json")
    table = sections._searches(read_run(tmp_path, study, run.published))[-1]
    told = next(row for row in table.rows if "pooling max" in [str(cell[0]) for cell in row])
    assert "1" in [str(cell[0]) for cell in told]


def test_many_warnings_of_one_kind_are_one_and_a_fold(run: Run, tmp_path: Path) -> None:
    """The one with the highest value is shown, the others are folded away; none is lost."""
    rows = [("warning", f"S{each}", "positives_in_training", 0.1 * each, f"S{each} shares rows.") for each in range(6)]
    rows.append(("serious", "T", "same_rows", "yes", "T is S0."))
    table = pd.DataFrame(rows, columns=["severity", "dataset", "what", "value", "sentence"])
    write_tsv(table, tmp_path / data_and_results.WARNINGS)
    shown, fold, serious = data_and_results._warnings(read_run(tmp_path, run.study, run.published))
    assert (shown.text, shown.style, serious.text, serious.style) == ("S5 shares rows.", "note", "T is S0.", "bad")
    assert fold.title == "5 more like this"
    assert len(fold.blocks[0].items) == 5


def test_models_that_were_left_out_stand_in_the_audit_with_their_reason(run, tmp_path):
    """One warning per model and reason, whatever the number of seeds; nothing where all were trained."""
    table = pd.DataFrame(
        {
            "model": ["convnet.A", "convnet.A", "convnet.B", "moe.softmax"],
            "seed": [0, 1, 0, 0],
            "left_out": ["too few peaks.", "too few peaks.", None, None],
            "without": [None, None, None, "A: too few peaks."],
        }
    )
    path = f"trained/{run.study.protocols[0]}.tsv"
    write_tsv(table, tmp_path / path)
    (protocol, *_) = run.study.protocols
    text = [block.text for block in data_and_results._left_out_models(read_run(tmp_path, run.study, run.published))]
    assert text == [
        f"convnet.A (protocol {protocol}, seed 0, 1) was left out: it belongs to no mixture and has no results; a "
        "factor without any expert counts as unseen in all sets and strata: too few peaks.",
        f"moe.softmax (protocol {protocol}, seed 0) does without some networks: A: too few peaks.",
    ]
    write_tsv(table.assign(left_out=None, without=None), tmp_path / path)
    assert data_and_results._left_out_models(read_run(tmp_path, run.study, run.published)) == []
