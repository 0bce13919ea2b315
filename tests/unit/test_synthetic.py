"""The made study: its files are real formats and its truth is true."""

import gzip

import numpy as np
import pandas as pd
import pytest
from pyfaidx import Fasta

from tfbs_moe.data.jaspar import matrix_by_id
from tfbs_moe.data.simulation.planted_genome import make_genome, write_fasta
from tfbs_moe.data.simulation.planted_study import (
    DEMO_EXPERIMENTS,
    NARROW_PEAK_COLUMNS,
    SITE_COLUMNS,
    SimulatedExperiment,
    StudySettings,
    make_study,
)
from tfbs_moe.errors import InputError
from tfbs_moe.tables import read_tsv

SMALL = StudySettings(
    chromosomes={"chr1": 120_000, "chr2": 80_011},
    experiments=DEMO_EXPERIMENTS[:2] + DEMO_EXPERIMENTS[-1:],
    peaks=60,
    unknown_run=2_000,
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_study(SMALL, 7, tmp_path_factory.mktemp("made"))


def peaks_of(study, experiment):
    return pd.read_csv(study.peaks[experiment], sep="\t", header=None, names=list(NARROW_PEAK_COLUMNS))


def test_sites_are_where_the_table_says(study):
    genome = Fasta(str(study.genome), sequence_always_upper=True, rebuild=False)
    sites = read_tsv(study.sites, SITE_COLUMNS)
    assert sites.groupby("experiment").size().to_dict() == {"JUND": 54, "MAX": 54, "CTCF": 54}
    for site in sites.itertuples():
        there = genome[site.chrom][site.start : site.end]
        assert (there if site.strand == "+" else there.reverse.complement).seq == site.sequence
    assert set(sites.strand) == {"+", "-"}
    assert (sites.end - sites.start == sites.sequence.str.len()).all()


def test_sites_are_near_the_summit_of_their_own_peak(study):
    sites = read_tsv(study.sites)
    for experiment, mine in sites.groupby("experiment"):
        peaks = peaks_of(study, experiment).set_index("name")
        assert len(peaks) == 60 and peaks.index.is_unique
        own = peaks.loc[mine.peak]
        summit = own.start + own.summit
        middle = (mine.start + (mine.end - mine.start) // 2).to_numpy()
        assert (own.chrom.to_numpy() == mine.chrom.to_numpy()).all()
        assert (np.abs(middle - summit) <= SMALL.site_offset).all()


def test_peaks_are_narrow_peaks_apart_from_each_other(study):
    every = pd.concat([peaks_of(study, made.experiment) for made in SMALL.experiments])
    lengths = pd.Series(SMALL.chromosomes)
    assert (
        (every.start >= 0) & (every.end <= every.chrom.map(lengths)) & (every.summit < every.end - every.start)
    ).all()
    assert every.score.between(1, 1000).all() and (every.strand == ".").all()
    assert ((every.q >= 0) & (every.q <= every.p)).all()
    for _, on_one in every.sort_values("start").groupby("chrom"):
        assert (on_one.start.to_numpy()[1:] >= on_one.end.to_numpy()[:-1]).all()
    genome = Fasta(str(study.genome))
    assert not any("N" in genome[peak.chrom][peak.start : peak.end].seq for peak in every.itertuples())
    ranks = [int(name.rsplit("_", 1)[1]) for name in peaks_of(study, "MAX").name]
    assert ranks == list(range(1, 61))


def test_stronger_sites_make_stronger_peaks(tmp_path):
    settings = StudySettings(chromosomes={"chr1": 600_000}, experiments=DEMO_EXPERIMENTS[-1:], peaks=1000)
    study = make_study(settings, 0, tmp_path)
    peaks = peaks_of(study, "CTCF").merge(read_tsv(study.sites), left_on="name", right_on="peak", how="left")
    assert peaks.signal.corr(peaks.score_y, method="spearman") > 0.5
    assert peaks.signal[peaks.score_y.isna()].median() < peaks.signal[peaks.score_y.notna()].median()
    assert peaks.score_y.isna().sum() == 100


def test_sites_follow_the_matrix(tmp_path):
    settings = StudySettings(chromosomes={"chr1": 1_200_000}, experiments=DEMO_EXPERIMENTS[2:3], peaks=2000)
    sites = read_tsv(make_study(settings, 0, tmp_path).sites).sequence
    letters = np.array([list(site) for site in sites])
    seen = np.stack([(letters == base).mean(axis=0) for base in "ACGT"])
    assert np.abs(seen - matrix_by_id("MA0062.4").probabilities).max() < 0.05


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(study, tmp_path):
    again, other = make_study(SMALL, 7, tmp_path / "again"), make_study(SMALL, 8, tmp_path / "other")
    for one, two, three in zip(
        [study.genome, study.sites, *study.peaks.values()],
        [again.genome, again.sites, *again.peaks.values()],
        [other.genome, other.sites, *other.peaks.values()],
        strict=True,
    ):
        assert one.read_bytes() == two.read_bytes() != three.read_bytes()
    assert gzip.decompress(study.peaks["MAX"].read_bytes()).startswith(b"chr")


def test_one_more_experiment_moves_no_peak_of_the_others(study, tmp_path):
    longer = StudySettings(**vars(SMALL) | {"experiments": (*SMALL.experiments, DEMO_EXPERIMENTS[2])})
    more = make_study(longer, 7, tmp_path)
    for made in SMALL.experiments:
        before, after = peaks_of(study, made.experiment), peaks_of(more, made.experiment)
        assert (before == after).all().all()


def test_the_genome_has_what_a_real_one_has(tmp_path):
    codes, lower = make_genome({"chr1": 1_000_000}, 5_000, 0.1, seed=0)
    chromosome = codes["chr1"]
    assert (chromosome == 4).sum() == 10_000 and (chromosome[:5_000] == 4).all()
    share = np.bincount(chromosome, minlength=5)[:4] / 990_000
    assert abs(share[0] - share[3]) < 0.01 and abs(share[1] - share[2]) < 0.01  # strands read alike
    cpg = ((chromosome[:-1] == 1) & (chromosome[1:] == 2)).mean() / (share[1] * share[2])
    assert 0.15 < cpg < 0.55
    windows = chromosome[: 990_000 // 30_000 * 30_000].reshape(-1, 30_000)
    gc = np.isin(windows, (1, 2)).sum(axis=1) / np.maximum((windows < 4).sum(axis=1), 1)
    assert gc[1:].std() > 0.04  # domains
    assert 0.07 < lower["chr1"].mean() < 0.11


def test_fasta_index_fits_the_file(tmp_path):
    codes, lower = make_genome({"a": 90_060, "b": 90_001}, 100, 0.05, seed=1)
    write_fasta(codes, lower, tmp_path / "g.fa")
    written = (tmp_path / "g.fa.fai").read_text()
    (tmp_path / "g.fa.fai").unlink()
    genome = Fasta(str(tmp_path / "g.fa"))
    assert (tmp_path / "g.fa.fai").read_text() == written
    assert len(genome["b"]) == 90_001 and genome["b"][89_990:90_001].seq.upper() == "".join(
        "ACGTN"[code] for code in codes["b"][89_990:]
    )
    assert {letter.islower() for letter in genome["a"][:].seq} == {True, False}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"experiments": ()}, "it has none"),
        ({"experiments": DEMO_EXPERIMENTS[:1] * 2}, "different names"),
        ({"chromosomes": {"chr1": 1000}}, "at least 8000 bases"),
        ({"peaks": 0}, "peaks must be 1 or more"),
        ({"noise_fraction": 1.0}, "less than 1"),
        ({"peaks": 1000}, r"3000 peaks \(3 experiments of 1000\) do not fit .* \d+ free slots"),
        ({"site_offset": 195}, "does not fit with a site_offset of 195"),
        ({"experiments": (SimulatedExperiment("x", "x", "MA9999.9"),)}, "no matrix 'MA9999.9'"),
    ],
)
def test_settings_that_make_no_study_are_refused(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        make_study(StudySettings(**vars(SMALL) | change), 0, tmp_path)
    assert list(tmp_path.iterdir()) == []
