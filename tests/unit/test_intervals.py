"""What of a genome is free, against a plain mask over its bases."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfbs_moe.data import windows
from tfbs_moe.data.windows import free_space
from tfbs_moe.errors import InputError

SIZES = {"track1": 60, "#2": 40}
PLACES = st.lists(
    st.tuples(st.sampled_from([*SIZES, "elsewhere"]), st.integers(-5, 70), st.integers(0, 20)), max_size=8
)


def frame(rows) -> pd.DataFrame:
    columns = pd.DataFrame(rows, columns=["chrom", "start", "width"])
    return columns.assign(end=columns.start + columns.width)


@settings(max_examples=15)
@given(PLACES, PLACES)
def test_free_space_is_what_no_interval_covers(one, other):
    space = free_space(SIZES, frame(one), frame(other))
    for chrom, size in SIZES.items():
        free = np.ones(size + 100, dtype=bool)
        free[size:] = False
        for name, start, width in [*one, *other]:
            if name == chrom:
                free[max(0, start) : max(0, start + width)] = False
        told = np.zeros_like(free)
        for start, end in zip(space.starts[chrom], space.ends[chrom], strict=True):
            told[start:end] = True
        np.testing.assert_array_equal(told, free)
        starts = np.repeat(np.arange(-3, size + 3), 4)
        ends = starts + np.tile([1, 2, 5, 30], len(starts) // 4)
        expected = [start >= 0 and free[start:end].all() for start, end in zip(starts, ends, strict=True)]
        assert space.holds(np.full(len(starts), chrom), starts, ends).tolist() == expected


def test_nothing_is_free_on_other_chromosomes():
    space = free_space({"chr1": 100})
    assert space.holds(np.array(["chr1", "chr2"]), np.array([0, 0]), np.array([100, 100])).tolist() == [True, False]


def test_bedtools_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(windows.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="bedtools is not on the PATH; install it"):
        free_space({"chr1": 100}, frame([("chr1", 5, 5)]))


def test_an_end_beyond_what_bedtools_can_hold_ends_with_the_chromosome():
    space = free_space(SIZES, frame([("track1", 5, 99_999_999_994), ("#2", 10**10, 5)]))
    assert space.ends["track1"].tolist() == [5]
    assert space.ends["#2"].tolist() == [40]
