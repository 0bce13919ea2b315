"""Data beside naive code: windows and what drops them, strands from file to logo, negatives' places, folds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from peak_files import as_text, make_genome, random_codes, write_lines
from tfbs_moe.apply.explain import contributions
from tfbs_moe.apply.windows import open_source
from tfbs_moe.attribution.evaluation.localisation import site_mask, sites_in_windows
from tfbs_moe.attribution.examples import real_flanks
from tfbs_moe.data.build import PeakSettings, build_peaks
from tfbs_moe.data.counts import Counts
from tfbs_moe.data.dataset import Dataset, make_dataset, write_dataset
from tfbs_moe.data.folds import deal_folds
from tfbs_moe.data.peaks import read_peaks
from tfbs_moe.data.splits import ChromosomeSplit
from tfbs_moe.data.windows import cut_windows, free_space
from tfbs_moe.sequence import decode, one_hot, one_hot_from_codes, reverse_complement

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
SPLIT = ChromosomeSplit(validation=("chr2",), test=("chr3",))
LENGTH = 21


def turned(text: str) -> str:
    return text.translate(COMPLEMENT)[::-1]


# --- windows


def naive_windows(
    rows: list[tuple[str, int, float]], chromosomes: dict[str, str], banned: list[tuple[str, int, int]], apart: int
) -> tuple[list[tuple[str, int]], dict[str, int]]:
    """The rules of ``cut_windows`` one row at a time: what stays, and how many each rule drops."""
    dropped = dict.fromkeys(("lacks", "over an end", "blacklist", "an N", "same sequence", "centre within"), 0)
    left = []
    for chrom, summit, signal in rows:
        start = summit - LENGTH // 2
        text = chromosomes.get(chrom, "")[max(start, 0) : start + LENGTH]
        if chrom not in chromosomes:
            dropped["lacks"] += 1
        elif start < 0 or start + LENGTH > len(chromosomes[chrom]):
            dropped["over an end"] += 1
        elif any(c == chrom and s < start + LENGTH and start < e for c, s, e in banned):
            dropped["blacklist"] += 1
        elif "N" in text:
            dropped["an N"] += 1
        else:
            left.append((chrom, summit, signal, text))
    by_strength = sorted(left, key=lambda row: -row[2])
    seen: set[str] = set()
    once = []
    for row in by_strength:
        if row[3] in seen:
            dropped["same sequence"] += 1
            continue
        seen |= {row[3], turned(row[3])}
        once.append(row)
    kept: list[tuple[str, int]] = []
    for chrom, summit, _, _ in once:
        if any(chrom == c and abs(summit - s) < apart for c, s in kept):
            dropped["centre within"] += 1
        else:
            kept.append((chrom, summit))
    order = list(chromosomes)
    return sorted(kept, key=lambda row: (order.index(row[0]), row[1])), dropped


@pytest.mark.parametrize("seed", range(6))
def test_windows_are_those_of_the_rules_one_by_one(seed: int, tmp_path: Path) -> None:
    """Chromosome ends, N, a blacklist, repeats on both strands, and crowds, all of them in each genome."""
    draw = np.random.default_rng(seed)
    codes = {f"chr{number}": random_codes(900, 10 * seed + number) for number in (1, 2)}
    codes["chr1"][300:305] = 4
    codes["chr2"][100:160] = codes["chr1"][500:560]
    codes["chr2"][400:460] = 3 - codes["chr1"][700:760][::-1]
    summits = [("chr1", 530), ("chr2", 130), ("chr1", 730), ("chr2", 429), ("chr1", 10), ("chr1", 9), ("chr2", 889)]
    summits += [("chr2", 890), ("chrX", 50), ("chr1", 302)]
    summits += [(f"chr{draw.integers(1, 3)}", int(draw.integers(0, 900))) for _ in range(60)]
    summits = list(dict.fromkeys(summits))
    signal = draw.permutation(len(summits)) + 1.0
    lines = [
        f"{c}\t{max(s - 5, 0)}\t{s + 5}\t.\t0\t.\t{x}\t-1\t-1\t{min(s, 5)}"
        for (c, s), x in zip(summits, signal, strict=True)
    ]
    genome = make_genome(tmp_path, codes)
    peaks, _ = read_peaks(write_lines(tmp_path / "a.narrowPeak", lines))
    banned = [("chr1", 600, 610), ("chr2", 0, 12)]
    allowed = free_space(genome.sizes, pd.DataFrame(banned, columns=["chrom", "start", "end"]))
    counts = Counts(len(peaks))
    table, found = cut_windows(peaks, genome, counts, length=LENGTH, min_distance=8, allowed=allowed)
    text = {name: as_text(row) for name, row in codes.items()}
    rows = [(c, s, float(x)) for (c, s), x in zip(summits, signal, strict=True)]
    kept, dropped = naive_windows(rows, text, banned, 8)
    assert list(zip(table.chrom, table.summit, strict=True)) == kept
    for chrom, summit, code in zip(table.chrom, table.summit, found, strict=True):
        assert as_text(code) == text[chrom][summit - 10 : summit + 11]
    said = counts.table()
    for words, number in dropped.items():
        mine = said[said.reason.str.contains(words)]
        assert (mine.rows_in - mine.rows_out).sum() == number > 0, words


# --- strands


@pytest.fixture
def stranded(tmp_path: Path) -> tuple[Dataset, object, dict[str, str], Path]:
    """A dataset from peaks on either strand and on none."""
    codes = {f"chr{number}": random_codes(3000, number) for number in (1, 2, 3)}
    genome = make_genome(tmp_path, codes)
    rows = [
        f"{chrom}\t{at - 20}\t{at + 20}\tp{at}\t0\t{strand}\t5\t-1\t-1\t20"
        for chrom in codes
        for at, strand in zip(range(200, 2900, 150), "+-." * 6, strict=True)
    ]
    path = write_lines(tmp_path / "a.narrowPeak", rows)
    settings = PeakSettings(length=LENGTH)
    dataset, _ = build_peaks(
        path, "train", "dinucleotide_shuffle", genome, SPLIT, peak_settings=settings, name="e", attributes={
            "experiment": "e"
        }
    )  # fmt: skip
    return dataset, genome, {name: as_text(row) for name, row in codes.items()}, tmp_path


def test_rows_from_stranded_peaks_read_as_the_genome_does_from_file_to_logo(stranded) -> None:
    """What the row is, what sites are marked in it, what lies beside it, and what a logo calls its bases."""
    dataset, genome, text, folder = stranded
    bound = dataset.label == 1
    assert bound.sum() == 18 and dataset.attributes["orientation"] == "forward"
    assert set(dataset.strand[bound]) == {"."} and set(dataset.strand[~bound]) == {""}
    letters = decode(dataset.one_hot)
    sites = pd.DataFrame(
        {"chrom": "chr1", "start": dataset.start[bound] + 5, "end": dataset.start[bound] + 11, "strand": "+"}
    )
    places = (dataset.chrom, dataset.start, dataset.strand)
    mask = site_mask(sites, *places, LENGTH)
    inside = sites_in_windows(sites, *places, LENGTH).set_index("sequence")
    for row in np.flatnonzero(bound):
        assert letters[row] == text["chr1"][dataset.start[row] : dataset.end[row]]
        assert np.flatnonzero(mask[row]).tolist() == list(range(5, 11))
        assert inside.loc[row].tolist() == [5, 11, "+"]
    rows = np.flatnonzero(bound)
    assert not mask[~bound].any()
    placed = make_dataset(
        dataset.one_hot[rows], np.ones(len(rows)), chrom=dataset.chrom[rows], start=dataset.start[rows],
        end=dataset.end[rows], strand=dataset.strand[rows],
    )  # fmt: skip
    for wide, start in zip(decode(real_flanks(placed, genome, 4)), placed.start, strict=True):
        assert wide == text["chr1"][start - 4 : start + LENGTH + 4]
    write_dataset(placed, folder / "rows.h5")
    (block,) = open_source(folder / "rows.h5", LENGTH).blocks()
    table = contributions(block, one_hot_from_codes(block.codes), np.ones((len(rows), 4, LENGTH), np.float32))
    assert all(text["chr1"][at] == base for at, base in zip(table.position, table.base, strict=True))


def test_a_row_stored_reversed_says_so_and_is_read_so_everywhere(stranded) -> None:
    """The other side of the convention: the same places turned round, with strand -, tell the same things mirrored."""
    dataset, genome, text, folder = stranded
    rows = np.flatnonzero(dataset.label == 1)
    place = {"chrom": dataset.chrom[rows], "start": dataset.start[rows], "end": dataset.end[rows]}
    forward = make_dataset(dataset.one_hot[rows], np.ones(len(rows)), strand=["."] * len(rows), **place)
    backward = make_dataset(reverse_complement(forward.one_hot), np.ones(len(rows)), strand=["-"] * len(rows), **place)
    sites = pd.DataFrame({"chrom": "chr1", "start": forward.start + 5, "end": forward.start + 11, "strand": "+"})
    masks = [site_mask(sites, each.chrom, each.start, each.strand, LENGTH) for each in (forward, backward)]
    np.testing.assert_array_equal(masks[0], masks[1][:, ::-1])
    wide = [real_flanks(each, genome, 4) for each in (forward, backward)]
    np.testing.assert_array_equal(wide[0], reverse_complement(wide[1]))
    for name, each in (("forward", forward), ("backward", backward)):
        write_dataset(each, folder / f"{name}.h5")
    blocks = [next(iter(open_source(folder / f"{name}.h5", LENGTH).blocks())) for name in ("forward", "backward")]
    np.testing.assert_array_equal(blocks[0].codes, blocks[1].codes)


# --- negatives and folds


@pytest.mark.parametrize("seed", range(4))
def test_no_row_of_a_set_lies_on_another(seed: int, tmp_path: Path) -> None:
    """Positives and negatives of all placed kinds together, two by two."""
    genome = make_genome(tmp_path, {f"chr{number}": random_codes(30_000, 5 * seed + number) for number in (1, 2, 3)})
    draw = np.random.default_rng(seed)

    def peaks(name: str, number: int) -> Path:
        at = draw.integers(200, 29_800, (3, number))
        rows = [
            f"chr{chrom}\t{s - 30}\t{s + 30}\t.\t0\t.\t{x}\t-1\t-1\t30"
            for chrom, row in enumerate(at, start=1)
            for s, x in zip(row, draw.permutation(number), strict=True)
        ]
        return write_lines(tmp_path / name, rows)

    own, other = peaks("own.narrowPeak", 30), peaks("other.narrowPeak", 60)
    mixture = {"gc_matched": 0.4, "flanks": 0.3, "other_peaks": 0.3}
    dataset, _ = build_peaks(
        own, "train", mixture, genome, SPLIT, other_peaks=[other], ratio=3.0, seed=seed, name="e",
        peak_settings=PeakSettings(length=LENGTH, min_distance=LENGTH),
    )  # fmt: skip
    kinds = {source.partition(":")[0] for source in dataset.source[dataset.label == 0]}
    assert kinds == set(mixture)
    for one in range(len(dataset)):
        for two in range(one):
            same = dataset.chrom[one] == dataset.chrom[two]
            assert not (same and dataset.start[one] < dataset.end[two] and dataset.start[two] < dataset.end[one])


@pytest.mark.parametrize("folds", [2, 3, 7])
def test_the_fold_of_a_row_hangs_on_its_place_or_its_sequence_alone(folds: int) -> None:
    """Row by row, each in a dataset of its own or with its positive alone, it is what it is among all."""
    draw = np.random.default_rng(folds)
    half = 60
    codes = draw.integers(0, 4, (2 * half, LENGTH)).astype(np.uint8)
    placed = draw.random(2 * half) < 0.5
    chrom = np.where(placed, draw.choice(["chr1", "chr2"], 2 * half), "")
    start = np.where(placed, draw.integers(0, 9_000_000, 2 * half), -1)
    end = np.where(placed, start + LENGTH, -1)
    strand = np.where(placed, ".", "")
    pair = np.r_[np.arange(half), np.where(draw.random(half) < 0.7, np.arange(half), -1)]
    label = np.repeat([1, 0], half)
    whole = make_dataset(one_hot_from_codes(codes), label, pair=pair, chrom=chrom, start=start, end=end, strand=strand)
    fold = deal_folds(whole, folds)

    def alone(row: int, reversed_too: bool = False) -> int:
        letters = one_hot_from_codes(codes[row][None])
        letters = reverse_complement(letters) if reversed_too else letters
        place = {"chrom": chrom[row : row + 1], "start": start[row : row + 1], "end": end[row : row + 1]}
        return int(deal_folds(make_dataset(letters, [1], strand=strand[row : row + 1], **place), folds)[0])

    for row in range(2 * half):
        leader = row if placed[row] or pair[row] < 0 else int(pair[row])
        assert fold[row] == alone(leader) == alone(leader, reversed_too=True)
    blocks: dict[tuple[str, int], set[int]] = {}
    for row in np.flatnonzero(placed):
        blocks.setdefault((chrom[row], (start[row] + LENGTH // 2) // 1_000_000), set()).add(int(fold[row]))
    assert len(blocks) > 10 and all(len(each) == 1 for each in blocks.values())
    assert len(set(fold)) == folds


def test_reverse_complement_is_that_of_letters() -> None:
    texts = [as_text(row) for row in np.random.default_rng(0).integers(0, 5, (20, 13)).astype(np.uint8)]
    assert decode(reverse_complement(one_hot(texts))) == [turned(text) for text in texts]
