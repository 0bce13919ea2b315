"""What many datasets share, against a plain count of strings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfbs_moe.data import kmers
from tfbs_moe.data.kmers import kmers_in_common, shared_sequences
from tfbs_moe.sequence import ALPHABET, encode

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
LENGTH = 6
DATASETS = st.lists(
    st.lists(st.text("ACGN", min_size=LENGTH, max_size=LENGTH), min_size=1, max_size=5), min_size=1, max_size=4
)


def canonical(text: str) -> str:
    return min(text, text.translate(COMPLEMENT)[::-1])


def words(sequence: str, k: int) -> set[str]:
    found = {sequence[start : start + k] for start in range(len(sequence) - k + 1)}
    return {canonical(kmer) for kmer in found if "N" not in kmer}


def expected(datasets: list[list[str]], things) -> list[list[int]]:
    table = []
    for mine, dataset in enumerate(datasets):
        for row, sequence in enumerate(dataset):
            counts = []
            for other, rows in enumerate(datasets):
                elsewhere = [text for place, text in enumerate(rows) if other != mine or place != row]
                held = set().union(*(things(text) for text in elsewhere))
                counts.append(len(things(sequence) & held))
            table.append(counts)
    return table


@settings(max_examples=120)
@given(DATASETS, st.integers(1, 4), st.integers(1, 40))
def test_counts_agree_with_sets_of_strings(datasets, k, kmers_per_pass):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kmers, "_PASS_KMERS", kmers_per_pass)
        patch.setattr(kmers, "_BLOCK_KMERS", 2)
        found = kmers_in_common([encode(dataset) for dataset in datasets], k)
    assert found.held.toarray().tolist() == expected(datasets, lambda text: words(text, k))
    assert found.things.tolist() == [len(words(text, k)) for dataset in datasets for text in dataset]
    assert found.dataset_of_row.tolist() == [number for number, rows in enumerate(datasets) for _ in rows]


@settings(max_examples=60)
@given(DATASETS)
def test_equal_sequences_are_found_on_either_strand(datasets):
    found = shared_sequences([encode(dataset) for dataset in datasets])
    assert found.held.toarray().tolist() == expected(datasets, lambda text: {canonical(text)})


def test_nothing_shared_and_nothing_there():
    codes = np.random.default_rng(0).integers(4, size=(2, 5, 60), dtype=np.uint8)
    assert kmers_in_common(list(codes)).held.nnz == 0
    none = np.zeros((0, 60), dtype=np.uint8)
    assert kmers_in_common([none, none]).held.shape == (0, 2)
    short = encode([ALPHABET, ALPHABET])
    assert kmers_in_common([short]).things.tolist() == [0, 0]
