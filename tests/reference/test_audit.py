"""What an audit finds, beside counts and searches of strings: shuffles, shared stretches, groups, probabilities."""

import itertools
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare, wasserstein_distance
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from peak_files import as_text
from tfbs_moe.data.audit import composition
from tfbs_moe.data.audit.negatives_found import block_signatures, dinucleotide_signature, find_negatives
from tfbs_moe.data.audit.training_overlap import training_overlaps
from tfbs_moe.data.dataset import make_dataset
from tfbs_moe.data.negatives.shuffles import block_shuffle, dinucleotide_shuffle
from tfbs_moe.data.related import draw_groups
from tfbs_moe.evaluation.calibration import OOD_P, Calibration, calibration_quality
from tfbs_moe.evaluation.metrics_with_intervals import IDENTITY
from tfbs_moe.sequence import encode, one_hot_from_codes, reverse_complement
from tfbs_moe.statistics.hypothesis_tests.linear_models import sphericity

SEEDS = range(3)
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def blocks_of(text: str, single: int) -> list[str]:
    """Cut a text into pairs, but for one base alone after so many pairs, if its length is odd."""
    first, rest = text[: 2 * single], text[2 * single :]
    odd = len(text) % 2
    pairs = [each[at : at + 2] for each in (first, rest[odd:]) for at in range(0, len(each), 2)]
    return sorted([*pairs, *([rest[0]] if odd else [])])


@pytest.mark.parametrize("length", [6, 7])
@pytest.mark.parametrize("seed", SEEDS)
def test_signatures_are_equal_where_what_they_stand_for_is(seed: int, length: int) -> None:
    codes = np.random.default_rng(seed).choice(5, (60, length), p=[0.45, 0.45, 0.04, 0.03, 0.03]).astype(np.uint8)
    texts, pairs, cuts = [as_text(row) for row in codes], dinucleotide_signature(codes), block_signatures(codes)
    assert cuts.shape == (60, 1 if length == 6 else 4)
    alike = 0
    for one, two in itertools.combinations(range(60), 2):
        counted = [
            (Counter(map("".join, itertools.pairwise(text))), text[0], text[-1]) for text in (texts[one], texts[two])
        ]
        assert (pairs[one] == pairs[two]) == (counted[0] == counted[1])
        for place in range(cuts.shape[1]):
            same = blocks_of(texts[one], place) == blocks_of(texts[two], cuts.shape[1] - 1)
            assert (cuts[one, place] == cuts[two, -1]) == same
            alike += same
    assert alike > 5


@pytest.mark.parametrize("text", ["ACGT", "ACGTTGA", "AACCG"])
def test_every_order_of_blocks_is_equally_likely(text: str) -> None:
    blocks = [text[at : at + 2] for at in range(0, len(text), 2)]
    expected = Counter("".join(order) for order in itertools.permutations(blocks))
    found = Counter(map(as_text, block_shuffle(np.repeat(encode([text]), 20_000, axis=0), np.random.default_rng(0))))
    assert set(found) == set(expected)
    share = 20_000 / expected.total()
    assert chisquare([found[each] for each in expected], [n * share for n in expected.values()]).pvalue > 1e-3


@pytest.mark.parametrize("seed", SEEDS)
def test_negatives_are_told_by_what_they_keep(seed: int) -> None:
    """Three kinds mixed in known numbers; a shuffle of a positive that is not its own counts as well."""
    draw = np.random.default_rng(seed)
    bound = draw.integers(0, 4, (60, 41)).astype(np.uint8)
    exact, cut = dinucleotide_shuffle(bound[:30], draw)[::-1], block_shuffle(bound[30:40], draw)
    other = draw.choice(4, (20, 41), p=[0.1, 0.4, 0.4, 0.1]).astype(np.uint8)
    unbound = np.concatenate([exact, cut, other])
    found = find_negatives(make_dataset(one_hot_from_codes(np.concatenate([bound, unbound])), np.repeat([1, 0], 60)))
    assert (found.dinucleotide_shuffle, found.block_shuffle, found.base_shuffle) == (30 / 60, 10 / 60, 0)
    assert found.kind == "mixture" and found.in_order == 0
    shares = [np.isin(codes, [1, 2]).mean(axis=1) for codes in (bound, unbound)]
    assert found.gc_mismatch == pytest.approx(wasserstein_distance(*shares))


@pytest.mark.parametrize("k", [5, 31])
@pytest.mark.parametrize("seed", SEEDS)
def test_overlap_with_training_is_that_of_a_search_of_strings(seed: int, k: int) -> None:
    """Stretches of k and of k - 1 bases, on either strand, with an N within or not; the same row twice."""
    draw = np.random.default_rng(seed)
    length = k + 9
    training = {name: draw.choice(5, (6, length), p=[0.24] * 4 + [0.04]).astype(np.uint8) for name in "AB"}
    parts = []
    for rows in (7, 9):
        codes = draw.integers(0, 4, (rows, length)).astype(np.uint8)
        for row, (name, whole) in enumerate(itertools.product("AB", (True, False))):
            at, to, size = *draw.integers(0, 9, 2), k if whole else k - 1
            piece = training[name][row, at : at + size]
            turned = np.where(piece < 4, 3 - piece, 4)[::-1] if row % 2 else piece
            codes[row, to : to + size] = turned
        codes[-1] = codes[0]
        parts.append(make_dataset(one_hot_from_codes(codes), np.ones(rows)))

    def words(codes: np.ndarray) -> set[str]:
        text = as_text(codes)
        return {text[at : at + k] for at in range(length - k + 1) if "N" not in text[at : at + k]}

    known = {name: set().union(*map(words, codes)) for name, codes in training.items()}
    known = {name: own | {each.translate(COMPLEMENT)[::-1] for each in own} for name, own in known.items()}
    for part, table in zip(parts, training_overlaps(parts, training.items(), k), strict=True):
        own = [words(each.argmax(0) + 4 * (each.sum(0) == 0)) for each in part.one_hot]
        for name in "AB":
            assert table[f"shares_kmer_{name}"].tolist() == [bool(each & known[name]) for each in own]
        assert table["overlaps_training"].tolist() == [bool(each & (known["A"] | known["B"])) for each in own]
        assert table["row"].tolist() == list(range(len(part)))
    turned = [make_dataset(reverse_complement(part.one_hot), part.label) for part in parts]
    for one, two in zip(*(training_overlaps(each, training.items(), k) for each in (parts, turned)), strict=True):
        pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("seed", SEEDS)
def test_groups_stay_whole_and_what_counts_tell_is_judged_on_rows_that_did_not_teach(seed: int) -> None:
    draw = np.random.default_rng(seed)
    groups = draw.integers(0, 40, 100)
    kept = draw_groups(groups, 0.5, draw)
    assert all(len(set(kept[groups == one])) == 1 for one in groups)
    largest = np.bincount(groups).max()
    assert 50 <= kept.sum() < 50 + largest
    codes = draw.integers(0, 4, (120, 30)).astype(np.uint8)
    codes[:60] = np.where(draw.random((60, 30)) < 0.15, 2, codes[:60])
    rows = make_dataset(one_hot_from_codes(codes), np.repeat([1, 0], 60), pair=np.tile(np.arange(60), 2))
    splits = composition._folds(rows.label, np.tile(np.arange(60), 2), 4, seed)
    tested = np.concatenate([test for _, test in splits])
    assert sorted(tested) == list(range(120)) and all(set(a % 60).isdisjoint(b % 60) for a, b in splits)
    counts = composition.kmer_counts(codes, 2)
    areas = []
    for train, test in splits:
        weights = composition._weights(counts[train], rows.label[train], 100.0)
        areas.append(roc_auc_score(rows.label[test], counts[test] @ weights))
    assert composition._mean_auroc(counts, rows.label, splits, 100.0) == pytest.approx(np.mean(areas))
    table = composition.composition_auroc(rows, kmer_lengths=(1, 2), folds=4, seed=seed)
    # More G, and nothing else, tells them apart.
    assert (table["auroc"] > 0.6).all() and (table["rows"] == 120).all()
    few = composition.composition_auroc(rows, kmer_lengths=(1,), folds=4, max_rows=60, seed=seed)
    assert few["rows"].tolist() == [60]


@pytest.mark.parametrize("seed", SEEDS)
def test_probabilities_are_judged_before_and_after_the_calibration_of_their_kind(seed: int) -> None:
    draw = np.random.default_rng(seed)
    label = draw.permutation(np.arange(80) < 30).astype(np.uint8)
    logit = draw.normal(size=80) * 3
    p = draw.random(80)
    p[:2] = 0.05
    table = pd.DataFrame({"row": range(80), "label": label, "model": "moe.g", "seed": 0, "logit": logit, OOD_P: p})
    known = {
        kind: Calibration(kind, scale, shift, 100, 0.4, {}, {})
        for kind, scale, shift in (("a", 0.4, -0.2), ("b", 1.0, 2.0))
    }
    for kind, fitted in (("a", "a"), ("b", "b"), ("other", "a")):
        identity = dict.fromkeys(IDENTITY, "x") | {"negatives": kind}
        (row,) = calibration_quality(table, {("moe.g", 0): known}, identity).to_dict("records")
        assert row["calibrated_on"] == fitted
        one = known[fitted]
        for ending, value in (("", logit), ("_calibrated", one.scale * logit + one.shift)):
            probability = 1 / (1 + np.exp(-value))
            assert row[f"log_loss{ending}"] == pytest.approx(log_loss(label, probability))
            assert row[f"brier{ending}"] == pytest.approx(brier_score_loss(label, probability))
        for name, rows in (("bound", label == 1), ("unbound", label == 0)):
            assert row[f"ood_p_{name}"] == pytest.approx(p[rows].mean())
            assert row[f"ood_{name}"] == pytest.approx((p[rows] < 0.05).mean())


@pytest.mark.parametrize("seed", SEEDS)
def test_sphericity_is_greenhouse_and_geissers_epsilon(seed: int) -> None:
    """From the double-centred covariance of treatments, as Greenhouse and Geisser (1959) write it."""
    values = np.random.default_rng(seed).normal(size=(9, 4)) * [1, 2, 3, 1]
    s = np.cov(values.T)
    centred = s - s.mean(axis=0) - s.mean(axis=1)[:, None] + s.mean()
    assert sphericity(values) == pytest.approx(np.trace(centred) ** 2 / (3 * (centred**2).sum()))
