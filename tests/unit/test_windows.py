"""Windows around summits, and the rules for those that cannot be used."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peak_files import make_genome, narrow_peak, random_codes, write_lines
from tfbs_moe.data.counts import Counts
from tfbs_moe.data.peaks import read_peaks
from tfbs_moe.data.windows import cut_windows, free_space, near_stronger, window_start
from tfbs_moe.errors import InputError


@pytest.mark.parametrize(("length", "start"), [(101, 950), (100, 950), (1, 1000), (2, 999)])
def test_the_summit_is_the_middle_or_the_first_of_the_right_half(length, start):
    assert window_start(np.array([1000]), length).tolist() == [start]


def peaks_at(tmp_path, *places, width=20):
    rows = [narrow_peak(chrom, at - 10, at - 10 + width, 10, signal) for chrom, at, signal in places]
    return read_peaks(write_lines(tmp_path / "a.narrowPeak", rows))[0]


def test_every_rule_drops_what_it_names_and_counts_it(tmp_path):
    chr1 = random_codes(5000)
    chr1[2000:2010] = 4
    chr1[3000:3101] = chr1[3300:3401]
    genome = make_genome(tmp_path, {"chr1": chr1, "chr2": random_codes(5000, 1)})
    peaks = peaks_at(
        tmp_path,
        ("chr2", 1000, 3.0),
        ("chr1", 50, 1.0),
        ("chr1", 49, 1.0),
        ("chr1", 4949, 1.0),
        ("chr1", 4950, 1.0),
        ("chr1", 1949, 1.0),
        ("chr1", 1950, 1.0),
        ("chr1", 2060, 1.0),
        ("chr1", 3050, 1.0),
        ("chr1", 3350, 2.0),
        ("chr1", 4000, 1.0),
        ("chr1", 4049, 2.0),
        ("chr2", 1050, 2.0),
        ("chr2", 2000, 1.0),
        ("chrX", 2000, 1.0),
    )
    banned = pd.DataFrame({"chrom": ["chr2"], "start": [2050], "end": [2051]})
    counts = Counts(len(peaks))
    windows, codes = cut_windows(
        peaks, genome, counts, length=101, min_distance=50, allowed=free_space(genome.sizes, banned)
    )
    assert list(zip(windows.chrom, windows.summit, strict=True)) == [
        ("chr1", 50),
        ("chr1", 1949),
        ("chr1", 2060),
        ("chr1", 3350),
        ("chr1", 4049),
        ("chr1", 4949),
        ("chr2", 1000),
        ("chr2", 1050),
    ]
    table = counts.table()
    assert dict(zip(table.reason, table.rows_in - table.rows_out, strict=True)) == {
        "on a chromosome the genome lacks": 1,
        "reaches over an end of the chromosome": 2,
        "touches the blacklist": 1,
        "holds an N": 1,
        "same sequence as a stronger peak's window, on either strand": 1,
        "centre within 50 bases of a stronger peak's": 1,
    }
    assert counts.rows == len(windows) == len(codes)
    for row, code in zip(windows.itertuples(), codes, strict=True):
        np.testing.assert_array_equal(code, genome.codes(row.chrom)[row.summit - 50 : row.summit + 51])
        assert (row.start, row.end) == (row.summit - 50, row.summit + 51)


def test_a_window_just_beside_the_blacklist_is_used(tmp_path):
    genome = make_genome(tmp_path, {"chr1": random_codes(5000)})
    banned = pd.DataFrame({"chrom": ["chr1"] * 2, "start": [1051, 900], "end": [1100, 950]})
    windows, _ = cut_windows(
        peaks_at(tmp_path, ("chr1", 1000, 1.0)),
        genome,
        Counts(1),
        length=101,
        min_distance=0,
        allowed=free_space(genome.sizes, banned),
    )
    assert len(windows) == 1


def test_the_order_of_the_file_does_not_matter(tmp_path):
    genome = make_genome(tmp_path, {"chr2": random_codes(5000), "chr1": random_codes(5000, 1)})
    places = [("chr1", 500, 1.0), ("chr2", 700, 1.0), ("chr1", 520, 1.0), ("chr2", 300, 5.0)]
    tables = []
    for order in (places, places[::-1]):
        table, _ = cut_windows(peaks_at(tmp_path, *order), genome, Counts(4), length=101, min_distance=50)
        tables.append(table)
    pd.testing.assert_frame_equal(*tables)
    assert tables[0].chrom.tolist() == ["chr2", "chr2", "chr1"]


def test_a_negative_distance():
    with pytest.raises(InputError, match="min_distance is -1"):
        cut_windows(pd.DataFrame(), None, Counts(), length=101, min_distance=-1)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 200), st.integers(0, 5)), min_size=1, max_size=40),
    st.integers(0, 40),
)
def test_near_windows_against_a_plain_double_loop(rows, distance):
    chrom, summit, signal = (list(column) for column in zip(*rows, strict=True))
    missing = [np.nan] * len(rows)
    table = pd.DataFrame(
        {"chrom": chrom, "summit": summit, "start": summit, "end": summit, "signal": [float(s) for s in signal]}
        | dict.fromkeys(("p", "q", "score"), missing)
    )
    dropped = near_stronger(table, distance)
    kept = table[~dropped]
    for name, part in kept.groupby("chrom"):
        assert (np.diff(np.sort(part.summit)) >= distance).all(), name
    for row in table[dropped].itertuples():
        close = kept[(kept.chrom == row.chrom) & ((kept.summit - row.summit).abs() < distance)]
        assert close.signal.max() >= row.signal
