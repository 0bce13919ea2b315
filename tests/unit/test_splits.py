"""Splits by chromosome."""

import pytest

from tfbs_moe.data.splits import ChromosomeSplit, fold_split
from tfbs_moe.errors import InputError

SIZES = {f"chr{i}": 1000 - 100 * i for i in range(1, 8)}


def test_what_is_not_held_out_trains():
    split = ChromosomeSplit(validation=("chr2",), test=("chr3", "chr5"))
    assert split.chromosomes("validation", SIZES) == ["chr2"]
    assert split.chromosomes("test", SIZES) == ["chr3", "chr5"]
    assert split.chromosomes("train", SIZES) == ["chr1", "chr4", "chr6", "chr7"]


def test_what_cannot_be_split():
    with pytest.raises(InputError, match="chr2 is named twice"):
        ChromosomeSplit(validation=("chr2",), test=("chr2",))
    with pytest.raises(InputError, match="the genome has no chr9; it has chr1, chr2"):
        ChromosomeSplit(validation=("chr9",), test=()).chromosomes("train", SIZES)
    with pytest.raises(InputError, match="no chromosome is left for test"):
        ChromosomeSplit(validation=("chr1",), test=()).chromosomes("test", SIZES)
    with pytest.raises(InputError, match="one of train, validation, test; 'ood' was"):
        ChromosomeSplit(validation=("chr1",), test=("chr2",)).chromosomes("ood", SIZES)


def test_every_chromosome_tests_once_and_validates_once_and_folds_are_of_like_size():
    splits = [fold_split(SIZES, 3, fold) for fold in range(3)]
    assert sorted(chrom for split in splits for chrom in split.test) == sorted(SIZES)
    assert sorted(chrom for split in splits for chrom in split.validation) == sorted(SIZES)
    assert not any(set(split.test) & set(split.validation) for split in splits)
    bases = [sum(SIZES[chrom] for chrom in split.test) for split in splits]
    assert max(bases) - min(bases) <= max(SIZES.values()) / 2


@pytest.mark.parametrize(("folds", "fold"), [(2, 0), (8, 0), (3, 3), (3, -1)])
def test_folds_that_do_not_exist(folds, fold):
    with pytest.raises(InputError, match="folds"):
        fold_split(SIZES, folds, fold)
