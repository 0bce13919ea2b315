"""Choosing peaks by q-value, rank and overlap."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peak_files import narrow_peak, write_lines
from tfbs_moe.data.counts import Counts
from tfbs_moe.data.peak_filter import select_peaks
from tfbs_moe.data.peaks import read_peaks
from tfbs_moe.errors import InputError


def table(tmp_path, *rows):
    return read_peaks(write_lines(tmp_path / "a.narrowPeak", rows))


def test_the_strongest_of_overlapping_peaks_stays_and_frees_what_only_its_victim_touched(tmp_path):
    peaks, counts = table(
        tmp_path,
        narrow_peak("chr1", 100, 200, 5, 2.0),
        narrow_peak("chr1", 150, 250, 5, 9.0),
        narrow_peak("chr1", 240, 300, 5, 1.0),
        narrow_peak("chr1", 250, 350, 5, 3.0),
        narrow_peak("chr2", 100, 200, 5, 2.0),
    )
    chosen = select_peaks(peaks, counts)
    assert chosen.signal.tolist() == [9.0, 3.0, 2.0]
    assert counts.rows == 3
    assert len(select_peaks(peaks, Counts(5), overlapping="keep")) == 5


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 80), st.integers(0, 9)), min_size=1, max_size=40))
def test_kept_peaks_never_overlap_and_every_dropped_one_overlaps_a_stronger_kept_one(rows):
    peaks = _frame(rows)
    kept = select_peaks(peaks, Counts(len(peaks)))
    spans = kept.sort_values("start")
    assert (spans.start.to_numpy()[1:] >= spans.end.to_numpy()[:-1]).all()
    for row in peaks.itertuples():
        hits = kept[(kept.start < row.end) & (kept.end > row.start)]
        assert len(hits)
        assert hits.signal.max() >= row.signal


def _frame(rows):
    starts, widths, signals = (np.array(column) for column in zip(*rows, strict=True))
    missing = np.full(len(rows), np.nan)
    return pd.DataFrame(
        {
            "chrom": "chr1",
            "start": starts,
            "end": starts + widths,
            "signal": signals.astype(float),
            "p": missing,
            "q": missing,
            "score": missing,
            "summit": starts + widths // 2,
        }
    )


def test_rank_and_q_value(tmp_path):
    peaks, counts = table(tmp_path, *(narrow_peak("chr1", 1000 * i, 1000 * i + 9, 1, i, q=i) for i in range(1, 7)))
    assert select_peaks(peaks, counts, max_q=1e-3).signal.tolist() == [3, 4, 5, 6]
    assert select_peaks(peaks, Counts(6), top=2).signal.tolist() == [5, 6]
    assert select_peaks(peaks, Counts(6), max_q=1e-3, top=1).signal.tolist() == [6]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_q": 0.05}, "the file has no q-values; use top instead"),
        ({"top": 1}, "no column to rank them by"),
        ({"top": 0}, "top is 0"),
        ({"max_q": 2.0}, "max_q is 2.0"),
        ({"overlapping": "merge"}, "must be one of strongest, keep"),
    ],
)
def test_what_cannot_be_chosen(tmp_path, settings, message):
    peaks, counts = read_peaks(write_lines(tmp_path / "a.bed", ["chr1\t1\t9", "chr1\t100\t109"]))
    with pytest.raises(InputError, match=message):
        select_peaks(peaks, counts, **settings)
