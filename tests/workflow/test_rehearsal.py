"""The full study's 40 experiments and four kinds of negatives, on a simulated genome of a fiftieth of hg19's size."""

import gzip
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from project_copy import copy_project
from tfbs_moe.config import Experiment, complete_config, read_experiments
from tfbs_moe.data.download.sources import parse_source
from tfbs_moe.study_checks import make_study

pytestmark = pytest.mark.slow

RUN = "results/rehearsal_small"
PEAK_SCALE = 0.05
# Short where length would show nothing new; what is studied, and on which rows, stays as it is.
SHORT = {
    "run": "rehearsal_small",
    "replicates": [0],
    "synthetic": {"scale": 0.02, "peak_scale": PEAK_SCALE},
    # At this scale GATA1 and ZBTB33 have 7 and 9 peaks on the test chromosomes; with fewer than 10 they are left out.
    "negatives": {"minimum_rows": 5},
    "protocols": {"paper": {"pooled": ["convnet"]}},
    "background": {"windows": 1000},
    "baselines": [],
    "experts": {"convnet": {"training": {"max_epochs": 1}}},
    "gates": {"softmax": {"training": {"max_epochs": 1}}},
    "evaluation": {"bootstrap": 100},
    "statistics": {"draws": 2, "power": {"effects": [0.02]}},
    "audit": {"composition_rows": 100},
    "attribution": {
        "methods": ["gradient"],
        "sequences": 3,
        "faithfulness_sequences": 1,
        "max_experiments": 1,
        "max_experts": 1,
        "sanity_methods": [],
        "relabelled_experts": 0,
        "shift_curve": [0],
    },
}
# In their cells the table has no other factor whose peaks could be negatives.
ALONE = {"FOXM1", "GATA3", "GATA3_SH-SY5Y"}
KINDS = ("dinucleotide_shuffle", "flanks", "gc_matched", "other_peaks")
# On a busy machine each of some 250 jobs takes seconds.
HANGS = 3_000


def test_the_full_study_comes_through(tmp_path):
    """One run, so one test: tests are dealt out to processes, and each of those would run it again."""
    project = copy_project(tmp_path)
    configs = [f"config/{name}.yaml" for name in ("config", "rehearsal", "rehearsal_convnet")]
    finished = project.run("--configfile", *configs, project.config("short", **SHORT), timeout=HANGS)
    assert finished.returncode == 0, finished.stdout[-6000:]
    run = project.folder / RUN
    rows = read_experiments(project.folder / "config/rehearsal.tsv")
    check_files(run, rows)
    check_test_sets(run, rows)
    check_shortage(run)
    check_blacklist(run, rows)
    check_report(run, rows)


def counts(run: Path, experiment: str, negatives: str) -> pd.DataFrame:
    return pd.read_csv(run / f"datasets/{experiment}/{negatives}/test.counts.tsv", sep="\t")


def check_files(run: Path, rows: list[Experiment]) -> None:
    """Files hold the peaks that the listed sizes of the real ones lead to expect."""
    assert len(rows) == 40
    for row in rows:
        with gzip.open(run / f"synthetic/{row['name']}.narrowPeak.gz") as handle:
            assert sum(1 for _ in handle) == round(parse_source(row["source"]).peaks * PEAK_SCALE), row["name"]


def check_test_sets(run: Path, rows: list[Experiment]) -> None:
    """Every experiment is tested on every kind of negatives there is for it, and none is left out."""
    tested = pd.read_csv(run / "evaluation/metrics.tsv", sep="\t")
    tested = tested.query("model == 'moe.softmax' and metric == 'auroc' and rows == 'all'")
    wanted = {
        (row["name"], kind) for row in rows for kind in KINDS if kind != "other_peaks" or row["name"] not in ALONE
    }
    assert set(zip(tested.experiment, tested.negatives, strict=True)) == wanted
    study = make_study(complete_config(yaml.safe_load((run / "config.yaml").read_text())), rows)
    assert wanted == {(test.experiment, test.negatives) for test in study.test_sets}


def check_shortage(run: Path) -> None:
    """What HeLa-S3 lacks makes one test set smaller and stops nothing."""
    table = counts(run, "TCF7L2", "other_peaks").set_index("step")
    found, wanted = map(int, re.search(r"other_peaks: (\d+) found of (\d+) wanted", table.reason["negatives"]).groups())
    assert found < wanted and table.rows_out["partners"] == 2 * found
    metrics = pd.read_csv(run / "evaluation/metrics.tsv", sep="\t")
    own = metrics.query("experiment == 'TCF7L2' and metric == 'auroc' and rows == 'all'").set_index("negatives")
    assert set(own.loc["other_peaks"].n_positive) == {found} and set(own.loc["flanks"].n_positive) == {wanted}
    warnings = pd.read_csv(run / "audit/warnings.tsv", sep="\t").sentence
    assert warnings.str.contains(rf"TCF7L2.*reduced: {found} of {wanted} bound rows").sum() == 1
    # The other factor of the cell has fewer peaks, and finds enough.
    assert "partners" not in set(counts(run, "STAT3", "other_peaks").step)


def check_blacklist(run: Path, rows: list[Experiment]) -> None:
    """Windows that touch the made blacklist are dropped and counted, as those that touch ENCODE's are."""
    tables = pd.concat([counts(run, row["name"], "flanks") for row in rows])
    touching = tables[tables.reason == "touches the blacklist"]
    assert len(touching) == len(rows)
    assert 0.01 < (touching.rows_in - touching.rows_out).sum() / touching.rows_in.sum() < 0.2


def check_report(run: Path, rows: list[Experiment]) -> None:
    """The report is there; its answer tells the seen from the unseen."""
    assert (run / "report/index.html").stat().st_size > 100_000
    described = (run / "cards/datasets.md").read_text(encoding="utf-8")
    assert [row["name"] for row in rows if row["name"] not in described] == []
    answer = (run / "summary.md").read_text(encoding="utf-8")
    assert "on 27 unseen factors" in answer and "on 6 of these factors in another cell" in answer
