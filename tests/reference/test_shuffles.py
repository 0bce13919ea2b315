"""Shuffles are uniform over all sequences with the same dinucleotides: χ² against what a search finds."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from peak_files import as_text
from tfbs_moe.data.negatives.shuffles import dinucleotide_shuffle
from tfbs_moe.sequence import encode

DRAWS = 20_000
# The draws are the same each time, so that this is no chance of failing.
SMALLEST_P = 1e-3


def all_shuffles(text: str) -> set[str]:
    """Every sequence that begins with the same letter and has the same pairs, letter by letter."""
    found = set()

    def grow(path: str, left: Counter) -> None:
        if not left:
            found.add(path)
        for pair in list(left):
            if pair[0] == path[-1]:
                grow(path + pair[1], left - Counter([pair]))

    grow(text[0], Counter(a + b for a, b in zip(text, text[1:], strict=False)))
    return found


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("ACAGATACA", 12),
        ("ACGTACGTAA", 3),
        ("AACAGCAATA", None),
        ("ACACGCGTGTAT", None),
        ("NACNNGANCAG", None),
        ("TTGATTACATT", None),
        ("CCCCCAAACC", None),
        ("ACCCCCCCCCCGA", None),
        ("AAAAAAAA", 1),
        ("ACACACAC", 1),
        ("ACGT", 1),
        ("AC", 1),
        ("A", 1),
    ],
)
def test_every_shuffle_is_equally_likely(text: str, number: int | None) -> None:
    expected = sorted(all_shuffles(text))
    assert number in (None, len(expected)) and text in expected
    shuffled = dinucleotide_shuffle(np.repeat(encode([text]), DRAWS, axis=0), np.random.default_rng(0))
    counts = Counter(map(as_text, shuffled))
    assert set(counts) == set(expected)
    if len(expected) > 1:
        assert chisquare([counts[each] for each in expected]).pvalue > SMALLEST_P


@pytest.mark.parametrize("seed", range(5))
def test_random_sequences_have_uniform_shuffles_too(seed: int) -> None:
    draw = np.random.default_rng(seed)
    text = as_text(draw.choice(5, 11, p=[0.4, 0.3, 0.2, 0.05, 0.05]).astype(np.uint8))
    expected = sorted(all_shuffles(text))
    assert len(expected) > 3
    shuffled = dinucleotide_shuffle(np.repeat(encode([text]), DRAWS, axis=0), draw)
    counts = Counter(map(as_text, shuffled))
    assert set(counts) == set(expected) and chisquare([counts[each] for each in expected]).pvalue > SMALLEST_P


def test_last_edges_move_in_long_sequences() -> None:
    """Of 101 random bases the last letter but one is that of the positive in a quarter to a third, not in all."""
    codes = np.random.default_rng(0).integers(4, size=(5000, 101), dtype=np.uint8)
    shuffled = dinucleotide_shuffle(codes, np.random.default_rng(1))
    assert 0.26 < (codes[:, -2] == shuffled[:, -2]).mean() < 0.32
    assert (codes[:, -1] == shuffled[:, -1]).all()
