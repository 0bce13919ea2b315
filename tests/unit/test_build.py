"""From a peak file to a split of a dataset."""

import re

import numpy as np
import pandas as pd
import pytest

from peak_files import make_genome, narrow_peak, random_codes, write_lines
from tfbs_moe.data.build import PeakSettings, build_peaks, build_split, cut_peaks
from tfbs_moe.data.dataset import in_or_out_together, left_out, left_out_dataset, read_dataset, write_dataset
from tfbs_moe.data.negatives.candidates import NegativeSettings
from tfbs_moe.data.negatives.negatives import PROVIDERS
from tfbs_moe.data.splits import SPLITS, ChromosomeSplit
from tfbs_moe.errors import InputError
from tfbs_moe.genome.genome import Genome, prepare_genome
from tfbs_moe.sequence import codes_from_one_hot

SPLIT = ChromosomeSplit(validation=("chr2",), test=("chr3",))


@pytest.fixture
def genome(tmp_path):
    return make_genome(tmp_path, {f"chr{i}": random_codes(40_000, i) for i in (1, 2, 3)})


@pytest.fixture
def files(tmp_path):
    def rows(first):
        places = [(f"chr{i}", at) for i in (1, 2, 3) for at in range(first, 39_000, 1000)]
        return [narrow_peak(chrom, at - 60, at + 80, 60, signal=at % 977) for chrom, at in places]

    return {
        "peaks": write_lines(tmp_path / "a.narrowPeak", rows(1000)),
        "others": write_lines(tmp_path / "b.narrowPeak", [*rows(1400), *rows(1550)]),
        "blacklist": write_lines(tmp_path / "list.bed", ["chr1\t0\t1500\tx", "chr9\t5\t10\ty"]),
    }


def build(files, genome, split="train", kind="dinucleotide_shuffle", **settings):
    given = {"other_peaks": [files["others"]], "blacklist": files["blacklist"], "seed": 3, "name": "e"} | settings
    return build_peaks(files["peaks"], split, kind, genome, SPLIT, **given)


def test_what_is_cut_once_gives_every_dataset_that_it_gives_alone(files, genome, tmp_path):
    cut = cut_peaks(files["peaks"], genome, blacklist=files["blacklist"])
    for kind in PROVIDERS:
        for split in SPLITS:
            together = build_split(cut, split, kind, SPLIT, other_peaks=[files["others"]], seed=3, name="e")
            alone = build(files, genome, split, kind)
            pd.testing.assert_frame_equal(together[1], alone[1])
            for name, (dataset, _) in {"together.h5": together, "alone.h5": alone}.items():
                write_dataset(dataset, tmp_path / name)
            assert (tmp_path / "together.h5").read_bytes() == (tmp_path / "alone.h5").read_bytes()


@pytest.mark.parametrize("kind", [*PROVIDERS, {"gc_matched": 0.5, "other_peaks": 0.5}])
@pytest.mark.parametrize("split", SPLITS)
def test_every_kind_and_split(files, genome, split, kind):
    dataset, counts = build(files, genome, split, kind)
    chrom = {"train": "chr1", "validation": "chr2", "test": "chr3"}[split]
    positives = 37 if split == "train" else 38
    assert dataset.label.tolist() == [1] * positives + [0] * positives
    assert set(dataset.chrom) <= {chrom, ""}
    assert set(dataset.chrom[:positives]) == {chrom}
    placed = dataset.chrom != ""
    codes = codes_from_one_hot(dataset.one_hot)
    np.testing.assert_array_equal(codes[placed], genome.windows(dataset.chrom[placed], dataset.start[placed], 101))
    assert (counts.rows_in.iloc[1:].to_numpy() == counts.rows_out.iloc[:-1].to_numpy()).all()
    assert counts.rows_in.iloc[0] == 114
    assert counts.rows_out.iloc[-1] == len(dataset)
    assert dataset.attributes["split"] == split
    assert dataset.attributes["negatives"] == ("gc_matched:0.5+other_peaks:0.5" if isinstance(kind, dict) else kind)


@pytest.mark.parametrize("kind", PROVIDERS)
def test_a_split_reads_no_more_of_other_chromosomes_than_the_windows_of_peaks(tmp_path, kind):
    """What is damaged tells what is read: each block of 4,096 bases is held against its checksum."""
    codes = {f"chr{i}": random_codes(400_000, i) for i in (1, 2, 3)}
    prepare_genome(make_genome(tmp_path, codes).path, tmp_path / "whole.h5")
    places = [(f"chr{i}", at) for i in (1, 2, 3) for at in range(2000, 60_000, 1000)]
    rows = [narrow_peak(chrom, at - 60, at + 80, 60, signal=at % 977) for chrom, at in places]
    shifted = [narrow_peak(chrom, at + 340, at + 480, 60) for chrom, at in places]
    files = {
        "peaks": write_lines(tmp_path / "a.narrowPeak", rows),
        "others": write_lines(tmp_path / "b.narrowPeak", shifted),
        "blacklist": None,
    }
    damaged = bytearray((tmp_path / "whole.h5").read_bytes())
    for chrom in ("chr1", "chr2"):
        begin = damaged.index(codes[chrom].tobytes())
        for at in range(70_000, 400_000, 1000):
            damaged[begin + at] ^= 1
    (tmp_path / "damaged.h5").write_bytes(damaged)
    whole, genome = (Genome.open(tmp_path / name) for name in ("whole.h5", "damaged.h5"))
    expected, counts = build(files, whole, "test", kind)
    found, its_counts = build(files, genome, "test", kind)
    np.testing.assert_array_equal(found.one_hot, expected.one_hot)
    pd.testing.assert_frame_equal(its_counts, counts)
    if kind == "gc_matched":
        with pytest.raises(InputError, match=r"damaged.h5 is damaged: chr1 does not have the checksum"):
            build(files, genome, "train", kind)


@pytest.mark.parametrize("kind", ["flanks", "other_peaks"])
def test_peaks_and_blacklist_named_the_other_way_give_the_same_rows(files, genome, tmp_path, kind):
    (tmp_path / "ensembl").mkdir()
    bare = make_genome(tmp_path / "ensembl", {str(i): random_codes(40_000, i) for i in (1, 2, 3)})
    named = ChromosomeSplit(validation=("2",), test=("3",))
    given = {"other_peaks": [files["others"]], "blacklist": files["blacklist"], "seed": 3, "name": "e"}
    with pytest.raises(InputError, match="114 of 114 peaks lie on chromosomes that .* genome.names"):
        build_peaks(files["peaks"], "train", kind, bare, named, **given)
    translated, counts = build_peaks(files["peaks"], "train", kind, bare, named, translate_names=True, **given)
    usual, _ = build(files, genome, kind=kind)
    np.testing.assert_array_equal(translated.one_hot, usual.one_hot)
    np.testing.assert_array_equal(translated.start, usual.start)
    assert set(translated.chrom) == {"1"}
    assert "peaks, chromosomes named as in the genome (chr1 → 1): 114 rows" in counts.reason.tolist()


def test_pairs_and_sources(files, genome):
    dataset, _ = build(files, genome, kind="flanks")
    assert dataset.pair.tolist() == [*range(37), *range(37)]
    assert dataset.source[0] == "chr1:1940-2080"
    assert dataset.source[37] == "flanks:chr1:1940-2080"
    unpaired, _ = build(files, genome, kind="other_peaks")
    assert set(unpaired.pair) == {-1}
    mixed, _ = build(files, genome, kind={"flanks": 0.5, "other_peaks": 0.5})
    assert mixed.pair[:37].tolist() == list(range(37))
    assert (mixed.pair[37:] == -1).sum() == 19


def test_positives_do_not_depend_on_the_negatives_nor_on_the_form_of_the_genome(files, genome, tmp_path):
    prepare_genome(genome.path, tmp_path / "genome.h5")
    one, _ = build(files, genome, kind="gc_matched")
    other, _ = build(files, type(genome).open(tmp_path / "genome.h5"), kind="gc_matched")
    shuffled, _ = build(files, genome)
    for name in ("one_hot", "label", "pair", "chrom", "start", "source"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.one_hot[:37], shuffled.one_hot[:37])


def test_what_is_built_can_be_written_and_read(files, genome, tmp_path):
    dataset, _ = build(files, genome, kind={"flanks": 0.5, "block_shuffle": 0.5}, attributes={"factor": "CTCF"})
    write_dataset(dataset, tmp_path / "a.h5")
    again = read_dataset(tmp_path / "a.h5")
    assert again.attributes == dataset.attributes
    assert again.attributes["factor"] == "CTCF"
    np.testing.assert_array_equal(again.pair, dataset.pair)
    write_dataset(
        build(files, genome, kind={"flanks": 0.5, "block_shuffle": 0.5}, attributes={"factor": "CTCF"})[0],
        tmp_path / "b.h5",
    )
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_negatives_avoid_peaks_that_were_not_chosen(files, genome):
    dataset, _ = build(files, genome, kind="gc_matched", peak_settings=PeakSettings(top=20))
    peaks = pd.read_csv(files["peaks"], sep="\t", header=None)
    peaks = peaks[peaks[0] == "chr1"]
    for start in dataset.start[dataset.label == 0]:
        assert not ((peaks[1] < start + 101) & (peaks[2] > start)).any()
        assert start >= 1500


def test_settings_reach_their_place(files, genome):
    dataset, counts = build(files, genome, peak_settings=PeakSettings(length=64, top=30), ratio=2)
    assert dataset.length == 64
    assert len(dataset) == 3 * int(dataset.label.sum())
    assert "weaker than the strongest 30" in set(counts.reason)


def test_a_set_keeps_as_many_bound_rows_as_it_has_partners_for(files, genome, tmp_path):
    few = write_lines(
        tmp_path / "few.narrowPeak", [narrow_peak("chr1", at, at + 140, 60) for at in range(1340, 22_340, 1000)]
    )
    for kind in ("other_peaks", {"other_peaks": 0.6, "flanks": 0.4}):
        dataset, counts = build(files, genome, kind=kind, other_peaks=[few])
        table = counts[counts.step == "partners"]
        bound, unbound = int(dataset.label.sum()), int((dataset.label == 0).sum())
        assert bound == unbound == int(dataset.attributes["rows_found"]) < 37
        assert dataset.attributes["rows_wanted"] == 37
        assert re.match(
            r"\d+ negatives of kind other_peaks were found of \d+ wanted. Give more", dataset.attributes["smaller"]
        )
        assert (table.rows_in - table.rows_out).tolist() == [37 - bound]
        assert counts.rows_out.iloc[-1] == len(dataset)
        assert (counts.rows_in.iloc[1:].to_numpy() == counts.rows_out.iloc[:-1].to_numpy()).all()
    assert build(files, genome)[0].attributes.keys().isdisjoint({"smaller", "left_out"})


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"kind": "other_peaks", "negative_settings": NegativeSettings(minimum_rows=38)},
            "37 bound and 37 unbound rows are left for train, and at least 38 of each are needed",
        ),
        (
            {"kind": "gc_matched", "blacklist": None, "free": 0},
            "0 bound and 0 unbound rows are left for train, .* 0 negatives of kind gc_matched were found of 38 wanted",
        ),
        (
            {"peak_settings": PeakSettings(length=90_000)},
            "no positive for train: no row is left. Rows were lost to: 38 reaches over",
        ),
        ({"peak_settings": PeakSettings(max_q=0.1)}, "peaks with q up to 0.1 were requested, but the file has no q"),
    ],
    ids=["below the minimum", "no free place", "no positive", "no q-values"],
)
def test_a_set_that_cannot_be_made_has_no_rows_and_says_why(files, genome, tmp_path, settings, reason):
    if settings.pop("free", None) == 0:
        with open(files["peaks"], "a", encoding="utf-8") as handle:
            handle.writelines(narrow_peak(f"chr{i}", 0, 40_000, 500, signal=0) + "\n" for i in (1, 2, 3))
    if "max_q" in str(settings):
        files["peaks"] = write_lines(
            tmp_path / "plain.bed", [f"chr1\t{at}\t{at + 200}" for at in range(1000, 39_000, 1000)]
        )
    dataset, counts = build(files, genome, **settings)
    assert re.search(reason, dataset.attributes["left_out"])
    assert dataset.one_hot.shape == (0, 4, settings.get("peak_settings", PeakSettings()).length)
    assert dataset.attributes["split"] == "train"
    assert counts.rows_out.iloc[-1] == 0
    assert (counts.rows_in.iloc[1:].to_numpy() == counts.rows_out.iloc[:-1].to_numpy()).all()
    write_dataset(dataset, tmp_path / "none.h5")
    again = read_dataset(tmp_path / "none.h5")
    assert left_out(again) == left_out(dataset) != ""
    assert again.one_hot.shape == dataset.one_hot.shape


def test_what_learns_together_is_left_out_together(files, genome):
    train, validation = (build(files, genome, split)[0] for split in ("train", "validation"))
    assert in_or_out_together([train, validation]) == [train, validation]
    gone = left_out_dataset(101, "too few", validation.attributes)
    both = in_or_out_together([train, gone])
    assert [len(one) for one in both] == [0, 0]
    assert [left_out(one) for one in both] == ["too few", "too few"]
    assert both[0].attributes["split"] == "train"


def test_other_factors_peaks_are_looked_up_where_the_split_lies(files, genome, tmp_path):
    elsewhere = [narrow_peak("chr2", 50_000 + at, 50_140 + at, 60) for at in (0, 1000)]
    odd = write_lines(tmp_path / "c.narrowPeak", [*files["others"].read_text().splitlines(), *elsewhere])
    alike = [
        build(files, genome, "test", "other_peaks", other_peaks=[path])[0].start for path in (odd, files["others"])
    ]
    assert SPLIT.test == ("chr3",)
    assert alike[0].tolist() == alike[1].tolist()
    with pytest.raises(InputError, match=r"c.narrowPeak: 2 of \d+ summits lie beyond the end"):
        build(files, genome, "validation", "other_peaks", other_peaks=[odd])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "gc"}, "unknown kind 'gc'"),
        ({"kind": "other_peaks", "other_peaks": []}, "a.narrowPeak: negatives: other_peaks needs"),
        ({"peak_settings": PeakSettings(length=0)}, "windows of 0 bases"),
        ({"assembly": "hg19", "blacklist": "absent.bed"}, "absent.bed: there is no such file"),
    ],
)
def test_what_cannot_be_built_is_one_message(files, genome, settings, message):
    with pytest.raises(InputError, match=message):
        build(files, genome, **settings)
