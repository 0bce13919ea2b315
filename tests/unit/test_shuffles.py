"""Shuffles: what they keep, what they do not, and that seeds mean something."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tfbs_moe.data.negatives.shuffles import block_shuffle, dinucleotide_counts, dinucleotide_shuffle, unchanged
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import encode


def random_codes(count: int, length: int, letters: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(letters, size=(count, length), dtype=np.uint8)


def test_dinucleotide_counts_of_a_known_sequence():
    counts = dinucleotide_counts(encode(["AACGN", "TTTTT"])).reshape(2, 5, 5)
    assert counts[0, 0, 0] == counts[0, 0, 1] == counts[0, 1, 2] == counts[0, 2, 4] == 1
    assert counts[1, 3, 3] == 4
    assert counts.sum() == 8


@pytest.mark.parametrize("letters", [4, 5])
def test_dinucleotide_shuffle_is_exact(letters):
    codes = random_codes(300, 101, letters)
    shuffled = dinucleotide_shuffle(codes, np.random.default_rng(1))
    assert (dinucleotide_counts(codes) == dinucleotide_counts(shuffled)).all()
    assert (codes[:, [0, -1]] == shuffled[:, [0, -1]]).all()
    assert not unchanged(codes, shuffled).any()
    # A shuffle that moved little would leave most letters in place; at random a quarter stays.
    assert (codes == shuffled).mean() < 0.35


def test_each_row_is_drawn_by_itself():
    codes = np.repeat(random_codes(1, 60), 20, axis=0)
    shuffled = dinucleotide_shuffle(codes, np.random.default_rng(2))
    assert len(np.unique(shuffled, axis=0)) == 20
    first = dinucleotide_shuffle(codes[:7], np.random.default_rng(2))
    assert (first == shuffled[:7]).all()
    other = dinucleotide_shuffle(codes, np.random.default_rng(3))
    assert (other != shuffled).any()


def test_sequences_without_another_shuffle_are_seen():
    codes = encode(["AAAAAAAA", "ACACACAC", "ACGTACTG"])
    shuffled = dinucleotide_shuffle(codes, np.random.default_rng(0))
    assert unchanged(codes, shuffled)[:2].all()


@settings(max_examples=60)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 13)), elements=st.integers(0, 4)), st.integers(0, 99)
)
def test_block_shuffle_permutes_pairs_from_the_first_letter_on(codes, seed):
    shuffled = block_shuffle(codes, np.random.default_rng(seed))
    assert shuffled.shape == codes.shape and shuffled.dtype == np.uint8
    length = codes.shape[1]
    for before, after in zip(codes.tolist(), shuffled.tolist(), strict=True):
        blocks = sorted(tuple(before[place : place + 2]) for place in range(0, length, 2))
        # With an odd length the single letter may stand anywhere: at every even place one may have been put.
        readings = [
            sorted([tuple(rest[place : place + 2]) for place in range(0, len(rest), 2)] + [(after[single],)])
            for single in range(0, length, 2)
            for rest in [after[:single] + after[single + 1 :]]
        ]
        assert blocks in (readings if length % 2 else [sorted(zip(after[::2], after[1::2], strict=True))])


def test_block_shuffle_does_not_keep_dinucleotides_and_is_seeded():
    codes = random_codes(200, 101)
    shuffled = block_shuffle(codes, np.random.default_rng(5))
    assert (np.sort(codes, axis=1) == np.sort(shuffled, axis=1)).all()
    assert (dinucleotide_counts(codes) != dinucleotide_counts(shuffled)).any(axis=1).mean() > 0.99
    assert (shuffled == block_shuffle(codes, np.random.default_rng(5))).all()
    # Rows have orders of their own.
    same = np.repeat(codes[:1], 10, axis=0)
    assert len(np.unique(block_shuffle(same, np.random.default_rng(6)), axis=0)) == 10


def test_block_shuffle_orders_are_uniform():
    codes = np.tile(encode(["ACGTT"]), (6000, 1))  # blocks AC, GT, T: six orders
    _, counts = np.unique(block_shuffle(codes, np.random.default_rng(0)), axis=0, return_counts=True)
    assert len(counts) == 6
    assert (np.abs(counts - 1000) < 120).all()  # four standard deviations


def test_no_sequences_and_wrong_types():
    none = np.zeros((0, 10), dtype=np.uint8)
    draw = np.random.default_rng(0)
    assert dinucleotide_shuffle(none, draw).shape == block_shuffle(none, draw).shape == (0, 10)
    with pytest.raises(InputError, match="codes must be uint8"):
        block_shuffle(np.zeros((2, 3)), draw)
