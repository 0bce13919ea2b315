"""Splits by chromosome."""

import pytest

from tfbs_moe.data.splits import ChromosomeSplit
from tfbs_moe.errors import InputError

SIZES = {f"chr{i}": 1000 - 100 * i for i in range(1, 8)}


def places(split, name):
    return [tuple(row) for row in split.regions(name, SIZES).itertuples(index=False)]


def whole(*names):
    return [(name, 0, SIZES[name]) for name in names]


def test_what_is_not_held_out_trains():
    split = ChromosomeSplit(validation=("chr2",), test=("chr3", "chr5"))
    assert places(split, "validation") == whole("chr2")
    assert places(split, "test") == whole("chr3", "chr5")
    assert places(split, "train") == whole("chr1", "chr4", "chr6", "chr7")


def test_part_of_a_chromosome_is_held_out_and_the_rest_of_it_trains():
    split = ChromosomeSplit(validation=("chr1:101-200",), test=("chr1:801-900", "chr2"))
    assert places(split, "validation") == [("chr1", 100, 200)]
    assert places(split, "test") == [("chr1", 800, 900), *whole("chr2")]
    assert places(split, "train")[:2] == [("chr1", 0, 100), ("chr1", 200, 800)]
    bases = sum(end - start for name in ("train", "validation", "test") for _, start, end in places(split, name))
    assert bases == sum(SIZES.values())


@pytest.mark.parametrize(
    ("validation", "test", "asked", "message"),
    [
        (("chr9",), (), "train", "the genome has no chr9; it has chr1, chr2"),
        (("chr1",), (), "test", "no chromosome is left for test"),
        (("chr1",), ("chr2",), "ood", "one of train, validation, test; 'ood' was"),
        (("chr1:1-100",), ("chr1:100-200",), "test", "two parts of chr1 overlap at base 100"),
        (("chr1:1-100",), ("chr1",), "train", "two parts of chr1 overlap"),
        (("chr1:5-4",), (), "train", "chr1:5-4 is not a part of chr1, which has bases 1 to 900"),
        (("chr1:1-901",), (), "train", "is not a part of chr1"),
    ],
)
def test_what_cannot_be_split(validation, test, asked, message):
    with pytest.raises(InputError, match=message):
        ChromosomeSplit(validation, test).regions(asked, SIZES)


def test_a_chromosome_named_twice():
    with pytest.raises(InputError, match="chr2 is named twice"):
        ChromosomeSplit(validation=("chr2",), test=("chr2",))
