"""Relatives of rows, one by one: places that overlap, one sequence, and words where there is no place."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tfbs_moe.data.dataset import make_dataset
from tfbs_moe.data.related import Pieces, are_related, met_in_folds, relatives
from tfbs_moe.sequence import one_hot_from_codes

FOLDS = 2


def turned(codes: np.ndarray) -> np.ndarray:
    return np.where(codes == 4, 4, 3 - codes)[::-1]


@cache
def words(letters: bytes) -> set[bytes]:
    codes = np.frombuffer(letters, dtype=np.uint8)
    both = [strand[at : at + 31] for strand in (codes, turned(codes)) for at in range(len(strand) - 30)]
    return {word.tobytes() for word in both if 4 not in word}


def are_kin(one: Pieces, row: int, two: Pieces, other: int) -> bool:
    """Compare two rows by the letter of the rule."""
    mine, theirs = one.codes[row], two.codes[other]
    if (mine == theirs).all() or (mine == turned(theirs)).all():
        return True
    if one.chrom[row] and two.chrom[other]:
        near = abs(int(one.start[row]) - int(two.start[other])) < len(mine)
        return one.assembly == two.assembly and one.chrom[row] == two.chrom[other] and near
    return bool(words(mine.tobytes()) & words(theirs.tobytes()))


def drawn(seed: int, length: int, sets: int, placed: float) -> list[Pieces]:
    """Windows of one small genome, some turned round, some with an unknown base, some of them without a place."""
    draw = np.random.default_rng(seed)
    genome = draw.integers(0, 4, 700).astype(np.uint8)
    # A repeat: two places with one sequence.
    genome[396:516] = genome[:120]
    found = []
    for _ in range(sets):
        start = 12 * draw.integers(0, (len(genome) - length) // 12, 14)
        codes = np.array([genome[at : at + length] for at in start])
        flip = draw.random(len(codes)) < 0.5
        codes[flip] = [turned(one) for one in codes[flip]]
        codes[draw.random(len(codes)) < 0.3, length // 2] = 4
        known = draw.random(len(codes)) < placed
        found.append(Pieces(codes, np.where(known, "chr1", ""), np.where(known, start, -1), "hg19"))
    return found


@pytest.mark.parametrize("length", [20, 31, 50])
@pytest.mark.parametrize("placed", [0.0, 0.5, 1.0])
def test_relatives_are_those_that_a_look_at_every_pair_finds(length: int, placed: float) -> None:
    for seed in range(2):
        sets = drawn(seed, length, 3, placed)
        expected = [
            [
                any(are_kin(one, row, two, other) for other in range(14) if not (one is two and row == other))
                for two in sets
            ]
            for one in sets
            for row in range(14)
        ]
        assert ((relatives(sets).toarray() > 0) == np.array(expected)).all()
        assert 0 < np.mean(expected) < 1
        found = are_related(sets[:2], sets[2:])
        assert np.concatenate(found).tolist() == [row[2] for row in expected[:28]]


def test_places_of_two_assemblies_are_no_relatives() -> None:
    one, two = (Pieces(part.codes[:1], part.chrom[:1], np.array([5]), "hg19") for part in drawn(0, 50, 2, 1.0))
    assert are_related([one], [two])[0].all()
    assert not are_related([one], [two._replace(assembly="hg38")])[0].any()


def test_sets_without_rows_have_no_relatives() -> None:
    some = drawn(0, 50, 1, 0.5)[0]
    none = some.take(np.zeros(14, dtype=bool))
    assert relatives([none, some, none]).shape == (14, 3) and relatives([none]).shape == (0, 1)
    assert [found.shape for found in are_related([none, some], [none])] == [(0,), (14,)]


@pytest.mark.parametrize("placed", [0.0, 1.0])
def test_a_network_met_a_row_in_every_fold_that_holds_it_or_a_relative(placed: float) -> None:
    sets = drawn(3, 50, 3, placed)
    draw = np.random.default_rng(1)
    folds = [draw.integers(0, FOLDS, 14) for _ in range(2)]
    # An expert of the first experiment, one of the second, and a network pooled over both.
    trained_on = np.array([[True, False], [False, True], [True, True]])
    met = met_in_folds(sets[:2], folds, sets[2:], trained_on, FOLDS).toarray().reshape(42, 3, FOLDS) > 0
    for number, (one, row) in enumerate((one, row) for one in range(3) for row in range(14)):
        for network in range(3):
            expected = {
                int(folds[two][other])
                for two in np.flatnonzero(trained_on[network])
                for other in range(14)
                if (one, row) == (two, other) or are_kin(sets[one], row, sets[two], other)
            }
            assert set(np.flatnonzero(met[number, network])) == expected
    assert met[:28].any(2).sum() > met[:28, 2].any(1).sum() and (met.sum(2) == 2).any()


def test_pieces_of_a_dataset_are_its_rows() -> None:
    codes = np.array([[0, 1, 2, 3, 4]], dtype=np.uint8)
    rows = make_dataset(one_hot_from_codes(codes), [1], chrom=["chr2"], start=np.array([7]), end=np.array([12]),
                        strand=["."], attributes={"assembly": "hg38"})  # fmt: skip
    found = Pieces.of(rows)
    assert (found.codes == codes).all() and found.chrom[0] == "chr2" and found.start[0] == 7
    assert found.assembly == "hg38" and Pieces.of(replace(rows, attributes={})).assembly == ""
