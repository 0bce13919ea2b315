"""Real peaks on real sequence: what must hold of data that nobody made for a test."""

import gzip
import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tfbs_moe.data.assembly_check import check_assembly
from tfbs_moe.data.build import PeakSettings, build_peaks
from tfbs_moe.data.dataset import Dataset
from tfbs_moe.data.negatives.candidates import NegativeSettings
from tfbs_moe.data.negatives.genomic import gc_count
from tfbs_moe.data.peaks import read_intervals, read_peaks
from tfbs_moe.data.splits import ChromosomeSplit
from tfbs_moe.errors import InputError
from tfbs_moe.genome.genome import Genome, prepare_genome
from tfbs_moe.sequence import codes_from_one_hot, decode, reverse_complement

# The well conserved middle of CTCF's motif (JASPAR MA0139), as letters.
CTCF_CORE = re.compile("CCA[CG][CT]AG[AG][GT]GGC")
SPLIT = ChromosomeSplit(validation=(), test=("chr22",))


@pytest.fixture(scope="module")
def folder(shared_data) -> Path:
    return shared_data


@pytest.fixture(scope="module")
def genome(folder, tmp_path_factory) -> Genome:
    prepared = tmp_path_factory.mktemp("genome") / "hg19.h5"
    prepare_genome(folder / "genome" / "hg19_slices.fa.gz", prepared)
    return Genome.open(prepared)


@pytest.fixture(scope="module")
def blacklist(folder) -> Path:
    return next(folder.glob("mirror/*/Boyle-Lab/Blacklist/*/lists/hg19-blacklist.v2.bed.gz"))


def peak_file(folder, accession) -> Path:
    return next((folder / "peaks_hg19").glob(f"*{accession}*"))


def portal_file(folder, accession) -> Path:
    return next((folder / "mirror" / "www.encodeproject.org").rglob(f"{accession}.bed.gz"))


def with_core(one_hot: np.ndarray) -> np.ndarray:
    """Return which sequences hold CTCF's core on either strand."""
    strands = [decode(one_hot), decode(reverse_complement(one_hot))]
    return np.array([any(map(CTCF_CORE.search, both)) for both in zip(*strands, strict=True)])


def test_ctcf_positives_hold_its_core_far_more_often_than_any_negatives(folder, genome, blacklist):
    others = [
        path for path in (folder / "peaks_hg19").iterdir() if "CTCF" not in path.name and "RAD21" not in path.name
    ]
    shares = {}
    for kind in ("flanks", "gc_matched", "other_peaks"):
        dataset, counts = build_peaks(
            peak_file(folder, "ENCFF199YFA"),
            "train",
            kind,
            genome,
            SPLIT,
            blacklist=blacklist,
            other_peaks=others,
            assembly="hg19",
            seed=1,
            name="CTCF",
        )
        core = with_core(dataset.one_hot)
        bound = dataset.label == 1
        shares["bound"], shares[kind] = core[bound].mean(), core[~bound].mean()
        assert counts.rows_out.iloc[-1] == len(dataset)
        assert (dataset.one_hot.sum(axis=1) == 1).all()
    assert shares["bound"] > 0.1
    assert max(share for kind, share in shares.items() if kind != "bound") < 0.25 * shares["bound"]


def test_gc_matched_negatives_of_real_peaks_have_their_gc(folder, genome, blacklist):
    dataset, _ = build_peaks(
        peak_file(folder, "ENCFF159PYD"), "train", "gc_matched", genome, SPLIT, blacklist=blacklist, seed=1
    )
    gc = gc_count(codes_from_one_hot(dataset.one_hot))
    unbound = dataset.label == 0
    difference = np.abs(gc[unbound] - gc[dataset.pair[unbound]])
    assert difference.max() <= 2
    assert difference.mean() < 0.1
    assert unbound.sum() >= 0.99 * (~unbound).sum()


def test_every_slice_reads_in_full_and_fits_its_genome(folder, genome):
    for path in sorted((folder / "peaks_hg19").iterdir()):
        peaks, counts = read_peaks(path)
        check_assembly(peaks, genome, name=path.name, assembly="hg19")
        assert len(peaks) == counts.rows == counts.first
        assert peaks.summit_known.all()
        assert ((peaks.start <= peaks.summit) & (peaks.summit < peaks.end)).all()


# Rows of each file, and how many of them have their summit on the peak's end.
WHOLE_FILES = {
    "ENCFF205OKL": (46_196, 8),
    "ENCFF011QFM": (7_149, 1),
    "wgEncodeAwgTfbsHaibA549Atf3": (6_580, 0),
}


@pytest.mark.parametrize("name", WHOLE_FILES)
def test_whole_files_of_the_portal_and_of_ucsc_read_in_full(folder, name):
    path = next(path for path in (folder / "mirror").rglob("*.gz") if path.name.startswith(name))
    peaks, counts = read_peaks(path)
    rows, on_end = WHOLE_FILES[name]
    assert len(peaks) == counts.rows == counts.first == rows
    notes = [reason for reason in counts.table().reason if "moved to its last base" in reason]
    assert notes == [f"summit on the peak's end moved to its last base: {on_end} rows"][: min(on_end, 1)]


@pytest.mark.parametrize("accession", ["ENCFF011QFM", "ENCFF079UOJ", "ENCFF159PYD", "ENCFF562YSV"])
def test_grch38_peaks_on_hg19_are_refused(folder, genome, accession):
    peaks, _ = read_peaks(portal_file(folder, accession))
    inside = peaks[peaks.summit < genome.size_of(peaks.chrom)]
    # What the cut chromosomes have room for is given away by the N of hg19 alone.
    with pytest.raises(InputError, match=f"{accession}: .* summits lie on N in .*different assemblies"):
        check_assembly(inside, genome, name=accession)


def test_no_dataset_is_built_from_grch38_peaks_on_hg19(folder, genome, tmp_path):
    whole = portal_file(folder, "ENCFF011QFM")
    with pytest.raises(InputError, match="6552 of 7149 peaks lie on chromosomes that .* the genome is incomplete"):
        build_peaks(whole, "train", "flanks", genome, SPLIT)
    cut = tmp_path / "cut.bed"
    lines = gzip.decompress(whole.read_bytes()).decode().splitlines()
    cut.write_text("\n".join(line for line in lines if line.split("\t")[0] in genome.sizes))
    with pytest.raises(InputError, match="cut.bed: .* summits lie beyond the end of their chromosome"):
        build_peaks(cut, "train", "flanks", genome, SPLIT)


def test_the_blacklist_is_what_bedtools_says_it_is(folder, genome, blacklist, tmp_path):
    path = peak_file(folder, "ENCFF551IJP")
    dataset, _ = build_peaks(
        path,
        "train",
        "block_shuffle",
        genome,
        SPLIT,
        blacklist=blacklist,
        peak_settings=PeakSettings(overlapping="keep", min_distance=0),
    )
    peaks, _ = read_peaks(path)
    windows = pd.DataFrame({"chrom": peaks.chrom, "start": peaks.summit - 50, "end": peaks.summit + 51})
    windows[windows.chrom == "chr1"].to_csv(tmp_path / "windows.bed", sep="\t", header=False, index=False)
    command = ["bedtools", "intersect", "-v", "-a", str(tmp_path / "windows.bed"), "-b", str(blacklist)]
    kept = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    bound = dataset.label == 1
    assert sorted({int(line.split("\t")[1]) for line in kept}) == sorted(dataset.start[bound])
    assert len(read_intervals(blacklist)) == 834


def test_ctcf_with_one_small_neighbour_is_as_large_as_that_suffices_for(folder, genome, blacklist):
    """Two factors in a cell, the one with few peaks the other's negatives: what HeLa-S3 has, on real peaks."""

    def built(minimum: int) -> tuple[Dataset, pd.DataFrame]:
        return build_peaks(
            peak_file(folder, "ENCFF199YFA"),
            "train",
            "other_peaks",
            genome,
            SPLIT,
            negative_settings=NegativeSettings(minimum_rows=minimum),
            blacklist=blacklist,
            other_peaks=[peak_file(folder, "ENCFF383BYS")],
        )

    smaller, counts = built(10)
    found, wanted = (int(smaller.attributes[name]) for name in ("rows_found", "rows_wanted"))
    assert smaller.label.sum() == (smaller.label == 0).sum() == found < wanted
    lost = counts[counts.step == "partners"]
    assert (lost.rows_in - lost.rows_out).tolist() == [wanted - found]
    assert counts.rows_out.iloc[-1] == len(smaller) == 2 * found
    gone, counts = built(found + 1)
    assert counts.rows_out.iloc[-1] == len(gone) == 0
    assert f"{found} bound and {found} unbound rows are left for train" in str(gone.attributes["left_out"])
