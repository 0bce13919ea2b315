"""The ledger of rows in and rows out."""

import pytest

from tfbs_moe.data.counts import COLUMNS, Counts
from tfbs_moe.errors import InputError


def test_a_ledger_is_a_chain():
    counts = Counts()
    counts.begin("read", 10, "lines")
    counts.drop("read", 0, "headers")
    counts.drop("filter", 4, "too weak")
    counts.note("filter", 2, "mended")
    counts.note("filter", 0, "never")
    counts.add("negatives", 6, "flanks")
    table = counts.table()
    assert tuple(table.columns) == COLUMNS
    assert table.rows_in.tolist() == [10, 10, 10, 6, 6]
    assert table.rows_out.tolist() == [10, 10, 6, 6, 12]
    assert table.reason.tolist() == ["lines", "headers", "too weak", "mended: 2 rows", "flanks"]
    assert (counts.first, counts.rows) == (10, 12)


@pytest.mark.parametrize("lost", [-1, 4])
def test_no_step_loses_what_it_does_not_have(lost):
    with pytest.raises(ValueError, match="cannot lose"):
        Counts(3).drop("filter", lost, "too weak")


def test_nothing_left_is_an_error_that_says_where_it_went():
    counts = Counts(5)
    counts.drop("windows", 2, "reaches over an end")
    counts.require_rows("a.bed")
    counts.drop("windows", 3, "holds an N")
    with pytest.raises(
        InputError, match="a.bed: no row is left. Rows were lost to: 2 reaches over an end; 3 holds an N"
    ):
        counts.require_rows("a.bed")
