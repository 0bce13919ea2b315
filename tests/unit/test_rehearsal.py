"""The rehearsal: a genome of hg19's shape and peak files like ENCODE's, whose numbers follow a rule."""

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pybedtools
import pytest
import yaml

from tfbs_moe.config import complete_config, read_experiments
from tfbs_moe.data.download.sources import parse_source, resource_path
from tfbs_moe.data.jaspar import matrix_by_id
from tfbs_moe.data.peaks import read_intervals, read_peaks
from tfbs_moe.data.simulation.planted_study import SITE_COLUMNS
from tfbs_moe.data.simulation.rehearsal import PeakFile, RehearsalSettings, _slots, make_rehearsal
from tfbs_moe.data.simulation.rehearsal_genome import (
    BASE,
    DOMAIN,
    LOWER,
    PLANTED,
    Sites,
    domain_levels,
    make_chromosome,
)
from tfbs_moe.errors import InputError
from tfbs_moe.genome.chromosomes import Shape, planned_sizes, read_shapes
from tfbs_moe.genome.genome import Genome
from tfbs_moe.sequence import UNKNOWN
from tfbs_moe.study_checks import make_study
from tfbs_moe.tables import read_tsv

ROOT = Path(__file__).resolve().parents[2]
TABLE_OF_THE_REHEARSAL = runpy.run_path(str(ROOT / "docs" / "make_rehearsal_table.py"))
COUNTED_BYTES, COUNTED_PEAKS = (TABLE_OF_THE_REHEARSAL[name] for name in ("COUNTED_BYTES", "COUNTED_PEAKS"))
SHAPE = ROOT / "resources" / "hg19_shape.tsv"
FILES = (
    PeakFile("JUND", "JUND", "K562", ("MA0491.3",), 300_000),
    PeakFile("MAX", "MAX", "K562", ("MA0058.4",), 150_000),
    PeakFile("POLR2A", "POLR2A", "K562", ("MA0079.5", "MA0062.4"), 100_000),
    PeakFile("CTCF", "CTCF", "HepG2", ("MA0139.2",), 200_000),
)
SETTINGS = RehearsalSettings(scale=0.005)
SEED = 3


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_rehearsal(FILES, SHAPE, SETTINGS, SEED, tmp_path_factory.mktemp("rehearsal"))


@pytest.fixture(scope="module")
def genome(made):
    return Genome.open(made.genome)


def summits(made, name):
    peaks, _ = read_peaks(made.peaks[name])
    return peaks.assign(place=peaks.chrom + ":" + (peaks.summit // 1000).astype(str))


def test_the_table_has_hg19_sizes_and_its_runs_of_n():
    shapes = {shape.name: shape for shape in read_shapes(SHAPE)}
    known = pybedtools.chromsizes("hg19")
    assert {name: shape.size for name, shape in shapes.items()} == {name: known[name][1] for name in shapes}
    assert list(shapes) == [f"chr{name}" for name in [*range(1, 23), "X", "Y", "M"]]
    # UCSC's sum over these chromosomes is 3,095,693,983 with 234,350,281 of N; short runs are left out here.
    assert sum(shape.size for shape in shapes.values()) == 3_095_693_983
    unknown = sum(end - start for shape in shapes.values() for start, end in shape.unknown)
    assert 0.9 < unknown / 234_350_281 < 1


def test_a_scaled_genome_has_scaled_chromosomes_and_n_where_the_table_says(genome):
    assert genome.sizes["chr1"] == round(249_250_621 * SETTINGS.scale)
    assert genome.sizes["chrM"] == 10_000
    for shape in read_shapes(SHAPE, SETTINGS.scale):
        expected = np.zeros(shape.size, dtype=bool)
        for start, end in shape.unknown:
            expected[start:end] = True
        assert ((genome.codes(shape.name) == UNKNOWN) == expected).all(), shape.name


def test_its_bases_have_what_a_real_genome_has():
    bases, _ = make_chromosome(Shape("chr1", 1_500_000, ((0, 5_000),)), 0.1, seed=0)
    codes = bases[5_000:] & BASE
    share = np.bincount(codes, minlength=4) / len(codes)
    assert abs(share[0] - share[3]) < 0.01 and abs(share[1] - share[2]) < 0.01
    assert 0.15 < ((codes[:-1] == 1) & (codes[1:] == 2)).mean() / (share[1] * share[2]) < 0.55
    windows = codes[: len(codes) // 30_000 * 30_000].reshape(-1, 30_000)
    assert np.isin(windows, (1, 2)).mean(axis=1).std() > 0.04
    assert 0.07 < (bases & LOWER > 0).mean() < 0.11


def test_the_plan_knows_the_chromosomes_of_the_made_genome(genome):
    config = {"genome": {"assembly": "planted"}, "synthetic": {"shape": SHAPE, "scale": SETTINGS.scale}}
    assert planned_sizes(config) == genome.sizes


def test_a_chromosome_hangs_on_its_name_and_the_seed_alone():
    shape = Shape("chr7", 100_000, ())
    first, _ = make_chromosome(shape, 0.05, 1)
    assert (first == make_chromosome(shape, 0.05, 1)[0]).all()
    for other in (make_chromosome(replace(shape, name="chr8"), 0.05, 1), make_chromosome(shape, 0.05, 2)):
        assert 0.1 < (first & BASE == other[0] & BASE).mean() < 0.4


def test_a_site_takes_no_place_of_another_nor_of_n():
    letters = np.tile(np.array([0, 1, 2, 3], dtype=np.uint8), (5, 1))
    sites = Sites(np.array([100, 103, 104, 18, 198]), np.array([4, 4, 4, 4, 4]), letters)
    bases, planted = make_chromosome(Shape("a", 200, ((0, 20),)), 0, 0, sites)
    assert planted.tolist() == [True, False, True, False, False]
    assert (bases[100:108] & BASE).tolist() == [0, 1, 2, 3] * 2
    assert np.flatnonzero(bases & PLANTED).tolist() == list(range(100, 108))


def test_numbers_of_peaks_are_those_asked_for_times_the_scale(made):
    for file in FILES:
        peaks, counts = read_peaks(made.peaks[file.experiment])
        assert counts.first == len(peaks) == round(file.peaks * SETTINGS.scale), file.experiment
        assert not (peaks.chrom == "chrM").any()


def test_peaks_are_of_encodes_shape(made, genome):
    table = pd.read_csv(made.peaks["JUND"], sep="\t", header=None)
    assert table.shape[1] == 10 and (table[3] == ".").all() and (table[5] == ".").all() and (table[7] == -1).all()
    width = table[2] - table[1]
    assert width.mode()[0] in range(200, 501) and 0.75 < (width == width.mode()[0]).mean() < 0.9 and width.std() > 20
    assert table[6].is_monotonic_decreasing and table[6].min() > 30
    assert table[4].min() == 200 and table[4].max() == 1000 and table[8].between(1.8, 3.2).all()
    assert (table[1] >= 0).all() and (table[2] <= table[0].map(genome.sizes)).all()
    # As many peaks per base on one chromosome as on another, about.
    assert 0.06 < table[0].isin(["chr1", "chr21"]).mean() < 0.14


def test_a_quarter_of_the_peaks_is_at_places_that_factors_of_the_cell_share(made):
    places = {file.experiment: set(summits(made, file.experiment).place) for file in FILES}
    # All of MAX's quarter lies in the pool, which is JUND's quarter.
    assert len(places["MAX"] & places["JUND"]) == pytest.approx(0.25 * len(places["MAX"]), abs=2)
    assert len(places["POLR2A"] & places["JUND"]) == pytest.approx(0.25 * len(places["POLR2A"]), abs=2)
    assert not places["CTCF"] & (places["JUND"] | places["MAX"] | places["POLR2A"])


def test_every_file_has_places_of_the_same_gc():
    """Whatever its row in the table; open chromatin is drawn for all of them at once."""
    shapes = [shape for shape in read_shapes(SHAPE, 0.05) if shape.peaks]
    slots = _slots(shapes, 12_000, SEED)
    levels = [domain_levels(shape, SEED) for shape in shapes]
    level = np.array([levels[chrom][middle // DOMAIN] for chrom, middle in slots.to_numpy()])
    thirds = np.array([part.mean() for part in np.array_split(level, 3)])
    assert np.abs(thirds - level.mean()).max() < 4 * level.std() / np.sqrt(len(level) / 3)


def test_the_larger_of_two_factors_finds_too_few_peaks_of_the_other(tmp_path):
    two = [replace(FILES[0], peaks=16_408), replace(FILES[1], peaks=13_035)]
    made = make_rehearsal(two, SHAPE, replace(SETTINGS, peak_scale=0.1), SEED, tmp_path)
    large, small = summits(made, "JUND"), summits(made, "MAX")
    assert (len(large), len(small)) == (1641, 1304)
    assert len(set(small.place) - set(large.place)) < len(large)


def test_sites_are_where_the_table_says(made, genome):
    sites = read_tsv(made.sites, SITE_COLUMNS)
    share = sites.groupby("experiment").size() / pd.Series({f.experiment: f.peaks * SETTINGS.scale for f in FILES})
    assert share["CTCF"] == pytest.approx(0.7, abs=0.05)
    assert 0.6 < share["MAX"] < 0.72
    used = sites.groupby("experiment").matrix_id.unique().map(sorted)
    assert used["POLR2A"] == ["MA0062.4", "MA0079.5"] and used["CTCF"] == ["MA0139.2"]
    complement = str.maketrans("ACGT", "TGCA")
    for site in sites.itertuples():
        there = "".join("ACGTN"[code] for code in genome.codes(site.chrom)[site.start : site.end])
        assert site.sequence == (there if site.strand == "+" else there.translate(complement)[::-1])
    peaks = {name: summits(made, name) for name in made.peaks}
    for name, mine in sites.groupby("experiment"):
        where = peaks[name].chrom + ":" + peaks[name].start.astype(str) + "-" + peaks[name].end.astype(str)
        assert set(mine.peak) <= set(where)
    ctcf = sites[sites.experiment == "CTCF"].sequence
    seen = np.stack([(np.array([list(site) for site in ctcf]) == base).mean(axis=0) for base in "ACGT"])
    assert np.abs(seen - matrix_by_id("MA0139.2").probabilities).max() < 0.07


def test_the_blacklist_lies_beside_n_and_elsewhere(made, genome):
    listed = read_intervals(made.blacklist)
    assert (listed.end <= listed.chrom.map(genome.sizes)).all() and (listed.start < listed.end).all()
    covered = np.zeros(genome.sizes["chr1"], dtype=bool)
    for row in listed[listed.chrom == "chr1"].itertuples():
        covered[row.start : row.end] = True
    assert covered[genome.codes("chr1") == UNKNOWN].all()
    assert 0.02 < covered[genome.codes("chr1") != UNKNOWN].mean() < 0.2


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(made, tmp_path):
    again = make_rehearsal(FILES, SHAPE, SETTINGS, SEED, tmp_path / "again")
    other = make_rehearsal(FILES, SHAPE, SETTINGS, SEED + 1, tmp_path / "other")
    for parts in zip(*([r.genome, r.blacklist, r.sites, *r.peaks.values()] for r in (made, again, other)), strict=True):
        one, two, three = (path.read_bytes() for path in parts)
        assert one == two != three


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": 0.0001}, r"places of peaks do not fit .* raise synthetic.scale or lower synthetic.peak_scale"),
        ({"site_offset": 395}, "does not fit with a site_offset of 395"),
    ],
)
def test_settings_that_make_no_rehearsal_are_refused(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        make_rehearsal(FILES, SHAPE, replace(SETTINGS, peak_scale=1.0, **change), SEED, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "names no chromosome"),
        ("chr1\t1000\tyes\t10-2000\n", "chr1: '10-2000' is not a run of N"),
        ("chr1\t1000\tyes\tsome\n", "chr1: 'some' is not a run of N"),
        ("chr1\t1000\tmaybe\t\n", "chr1: size '1000', peaks 'maybe'; a number of bases was expected, and yes"),
        ("chr1\t1e6\tyes\t\n", "chr1: size '1e6', peaks 'yes'; a number of bases"),
    ],
)
def test_a_wrong_table_of_chromosomes_is_refused(tmp_path, rows, message):
    path = tmp_path / "shape.tsv"
    path.write_text("chrom\tsize\tpeaks\tunknown\n" + rows)
    with pytest.raises(InputError, match=message):
        read_shapes(path)


def test_a_missing_table_of_chromosomes_and_a_missing_column_are_told(tmp_path):
    with pytest.raises(InputError, match="shape.tsv: the table of chromosomes cannot be read"):
        read_shapes(tmp_path / "shape.tsv")
    (tmp_path / "shape.tsv").write_text("chrom\tsize\nchr1\t1000\n")
    with pytest.raises(InputError, match=r"lacks the column\(s\) peaks, unknown; chrom, size, peaks, unknown"):
        read_shapes(tmp_path / "shape.tsv")


def test_the_experiments_table_is_in_step_with_that_of_the_full_study():
    assert (ROOT / "config/rehearsal.tsv").read_text() == TABLE_OF_THE_REHEARSAL["rehearsal_table"](ROOT), (
        "run `make docs`"
    )
    full = read_experiments(ROOT / "config/config.tsv")
    rehearsed = read_experiments(ROOT / "config/rehearsal.tsv")
    assert [{**row, "source": "", "checksum": ""} for row in full] == [{**row, "source": ""} for row in rehearsed]
    peaks = {row["name"]: parse_source(row["source"]).peaks for row in rehearsed}
    # 340 KB and 428 KB; the one is what ends up short of negatives.
    assert (peaks["STAT3"], peaks["TCF7L2"], peaks["MAX"]) == (13_347, 16_801, 44_217)


def test_peaks_of_a_size_are_those_of_a_real_file(shared_data):
    assert TABLE_OF_THE_REHEARSAL["peaks_of_size"]("168 KB") == pytest.approx(COUNTED_PEAKS, rel=0.01)
    url = next(
        row.url for row in read_tsv(ROOT / "resources/peaks_hg19_uniform.tsv").itertuples() if "A549Atf3" in row.url
    )
    file = resource_path(url, shared_data / "mirror")
    assert (read_peaks(file)[1].first, file.stat().st_size) == (COUNTED_PEAKS, COUNTED_BYTES)


def merged(*names):
    """Merge config files as Snakemake does."""

    def update(one, two):
        for key, value in two.items():
            one[key] = update(one.get(key, {}), value) if isinstance(value, dict) else value
        return one

    config = {}
    for name in names:
        update(config, yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()))
    return complete_config(config)


def test_the_rehearsal_is_the_full_study_but_for_its_data(monkeypatch):
    monkeypatch.chdir(ROOT)
    full, rehearsed = merged("config"), merged("config", "rehearsal")
    studies = [make_study(config, read_experiments(config["experiments"])) for config in (full, rehearsed)]
    assert studies[0].test_sets == studies[1].test_sets and studies[0].omitted == studies[1].omitted
    differing = {key for key in full if full[key] != rehearsed[key]}
    assert differing == {"run", "title", "experiments", "genome", "synthetic"}
    assert rehearsed["genome"] == full["genome"] | {"assembly": "planted"}


def test_the_rehearsal_of_the_convnet_trains_it_alone():
    rehearsed, alone = merged("config", "rehearsal"), merged("config", "rehearsal", "rehearsal_convnet")
    assert list(alone["protocols"]) == ["paper"]
    protocol = alone["protocols"]["paper"]
    assert protocol == rehearsed["protocols"]["paper"] | {"pooled": ["convnet", "kmer"]}
    assert (protocol["architectures"], protocol["gates"]) == (["convnet"], ["softmax"])
    assert alone["evaluation"] == rehearsed["evaluation"] and alone["experiments"] == rehearsed["experiments"]
