"""Every kind of negatives holds what it promises, and says so where it cannot."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peak_files import make_genome, random_codes
from tfbs_moe.data.counts import Counts
from tfbs_moe.data.negatives.candidates import NegativeSettings, Task
from tfbs_moe.data.negatives.genomic import UNMATCHED, flanks, gc_count, match_counts, tile
from tfbs_moe.data.negatives.negatives import PROVIDERS, make_negatives, read_mixture
from tfbs_moe.data.negatives.shuffles import dinucleotide_counts
from tfbs_moe.data.windows import FreeSpace, free_space
from tfbs_moe.errors import InputError

LENGTH = 101
SUMMITS = np.arange(2000, 58_000, 700)


def others_at(summits) -> pd.DataFrame:
    summits = np.asarray(summits, dtype=np.int64)
    missing = np.full(len(summits), np.nan)
    return pd.DataFrame(
        {"chrom": "chr1", "start": summits - 90, "end": summits + 90, "summit": summits, "name": "x.bed"}
    ).assign(signal=1.0, p=missing, q=missing, score=missing)


@pytest.fixture
def task(tmp_path) -> Task:
    """78 positives of 60 kb; N from 30,000 to 31,000; a second chromosome of another split."""
    codes = random_codes(60_000)
    codes[30_000:31_000] = 4
    genome = make_genome(tmp_path, {"chr1": codes, "chr2": random_codes(60_000, 1)})
    summits = SUMMITS[(SUMMITS < 29_900) | (SUMMITS > 31_100)]
    windows = others_at(summits).rename(columns={"start": "peak_start", "end": "peak_end"})
    windows = windows.assign(start=summits - 50, end=summits + 51, name=[f"peak{at}" for at in summits])
    peaks = others_at(summits)
    return Task(
        windows=windows,
        codes=genome.windows(windows.chrom, windows.start.to_numpy(), LENGTH),
        genome=genome,
        free=free_space({"chr1": 60_000}, peaks),
        others=others_at([*(summits[:20] + 60), *(summits + 350), *(summits + 360), 30_010, 20, 59_990]).assign(),
    )


def assert_genomic(task, negatives):
    """Negatives lie where they say, in free space, without N, none overlapping another."""
    assert set(negatives.chrom) == {"chr1"}
    order = np.sort(negatives.start)
    assert (np.diff(order) >= LENGTH).all()
    for start, codes in zip(negatives.start, negatives.codes, strict=True):
        np.testing.assert_array_equal(codes, task.genome.codes("chr1")[start : start + LENGTH])
        assert codes.max() < 4
        assert (np.abs(task.windows.summit - start - 50) >= 90 + 50).all()


def test_a_dinucleotide_shuffle_keeps_its_positives_dinucleotides(task):
    negatives, _, _ = make_negatives(task, "dinucleotide_shuffle", Counts(), seed=1)
    np.testing.assert_array_equal(negatives.parent, np.arange(len(task.codes)))
    np.testing.assert_array_equal(dinucleotide_counts(negatives.codes), dinucleotide_counts(task.codes))
    assert (negatives.codes != task.codes).any(axis=1).all()
    assert set(negatives.chrom) == {""}
    assert set(negatives.start) == {-1}
    assert negatives.source[0] == "dinucleotide_shuffle:peak2000"


def test_a_block_shuffle_keeps_its_positives_letters(task):
    negatives, _, _ = make_negatives(task, "block_shuffle", Counts(), seed=1)
    np.testing.assert_array_equal(np.sort(negatives.codes, axis=1), np.sort(task.codes[negatives.parent], axis=1))


def test_gc_matched_negatives_match_each_positive(task):
    negatives, _, _ = make_negatives(task, "gc_matched", Counts(), seed=1)
    assert_genomic(task, negatives)
    assert len(negatives) == len(task.codes)
    difference = np.abs(gc_count(negatives.codes) - gc_count(task.codes[negatives.parent]))
    assert difference.max() <= 2
    assert difference.mean() < 0.75


def test_flanks_lie_beside_their_peak(task):
    negatives, _, _ = make_negatives(task, "flanks", Counts(), seed=1)
    assert_genomic(task, negatives)
    distance = np.abs(negatives.start + 50 - task.windows.summit.to_numpy()[negatives.parent])
    assert distance.min() >= task.settings.flank_nearest
    assert distance.max() <= task.settings.flank_farthest
    sides = np.sign(negatives.start + 50 - task.windows.summit.to_numpy()[negatives.parent])
    assert 0.3 < (sides > 0).mean() < 0.7


def test_flanks_of_a_wide_peak_lie_beyond_it(task):
    wide = task.windows.iloc[[5, 9]].assign(
        peak_start=lambda table: table.summit - 4000, peak_end=lambda t: t.summit + 5000
    )
    free = free_space({"chr1": 60_000}, wide.assign(start=wide.peak_start, end=wide.peak_end))
    codes = task.codes[[5, 9]]
    many = [flanks(Task(wide, codes, task.genome, free), np.arange(2), np.random.default_rng(i)) for i in range(20)]
    starts = np.concatenate([negatives.start for negatives in many])
    summits = np.concatenate([wide.summit.to_numpy()[negatives.parent] for negatives in many])
    left, right = summits - 4000 - starts - 101, starts - summits - 5000
    assert (np.maximum(left, right) >= 0).all()
    assert (np.maximum(left, right) <= 3000).all()
    assert len(starts) >= 20


def test_other_peaks_are_unpaired_summits_away_from_this_factors_peaks(task):
    counts = Counts()
    negatives, _, _ = make_negatives(task, "other_peaks", counts, ratio=0.9, seed=1)
    assert_genomic(task, negatives)
    assert set(negatives.parent) == {-1}
    assert set(negatives.start + 50) <= set(task.others.summit)
    assert set(negatives.source) == {"other_peaks:x.bed"}
    assert counts.rows == len(negatives) == round(0.9 * len(task.codes))


@pytest.mark.parametrize("kind", PROVIDERS)
def test_the_same_seed_gives_the_same_negatives_and_another_gives_others(task, kind):
    one, again, other = (
        make_negatives(task, kind, Counts(), ratio=0.5, seed=seed, name="e").negatives for seed in (1, 1, 2)
    )
    for column in ("codes", "parent", "chrom", "start", "source"):
        np.testing.assert_array_equal(getattr(one, column), getattr(again, column))
    assert one.codes.shape != other.codes.shape or (one.codes != other.codes).any()


@pytest.mark.parametrize("ratio", [0.25, 1.0, 2.5])
def test_the_ratio_holds_and_every_positive_gets_its_part(task, ratio):
    negatives, _, _ = make_negatives(task, "block_shuffle", Counts(), ratio=ratio, seed=1)
    each = np.bincount(negatives.parent, minlength=len(task.codes))
    assert len(negatives) == round(ratio * len(task.codes))
    assert set(each) <= {int(ratio), int(ratio) + 1}


def test_a_mixture_holds_its_shares(task):
    counts = Counts(len(task.codes))
    shares = {"gc_matched": 0.5, "flanks": 0.25, "dinucleotide_shuffle": 0.25}
    negatives, _, _ = make_negatives(task, shares, counts, seed=1)
    kinds = pd.Series(negatives.source).str.partition(":")[0].value_counts()
    number = len(task.codes)
    assert all(abs(kinds[kind] - share * number) <= 1 for kind, share in shares.items())
    assert sorted(negatives.parent) == list(range(number))
    table = counts.table()
    assert table.rows_out.iloc[-1] == 2 * number
    assert (table.rows_in.iloc[1:].to_numpy() == table.rows_out.iloc[:-1].to_numpy()).all()


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ("random", "unknown kind 'random'; known are dinucleotide_shuffle"),
        ({"flanks": 0.5, "gc_matched": 0.4}, "add up to 1"),
        ({"flanks": 1.5, "gc_matched": -0.5}, "above 0"),
        ({}, "add up to 1"),
    ],
)
def test_mixtures_that_make_no_sense(kinds, message):
    with pytest.raises(InputError, match=message):
        read_mixture(kinds)


def test_ratios_and_settings_that_make_no_sense(task):
    with pytest.raises(InputError, match="ratio is 0"):
        make_negatives(task, "flanks", Counts(), ratio=0)
    with pytest.raises(InputError, match="gc_tolerance is 2"):
        NegativeSettings(gc_tolerance=2)
    with pytest.raises(InputError, match="flanks from 500 to 400"):
        NegativeSettings(flank_nearest=500, flank_farthest=400)


@pytest.mark.parametrize(
    ("kind", "ratio", "advice"),
    [("gc_matched", 30, "gc_tolerance"), ("flanks", 9, "flank_farthest"), ("other_peaks", 1.5, "peak files")],
)
def test_too_few_candidates_leave_positives_out_and_are_counted(task, kind, ratio, advice):
    counts = Counts(len(task.codes))
    negatives, kept, shortage = make_negatives(task, kind, counts, ratio=ratio, seed=1)
    wanted, found = round(ratio * len(task.codes)), len(negatives)
    assert 0 < found < wanted
    assert shortage.startswith(f"{found} negatives of kind {kind} were found of {wanted} wanted.")
    assert advice in shortage
    assert counts.rows == kept.sum() + found
    assert_genomic(task, negatives)
    if kind == "other_peaks":
        assert kept.sum() == pytest.approx(found / ratio, abs=1), "the ratio holds where negatives are no one's own"
        assert set(negatives.parent) == {-1}
    else:
        assert set(negatives.parent) == set(range(kept.sum())), "every positive that stays has a partner, no other has"


def test_which_positives_stay_hangs_on_seed_and_name(task):
    def kept(**names):
        return make_negatives(task, "other_peaks", Counts(len(task.codes)), ratio=1.5, **names).kept

    assert (kept(seed=1, name="a") == kept(seed=1, name="a")).all()
    assert (kept(seed=1, name="a") != kept(seed=1, name="b")).any()
    assert (kept(seed=1, name="a") != kept(seed=2, name="a")).any()


def test_positives_that_want_no_negative_stay_in_the_same_share(task):
    """Of 78 positives 70 want a negative and 35 get one: 35 of 70 stay, and 4 of the 8 that want none."""
    few = replace(task, others=others_at(task.windows.summit.to_numpy()[:35] + 350))
    negatives, kept, _ = make_negatives(few, "other_peaks", Counts(78), ratio=70 / 78, seed=1)
    found = len(negatives)
    assert 30 <= found <= 35
    assert kept.sum() == found + round(8 * found / 70)


def test_kinds_of_one_set_never_overlap_each_other(task):
    """Each kind alone has room for all; together, and many of each, they would lie on one another."""
    shares = {"gc_matched": 0.4, "flanks": 0.4, "other_peaks": 0.2}
    for seed in range(5):
        negatives, _, _ = make_negatives(task, shares, Counts(len(task.codes)), ratio=3, seed=seed)
        assert {source.partition(":")[0] for source in negatives.source} == set(shares)
        assert_genomic(task, negatives)


def test_other_peaks_without_other_peaks(task):
    with pytest.raises(InputError, match="needs peak files of other factors"):
        PROVIDERS["other_peaks"](
            Task(task.windows, task.codes, task.genome, task.free), np.arange(5), np.random.default_rng(0)
        )


def test_homopolymers_cannot_be_shuffled(tmp_path):
    genome = make_genome(tmp_path, {"chr1": np.zeros(5000, dtype=np.uint8)})
    windows = others_at([1000, 2000])
    task = Task(
        windows, genome.windows(["chr1"] * 2, np.array([950, 1950]), LENGTH), genome, free_space({"chr1": 5000})
    )
    negatives, kept, shortage = make_negatives(task, "dinucleotide_shuffle", Counts(2))
    assert (len(negatives), kept.sum()) == (0, 0)
    assert shortage.startswith("0 negatives of kind dinucleotide_shuffle were found of 2 wanted. The others equal")


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 12), max_size=30),
    st.lists(st.integers(0, 12), max_size=30),
    st.integers(0, 4),
    st.integers(0, 9),
)
def test_matching_uses_each_candidate_once_within_tolerance_and_exact_ones_first(wanted, available, tolerance, seed):
    wanted, available = np.array(wanted, dtype=np.int64), np.array(available, dtype=np.int64)
    chosen = match_counts(wanted, available, 12, tolerance, np.random.default_rng(seed))
    found = chosen[chosen != UNMATCHED]
    assert len(set(found)) == len(found)
    difference = np.abs(wanted[chosen != UNMATCHED] - available[found])
    assert (difference <= tolerance).all()
    exact = sum(min((wanted == number).sum(), (available == number).sum()) for number in range(13))
    assert (difference == 0).sum() == exact
    left = np.setdiff1d(np.arange(len(available)), found)
    for number in wanted[chosen == UNMATCHED]:
        assert (np.abs(available[left] - number) > tolerance).all()


def test_tiles_fill_every_stretch_and_overlap_nothing():
    free = FreeSpace({"c": np.array([0, 50, 700])}, {"c": np.array([9, 350, 801])})
    starts = tile(free, "c", 10, np.random.default_rng(0))
    assert len(starts) == 0 + 30 + 10
    assert (np.diff(starts) >= 10).all()
    assert starts[0] == 50
    assert starts[30] in (700, 701)
    assert starts[-1] + 10 <= 801
