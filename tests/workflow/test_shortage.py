"""One experiment never ends a study: a set too small, a set and an expert that cannot be, and still a report."""

import gzip
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.data.simulation.planted_study import DEMO_EXPERIMENTS, StudySettings, make_study
from tfbs_moe.tables import read_json, read_tsv

pytestmark = pytest.mark.slow

CHROMOSOMES = {"chr1": 300_000, "chr2": 120_000, "chr3": 200_000}
ROWS = {
    "GABPA": "made train in_distribution",
    "JUND": "made train in_distribution",
    "MAX": "made train in_distribution",
    "CTCF": "made ood cross_family",
    "FOSL1": "other ood within_family",
    "USF1": "other ood within_family",
}
# Peaks that are left of a file on a chromosome.
FEW = {("GABPA", "chr2"): 3, ("CTCF", "chr3"): 4, ("USF1", "chr3"): 12}
SETTINGS = {
    "run": "short",
    "experiments": "config/short.tsv",
    "replicates": [0],
    "genome": {"assembly": "made", "fasta": "made/genome.fa", "blacklist": False, "jaspar_group": "vertebrates"},
    "splits": {"validation_chromosomes": ["chr2"], "test_chromosomes": ["chr3"]},
    "protocols": {"sound": {"pooled": ["convnet"]}},
    "experts": {"convnet": {"training": {"optimizer": "adamw", "learning_rate": 0.003, "max_epochs": 1}}},
    "gates": {"softmax": {"training": {"optimizer": "adamw", "learning_rate": 0.003, "max_epochs": 1}}},
    "evaluation": {"negatives": ["dinucleotide_shuffle", "other_peaks"], "bootstrap": 100},
    "statistics": {"draws": 2},
    "background": {"windows": 300},
    "baselines": ["random"],
    "attribution": {
        "methods": ["gradient"],
        "motif_method": "gradient",
        "sanity_methods": [],
        "max_experiments": 1,
        "relabelled_experts": 0,
        "sequences": 4,
        "faithfulness_sequences": 1,
        "shift_curve": [0],
    },
}


@pytest.fixture
def short(project):
    """A study of made peaks of which some files hold too few, run to its report."""
    folder = project.folder / "made"
    make_study(StudySettings(CHROMOSOMES, DEMO_EXPERIMENTS, peaks=130, unknown_run=1_000), 1, folder)
    for name in ROWS:
        _cut(folder / f"{name}.narrowPeak.gz", {chrom: most for (who, chrom), most in FEW.items() if who == name})
    lines = [f"{name} {name} {row} peaks made/{name}.narrowPeak.gz -" for name, row in ROWS.items()]
    project.table("short", *lines)
    (project.folder / "config/short.yaml").write_text(yaml.safe_dump(SETTINGS))
    finished = project.run("--configfile", "config/short.yaml")
    assert finished.returncode == 0, finished.stdout[-6000:]
    return project.folder / "results/short"


def _cut(path: Path, most: dict[str, int]) -> None:
    peaks = pd.read_csv(path, sep="\t", header=None)
    kept = [part.head(most.get(str(chrom), len(part))) for chrom, part in peaks.groupby(0, sort=False)]
    path.write_bytes(gzip.compress(pd.concat(kept).to_csv(sep="\t", header=False, index=False).encode(), mtime=0))


def test_the_study_reaches_its_report_and_says_what_is_missing(short):
    # A test set with too few negatives is as large as they suffice for.
    smaller = read_dataset(short / "datasets/FOSL1/other_peaks/test.h5")
    whole = read_dataset(short / "datasets/FOSL1/dinucleotide_shuffle/test.h5")
    assert smaller.label.sum() == (smaller.label == 0).sum() == smaller.attributes["rows_found"] == 12
    assert smaller.attributes["rows_wanted"] == whole.label.sum() > 12
    # One with too few bound rows has no rows, and no other experiment lacks any.
    assert len(read_dataset(short / "datasets/CTCF/other_peaks/test.h5")) == 0
    # An expert without validation rows is left out, and no mixture holds it.
    assert len(read_dataset(short / "datasets/GABPA/dinucleotide_shuffle/train.h5")) == 0
    assert "3 bound and 3 unbound" in read_json(short / "experts/sound/convnet/GABPA/seed0/model.json")["left_out"]
    gate = read_json(short / "moe/sound/softmax/seed0/model.json")
    assert [expert["name"] for expert in gate["experts"]] == ["JUND", "MAX"]

    metrics = read_tsv(short / "evaluation/metrics.tsv")
    assert set(metrics.experiment) == set(ROWS) - {"CTCF"}
    assert "convnet.GABPA" not in set(metrics.model)
    assert len(metrics.groupby(["experiment", "negatives"])) == 10
    # No expert saw it, so it counts as unseen wherever that is asked.
    assert (
        set(metrics[metrics.experiment == "GABPA"].set) == set(metrics[metrics.experiment == "USF1"].set) == {"unseen"}
    )
    for path in ("attributions/summary.tsv", "figures/calibration.sound.tsv"):
        sets = read_tsv(short / path).groupby("experiment")["set"].unique()
        assert list(sets["GABPA"]) == ["unseen"], path
    similarity = read_tsv(short / "statistics/similarity.tsv").set_index("factor")
    assert set(similarity.nearest_factor.dropna()) <= {"JUND", "MAX"}
    assert similarity.loc["MAX", "nearest_stratum"] == "in_distribution" != similarity.loc["GABPA", "nearest_stratum"]

    warnings = read_tsv(short / "audit/warnings.tsv")
    said = warnings[warnings.what.isin(["left_out", "smaller"])].sort_values("dataset")
    assert said[["dataset", "what"]].to_numpy().tolist() == [
        ["CTCF/dinucleotide_shuffle/test", "left_out"],
        ["CTCF/other_peaks/test", "left_out"],
        ["FOSL1/other_peaks/test", "smaller"],
        ["GABPA/dinucleotide_shuffle/train", "left_out"],
        ["GABPA/dinucleotide_shuffle/validation", "left_out"],
    ]
    page = (short / "report/index.html").read_text()
    for sentence in said.sentence:
        assert sentence in page
    assert "convnet.GABPA (protocol sound, seed 0) was left out: it belongs to no mixture and has no results" in page
