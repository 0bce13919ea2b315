"""Composition alone: nothing to find in exact shuffles, plenty in others, and no leaks between folds."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from tfbs_moe.data.audit.composition import composition_auroc, kmer_counts
from tfbs_moe.data.dataset import Dataset, make_dataset
from tfbs_moe.data.negatives.shuffles import block_shuffle, dinucleotide_shuffle
from tfbs_moe.data.related import draw_groups, row_groups
from tfbs_moe.errors import InputError
from tfbs_moe.runtime import named_seed
from tfbs_moe.sequence import encode, one_hot_from_codes


def biased_codes(count: int, seed: int = 0, gc: float = 0.5) -> np.ndarray:
    """Return sequences in which a letter mostly repeats the one before: dinucleotides are far from even."""
    draw = np.random.default_rng(seed)
    codes = draw.choice(4, size=(count, 101), p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]).astype(np.uint8)
    for place in range(1, 101):
        stay = draw.random(count) < 0.4
        codes[stay, place] = codes[stay, place - 1]
    return codes


def dataset(positives: np.ndarray, negatives: np.ndarray, paired: bool = True) -> Dataset:
    count = len(positives)
    return make_dataset(
        one_hot_from_codes(np.concatenate([positives, negatives])),
        np.repeat([1, 0], [count, len(negatives)]),
        pair=np.tile(np.arange(count), 2) if paired else None,
    )


def aurocs(data: Dataset, **options) -> dict[int, float]:
    table = composition_auroc(data, **options)
    return dict(zip(table.kmer_length, table.auroc, strict=True))


def test_counts_of_words_leave_out_n():
    counts = kmer_counts(encode(["AACAN", "NNNNN"]), 2).toarray()
    assert counts[0, [0, 1, 4]].tolist() == [1, 1, 1] and counts.sum() == 3
    assert kmer_counts(encode(["ACG"]), 6).toarray().sum() == 0


def test_exact_shuffles_cannot_be_told_by_dinucleotides_and_block_shuffles_can():
    codes = biased_codes(300)
    exact = aurocs(dataset(codes, dinucleotide_shuffle(codes, np.random.default_rng(1))))
    assert exact[1] == exact[2] == 0.5
    block = aurocs(dataset(codes, block_shuffle(codes, np.random.default_rng(1))))
    assert block[1] == 0.5 and block[2] > 0.8


@pytest.mark.parametrize("count", [20, 150])
def test_composition_is_judged_as_scikit_learn_judges_it(count):
    """The regression, its scaling and the area, fold by fold."""
    codes, made = biased_codes(count), biased_codes(count, 1, gc=0.45)
    found = aurocs(dataset(codes, made, paired=False), seed=3, name="e")
    both, label = np.concatenate([codes, made]), np.repeat([1, 0], count)
    folds = GroupKFold(5, shuffle=True, random_state=named_seed(3, "composition folds", "e") % 2**32)
    splits = list(folds.split(both, groups=row_groups(both, np.full(2 * count, -1))))
    for k, penalty in {1: 1e3, 2: 1e2, 3: 1e1, 6: 0.01}.items():
        counts, model = kmer_counts(both, k), make_pipeline(MaxAbsScaler(), LogisticRegression(C=penalty, max_iter=300))
        fitted = [
            (model.fit(counts[train], label[train]).decision_function(counts[test]), test) for train, test in splits
        ]
        wanted = np.mean([roc_auc_score(label[test], score) for score, test in fitted])
        assert found[k] == pytest.approx(wanted, abs=1e-9), k


def test_negatives_of_another_gc_are_told_by_letters():
    found = aurocs(dataset(biased_codes(200, 1, gc=0.6), biased_codes(200, 2, gc=0.4), paired=False), kmer_lengths=(1,))
    assert found[1] > 0.9


def test_a_planted_word_is_found_by_words_alone():
    positives, negatives = biased_codes(300, 1), biased_codes(300, 2)
    positives[:, 40:48] = encode(["ACGTACGA"])[0]
    found = aurocs(dataset(positives, negatives, paired=False))
    assert found[1] < 0.65 < 0.9 < found[6]


def test_repeats_of_a_row_cannot_help_from_another_fold():
    draw = np.random.default_rng(3)
    codes = draw.integers(4, size=(40, 101), dtype=np.uint8)
    label = draw.permutation(np.repeat([0, 1], 20))
    # Each sequence ten times: were repeats parted, every test row would be known from training.
    data = make_dataset(one_hot_from_codes(np.repeat(codes, 10, axis=0)), np.repeat(label, 10))
    assert abs(aurocs(data, kmer_lengths=(6,))[6] - 0.5) < 0.25


def test_large_datasets_are_thinned_by_whole_groups_and_the_seed_decides():
    codes = biased_codes(600)
    data = dataset(codes, block_shuffle(codes, np.random.default_rng(1)))
    table = composition_auroc(data, kmer_lengths=(2,), max_rows=301, name="x")
    assert table.rows.tolist() == [302]
    assert table.equals(composition_auroc(data, kmer_lengths=(2,), max_rows=301, name="x"))
    assert not table.equals(composition_auroc(data, kmer_lengths=(2,), max_rows=301, name="y"))


@pytest.mark.parametrize("rows", [0, 3, 30])
def test_too_few_rows_or_one_class_give_no_number(rows):
    data = make_dataset(one_hot_from_codes(biased_codes(30)[:rows]), np.ones(rows))
    assert np.isnan(list(aurocs(data, kmer_lengths=(1,)).values())).all()


def test_word_lengths_have_limits():
    with pytest.raises(InputError, match="must be 1 to 8"):
        composition_auroc(dataset(biased_codes(10), biased_codes(10)), kmer_lengths=(9,))


def test_groups_join_pairs_and_repeats_transitively():
    codes = encode(["AACC", "ACGA", "GGTT", "CCCA", "TTTT", "TGGG"])  # 0 and 2, 3 and 5 are the same on two strands
    assert row_groups(codes, np.array([0, 1, -1, 0, 4, 1], dtype=np.int32)).tolist() == [0, 0, 0, 0, 1, 0]
    assert row_groups(codes, np.full(6, -1, dtype=np.int32)).tolist() == [0, 1, 0, 2, 3, 2]


def test_groups_are_drawn_whole():
    groups = np.repeat(np.arange(50), 3)
    taken = draw_groups(groups, 0.2, np.random.default_rng(0))
    assert taken.sum() == 30 and all(len(set(taken[groups == group])) == 1 for group in range(50))
