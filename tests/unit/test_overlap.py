"""Shared k-mers, against a plain search of strings and against the paper's own files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfbs_moe.data import kmers
from tfbs_moe.data.deepbind import read_deepbind
from tfbs_moe.data.kmers import DEFAULT_K, KmerIndex, canonical_kmers, distinct, sequence_ids
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import encode

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
SEQUENCES = st.integers(1, 9).flatmap(
    lambda length: st.lists(st.text("ACGTN", min_size=length, max_size=length), min_size=1, max_size=6)
)


def turned(sequence: str) -> str:
    return sequence.translate(COMPLEMENT)[::-1]


def shared_kmers(query: np.ndarray, reference: np.ndarray, k: int = DEFAULT_K) -> np.ndarray:
    """Which sequences of a query share a k-mer with a reference, as the audit of test rows asks."""
    index, places = KmerIndex.with_places(query, k)
    return np.append(index.held_by(reference), False)[places].any(axis=1)


def words(sequence: str, k: int) -> set[str]:
    found = {sequence[start : start + k] for start in range(len(sequence) - k + 1)}
    return {min(kmer, turned(kmer)) for kmer in found if "N" not in kmer}


@settings(max_examples=150)
@given(SEQUENCES, SEQUENCES, st.integers(1, 5))
def test_agrees_with_a_search_of_strings(query, reference, k):
    wanted = set().union(*(words(sequence, k) for sequence in reference))
    expected = [bool(words(sequence, k) & wanted) for sequence in query]
    assert shared_kmers(encode(query), encode(reference), k).tolist() == expected
    assert len(KmerIndex.with_places(encode(reference), k)[0].kmers) == len(wanted)


@settings(max_examples=60)
@given(SEQUENCES)
def test_sequence_ids_are_equal_on_either_strand_and_only_then(sequences):
    ids = sequence_ids(encode(sequences))
    keys = [min(sequence, turned(sequence)) for sequence in sequences]
    for row, key in enumerate(keys):
        assert [bool(same) for same in ids == ids[row]] == [key == other for other in keys]


def test_words_of_31_letters_use_all_their_bits():
    draw = np.random.default_rng(0)
    reference = draw.integers(4, size=(3, 80), dtype=np.uint8)
    hit = draw.integers(4, size=(4, 50), dtype=np.uint8)
    hit[0, 5:36] = reference[1, 20:51]  # 31 in common
    hit[1, 5:35] = reference[1, 20:50]  # 30: the letter after them differs
    hit[1, 35] = (reference[1, 50] + 1) % 4
    hit[1, 4] = (reference[1, 19] + 1) % 4
    hit[2, 10:41] = 3 - reference[2, 40:71][::-1]  # the other strand
    assert shared_kmers(hit, reference).tolist() == [True, False, True, False]
    assert shared_kmers(hit, reference, 30).tolist() == [True, True, True, False]


def test_long_rows_and_many_rows_are_cut_without_loss(monkeypatch):
    draw = np.random.default_rng(1)
    genome = draw.integers(4, size=(1, 5000), dtype=np.uint8)
    starts = draw.integers(0, 4900, size=40)
    queries = np.stack([genome[0, start : start + 60] for start in starts])
    queries[::2] = draw.integers(4, size=queries[::2].shape)
    expected = shared_kmers(queries, genome)
    assert expected.tolist() == [False, True] * 20
    monkeypatch.setattr(kmers, "_BLOCK_KMERS", 37)
    assert (shared_kmers(queries, genome) == expected).all()
    assert (shared_kmers(genome, queries)).all()


def test_sequences_shorter_than_k_share_nothing():
    short = encode(["ACGTACGT"])
    assert not shared_kmers(short, short, 9).any()
    assert canonical_kmers(short, 9)[0].shape == (1, 0)
    assert len(KmerIndex.with_places(short, 9)[0].kmers) == 0


def test_distinct_sorts_and_drops_repeats():
    assert distinct(np.array([[3, 1], [3, 2]])).tolist() == [1, 2, 3]
    assert distinct(np.zeros(0)).size == 0


@pytest.mark.parametrize("k", [0, 32])
def test_k_has_limits(k):
    with pytest.raises(InputError, match="k must be 1 to 31"):
        shared_kmers(encode(["ACGT"]), encode(["ACGT"]), k)


@pytest.mark.parametrize(
    ("factor", "percent"), [("CTCF", 59), ("BCLAF1", 45), ("POLR2A", 20), ("STAT3", 15), ("SAP30", 13), ("RBBP5", 9)]
)
def test_finds_what_is_known_of_the_papers_files(training_positives, paper_files, factor, percent):
    (path,) = (paper_files / "ood").glob(f"{factor}_*")
    table = read_deepbind(path)
    positives = encode(table.sequence[table.label == 1].tolist())
    assert round(100 * shared_kmers(positives, training_positives).mean()) == percent


@pytest.fixture(scope="module")
def paper_files(shared_data):
    (folder,) = shared_data.glob("mirror/raw.githubusercontent.com/lab-rasool/TFBS/*/data")
    return folder


@pytest.fixture(scope="module")
def training_positives(paper_files):
    tables = [read_deepbind(path) for path in sorted((paper_files / "train").iterdir())]
    return np.concatenate([encode(table.sequence.tolist()) for table in tables])
