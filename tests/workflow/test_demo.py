"""The demo, from a simulated genome to the report: what is made, what a second run does, what a change re-runs."""

import re
import zipfile
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow


def planned(finished) -> dict[str, int]:
    """Return how many jobs of each rule a dry run plans."""
    assert finished.returncode == 0, finished.stdout[-3000:]
    table = re.search(r"^job\s+count\n-+\s+-+\n(.*?)^total", finished.stdout, flags=re.S | re.M)
    return {line.split()[0]: int(line.split()[1]) for line in table[1].splitlines() if line.strip()} if table else {}


def run_folder(project) -> Path:
    return project.folder / "results" / "demo"


def test_everything_is_made(demo):
    folder = run_folder(demo)
    for name in (
        "config.yaml",
        "datasets/summary.tsv",
        "evaluation/metrics.tsv",
        "statistics/paper_anova.tsv",
        "statistics/factors.tsv",
        "statistics/assumptions.tsv",
        "statistics/ranks.tsv",
        "statistics/power.tsv",
        "statistics/strata.tsv",
        "statistics/strata_tests.tsv",
        "statistics/similarity.tsv",
        "statistics/regression.tsv",
        "statistics/negatives_matrix.tsv",
        "statistics/background.tsv",
        "statistics/published_anova.tsv",
        "statistics/draws.tsv",
        "attributions/summary.tsv",
        "attributions/comparison.tsv",
        "attributions/equivariance.tsv",
        "attributions/sanity.tsv",
        "attributions/shifts.tsv",
        "attributions/site_profiles.tsv",
        "attributions/filters.tsv",
        "experts/sound/convnet/JUND/seed0/permuted_labels/model.json",
        "attributions/motif_summary.tsv",
        "report/index.html",
        "methods.md",
        "cards/datasets.md",
        "cards/model.sound.softmax.md",
        "cards/expert.sound.convnet.MAX.md",
        "ro-crate-metadata.json",
    ):
        assert (folder / name).stat().st_size > 0, name
    assert not list(folder.rglob("*.tmp.*"))


def test_the_index_of_the_simulated_genome_is_used(demo):
    made = run_folder(demo) / "synthetic"
    # An index made again, for being older than its FASTA, would be younger than the last output of its job.
    dates = [(made / name).stat().st_mtime_ns for name in ("genome.fa", "genome.fa.fai", "sites.tsv")]
    assert dates == sorted(dates)


def test_experts_learn_their_own_motif(demo):
    metrics = pd.read_csv(run_folder(demo) / "evaluation/metrics.tsv", sep="\t")
    auroc = metrics.query("metric == 'auroc' and rows == 'all'")
    own = auroc[auroc.model == "convnet." + auroc.experiment]
    assert len(own) and own.groupby("experiment").value.mean().min() > 0.85


def test_the_background_network_stands_beside_every_result_and_the_report_says_what_it_explains(demo):
    """Without a word on what it should be: that is the finding."""
    metrics = pd.read_csv(run_folder(demo) / "evaluation/metrics.tsv", sep="\t").query("metric == 'auroc'")
    tested = metrics.groupby("model")["experiment"].nunique()
    assert tested["baseline.background"] == tested["moe.softmax"]
    shares = pd.read_csv(run_folder(demo) / "statistics/background.tsv", sep="\t").query("rows == 'all'")
    page = (run_folder(demo) / "report/index.html").read_text(encoding="utf-8")
    for row in shares.itertuples():
        assert re.search(rf"{row.background:.3f} \([^)]*, {100 * row.share:.0f}%\)".replace("-", "−"), page)
    for split in ("train", "validation"):
        counts = pd.read_csv(
            run_folder(demo) / f"datasets/background/dinucleotide_shuffle/{split}.counts.tsv", sep="\t"
        )
        assert (counts["rows_in"].iloc[1:].to_numpy() == counts["rows_out"].iloc[:-1].to_numpy()).all()
        assert counts["rows_out"].iloc[-1] == {"train": 3200, "validation": 800}[split]


def test_shifts_that_lose_no_base_give_the_gradient_of_the_papers_network(demo):
    """In every test set, and the report says why."""
    summary = pd.read_csv(run_folder(demo) / "attributions/summary.tsv", sep="\t")
    alike = summary[(summary["method"] == "shiftsmooth_inside") & (summary["metric"] == "gradient_rank_correlation")]
    experts = alike[alike["model"].str.startswith("convnet.")]
    assert experts["model"].nunique() == 3
    assert experts["value"].min() > 0.999
    page = (run_folder(demo) / "report/index.html").read_text(encoding="utf-8")
    assert page.count("with the gradient: it is the gradient, and any other difference") >= 3


def test_second_run_does_nothing(demo):
    finished = demo.run("--configfile", "config/demo.yaml")
    assert finished.returncode == 0
    assert "Nothing to be done" in finished.stdout


def test_a_library_change_reruns_its_steps_only(demo):
    module = demo.folder / "workflow/tfbs_moe/statistics/factors.py"
    before = module.read_text()
    try:
        module.write_text(before + "\n_CHANGED = True\n")
        jobs = planned(demo.run("-n", "--configfile", "config/demo.yaml"))
    finally:
        module.write_text(before)
    assert "factor_statistics" in jobs
    assert not {"training_dataset", "test_dataset", "expert", "gate", "evaluate"} & set(jobs)


def test_figures_are_redrawn_from_tables(demo):
    figures = sorted((run_folder(demo) / "figures").iterdir())
    before = {path.name: path.read_bytes() for path in figures}
    for path in figures:
        path.unlink()
    jobs = planned(demo.run("figures", "-n", "--configfile", "config/demo.yaml"))
    assert "expert" not in jobs and "gate" not in jobs
    finished = demo.run("figures", "--configfile", "config/demo.yaml")
    assert finished.returncode == 0, finished.stdout[-3000:]
    after = {path.name: path.read_bytes() for path in sorted((run_folder(demo) / "figures").iterdir())}
    assert after == before


def test_snakemake_report(demo, tmp_path):
    finished = demo.run("--configfile", "config/demo.yaml", "--report", str(tmp_path / "report.zip"))
    assert finished.returncode == 0, finished.stdout[-3000:]
    with zipfile.ZipFile(tmp_path / "report.zip") as packed:
        page = next(packed.read(name).decode() for name in packed.namelist() if name.endswith("report.html"))
    for category in ("Attribution", "Data", "Evaluation", "Figures", "Report", "Tests", "Training"):
        assert f'"{category}"' in page, category
    # Captions are filled with wildcards and settings, and none of them trips over another's name.
    assert "Training of the convnet expert of JUND, protocol" in page
    assert "System Message" not in page
