"""The demo's mixture put to work by the command line: its own rows, chromosomes, variants in planted sites."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import betabinom

from tfbs_moe.cli.main import main
from tfbs_moe.genome.genome import Genome
from tfbs_moe.models import bundle

pytestmark = pytest.mark.slow
OTHER = {"A": "C", "C": "A", "G": "T", "T": "G"}
# Far enough from a site that no window around the one place has the other in its middle, and both hold the site.
ASIDE = 30


@pytest.fixture(scope="module")
def run_folder(finished_demo):
    return finished_demo.folder / "results" / "demo"


@pytest.fixture(scope="module")
def mixture(run_folder):
    return run_folder / "moe" / "sound" / "softmax" / "seed0"


def tfbs_moe(*arguments: object) -> None:
    assert main([*map(str, arguments), "--quiet"]) == 0


def test_predictions_are_the_studys_own(run_folder, mixture, tmp_path):
    for experiment in ("JUND", "CTCF"):
        dataset = run_folder / "datasets" / experiment / "dinucleotide_shuffle" / "test.h5"
        tfbs_moe("predict", mixture, dataset, "-o", tmp_path / "o.parquet")
        ours = pd.read_parquet(tmp_path / "o.parquet")
        study = pd.read_parquet(run_folder / "predictions" / "sound" / experiment / "dinucleotide_shuffle.parquet")
        study = study[study["model"] == "moe.softmax"].reset_index(drop=True)
        for column in ("logit", "probability", "weight_JUND", "weight_MAX", "weight_GABPA", "ood_p"):
            assert np.abs(ours[column] - study[column]).max() <= 1e-6, column


def test_bound_places_score_higher_than_the_genome_around_them(run_folder, mixture, tmp_path):
    synthetic = run_folder / "synthetic"
    tfbs_moe("predict", mixture, synthetic / "genome.fa", "-o", tmp_path / "genome.parquet")
    peaks = synthetic / "JUND.narrowPeak.gz"
    tfbs_moe("predict", mixture, peaks, "--genome", synthetic / "genome.fa", "-o", tmp_path / "peaks.parquet")
    everywhere, bound = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("genome", "peaks"))
    assert len(everywhere) > 100_000
    assert (bound["logit"].median() > everywhere["logit"].quantile([0.75])).all()


def test_an_allele_that_breaks_a_planted_motif_loses_score_and_one_outside_does_not(run_folder, mixture, tmp_path):
    genome = Genome.open(run_folder / "synthetic" / "genome.fa")
    sites = pd.read_csv(run_folder / "synthetic" / "sites.tsv", sep="\t")
    # On the chromosome that no network saw.
    sites = sites[(sites["experiment"] == "JUND") & (sites["chrom"] == "chr3")].head(150)
    rows = []
    for site in sites.itertuples():
        for where, place in (("inside", (site.start + site.end) // 2), ("outside", site.end + ASIDE)):
            reference = "ACGTN"[genome.codes(site.chrom)[place]]
            if reference in OTHER:
                rows.append(f"{site.chrom}\t{place + 1}\t{where}\t{reference}\t{OTHER[reference]}\t.\t.\t.")
    header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (tmp_path / "v.vcf").write_text(header + "\n".join(rows) + "\n")
    genome_file = run_folder / "synthetic" / "genome.fa"
    tfbs_moe("variants", mixture, tmp_path / "v.vcf", "--genome", genome_file, "-o", tmp_path / "v.tsv")
    scored = pd.read_csv(tmp_path / "v.tsv", sep="\t")
    assert len(scored) == len(rows) and (scored["status"] == "scored").all()
    inside, outside = (scored.loc[scored["id"] == where, "delta"] for where in ("inside", "outside"))
    # Nine in ten; the last digits of a training, and with them a few alleles, depend on the processor.
    assert (inside < 0).mean() > 0.85 and inside.mean() < -1
    assert abs(outside.mean()) < 0.1 and abs(outside.median()) < 0.1


def test_calibration_is_said_and_judged(run_folder, mixture):
    calibration = json.loads((mixture / "calibration.json").read_text())
    assert calibration["mixture_sha256"] == bundle.describe(mixture)["weights"]["sha256"]
    (fitted,) = calibration["calibrations"]
    assert fitted["negatives"] == "dinucleotide_shuffle"
    # It is fitted to these rows, so it cannot be worse on them.
    assert fitted["after"]["log_loss"] <= fitted["before"]["log_loss"]
    trust = pd.read_csv(run_folder / "evaluation" / "calibration.tsv", sep="\t")
    known = trust[trust["set"] == "in_distribution"]
    # p-values of rows of the same law are uniform. Given the n distances that are kept apart (a third of each class of
    # validation rows), the share beyond their 95 % quantile is Beta(.05 (n + 1), .95 (n + 1)), so the number among m
    # test rows is beta-binomial. A positive and its shuffle resemble each other, so pairs count as one, in n and in m.
    # The law is that of all classes together: one class alone may lie farther out than another.
    sets = pd.read_csv(run_folder / "datasets" / "summary.tsv", sep="\t").query("split == 'validation'")
    classes = [*sets["positives"], (sets["rows"] - sets["positives"]).sum()]
    kept_apart, tested = sum(size // 3 for size in classes) // 2, known["n"].sum() // 2
    law = betabinom(tested, 0.05 * (kept_apart + 1), 0.95 * (kept_apart + 1))
    share = np.average(known[["ood_bound", "ood_unbound"]].mean(axis=1), weights=known["n"])
    assert law.ppf(0.0005) <= share * tested <= law.ppf(0.9995)
    assert (trust["log_loss_calibrated"].notna() & trust["ood_p_bound"].between(0, 1)).all()


def test_the_model_says_what_it_is(mixture, capsys):
    assert main(["info", str(mixture)]) == 0
    said = capsys.readouterr().out
    for part in ("Mixture of 3 experts", "JUND", "dinucleotide_shuffle", "Clinical decisions"):
        assert part in said
