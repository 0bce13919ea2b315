"""Windows, related rows, matched numbers and subsets of experts beside naive code, at ends and with ties."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import logsumexp

from tfbs_moe.apply.windows import tile_starts
from tfbs_moe.data.jaspar import Matrix, matrix_by_id
from tfbs_moe.data.motif_scores import PSEUDO, best_hit, occupancy
from tfbs_moe.data.negatives.genomic import UNMATCHED, match_counts
from tfbs_moe.data.negatives.shuffles import dinucleotide_counts
from tfbs_moe.data.peaks import strength_order
from tfbs_moe.data.related import Pieces, are_related, met_in_folds
from tfbs_moe.data.windows import near_stronger
from tfbs_moe.evaluation.subsets import expert_subsets, subset_logits, subset_rows
from tfbs_moe.models.registry import GATES, build_gate
from tfbs_moe.sequence import one_hot, one_hot_from_codes
from tfbs_moe.training.examples import auroc, batch_mean_auroc
from tfbs_moe.training.gate_rows import ITSELF, NOBODY, who_looks

SEEDS = range(3)


@pytest.mark.parametrize("length", [1, 5, 12, 30])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_scan_is_that_of_every_place_strand_and_matrix(seed: int, length: int) -> None:
    """Matrices narrower and wider than the sequences; an N and what lies beyond the ends say nothing."""
    draw = np.random.default_rng(seed)
    texts = ["".join(draw.choice(list("ACGTN"), length)) for _ in range(4)]
    matrices = [Matrix(f"M{width}", "m", draw.dirichlet([0.4] * 4, width).T) for width in (1, 5, 9)]
    matrices[0].probabilities[:, 0] = [1, 0, 0, 0]
    expected, total = [], []
    for text in texts:
        scores = []
        for matrix in matrices:
            width = matrix.probabilities.shape[1]
            odds = np.log((matrix.probabilities + PSEUDO) / (1 + 4 * PSEUDO) / 0.25)
            for table in (odds, odds[::-1, ::-1]):
                # Where the narrower of the two lies within the wider.
                places = range(length - width + 1) if width <= length else range(length - width, 1)
                for at in places:
                    columns = [(text[at + i], i) for i in range(width) if 0 <= at + i < length]
                    scores.append(sum(table["ACGT".index(base), i] for base, i in columns if base != "N"))
        expected.append(max(scores))
        total.append(logsumexp(scores) - np.log(len(scores)))
    np.testing.assert_allclose(best_hit(one_hot(texts), matrices), expected, atol=1e-4)
    np.testing.assert_allclose(occupancy(one_hot(texts), matrices, own_composition=False), total, atol=1e-4)


@pytest.mark.parametrize(
    ("gate", "settings"),
    [*((name, {}) for name in sorted(GATES))]
    + [("softmax", settings) for settings in ({"temperature": 2.0}, {"top": 1}, {"normalise": True})],
)
def test_a_subset_of_experts_is_the_gate_without_the_others(gate: str, settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = build_gate(gate, 3, 4, settings, 0).eval()
    embeddings = torch.randn(7, 3, 4)
    subsets = expert_subsets(3, 0)
    assert subsets == [(0, 1, 2), (0, 1), (0, 2), (1, 2), (0,), (1,), (2,)]
    with torch.no_grad():
        found = subset_logits(model, embeddings, None, subsets)
        for logits, present in zip(found, subsets, strict=True):
            absent = [place for place in range(3) if place not in present]
            hidden = embeddings.clone()
            hidden[:, absent] = torch.nan
            torch.testing.assert_close(logits, model(hidden)[0])
    label = np.arange(7) < 3
    rows = subset_rows(["A", "B", "C"], subsets, found.numpy(), label)
    assert [row["absent"] for row in rows] == ["", "C", "B", "A", "B; C", "A; C", "A; B"]
    assert rows[3]["value"] == auroc(label, found[3].numpy())
    assert subset_rows(["A", "B", "C"], subsets, found.numpy(), label & False) == []


@pytest.mark.parametrize("window", [1, 4, 7])
@pytest.mark.parametrize("step", [1, 3, 7, 20])
def test_windows_lie_at_every_step_and_at_the_end(window: int, step: int) -> None:
    for length in range(window + 1, 40):
        starts = tile_starts(length, window, step).tolist()
        assert starts == sorted({*range(0, length - window + 1, step), length - window})
        if step <= window:
            assert {at for start in starts for at in range(start, start + window)} == set(range(length))
    for length in range(1, window + 1):
        (start,) = tile_starts(length, window, step).tolist()
        before, behind = -start, start + window - length
        assert before >= 0 and behind >= 0 and abs(before - behind) <= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_summits_give_way_to_stronger_ones_that_stay(seed: int) -> None:
    draw = np.random.default_rng(seed)
    table = pd.DataFrame({"chrom": draw.choice(["a", "b"], 40), "summit": draw.integers(0, 120, 40)})
    table["start"], table["end"], table["strength"] = table["summit"] - 2, table["summit"] + 3, draw.permutation(40)
    table = table.assign(signal=table["strength"], score=0.0, p=np.nan, q=np.nan)
    for distance in (0, 1, 5, 30):
        kept: list[int] = []
        for row in strength_order(table):
            here = table.loc[row]
            near = [i for i in kept if table.chrom[i] == here.chrom and abs(table.summit[i] - here.summit) < distance]
            if not near:
                kept.append(int(row))
        assert np.flatnonzero(~near_stronger(table, distance)).tolist() == sorted(kept), distance


@pytest.mark.parametrize("seed", SEEDS)
def test_a_candidate_is_dealt_once_within_the_tolerance_and_exactly_where_it_can(seed: int) -> None:
    draw = np.random.default_rng(seed)
    wanted, available = draw.integers(0, 9, 30), draw.integers(0, 9, 40)
    for tolerance in (0, 1, 8):
        chosen = match_counts(wanted, available, 8, tolerance, draw)
        dealt = chosen[chosen != UNMATCHED]
        assert len(set(dealt.tolist())) == len(dealt)
        assert (np.abs(available[dealt] - wanted[chosen != UNMATCHED]) <= tolerance).all()
        exact = sum(min((wanted == n).sum(), (available == n).sum()) for n in range(9))
        assert (available[dealt] == wanted[chosen != UNMATCHED]).sum() == exact
        if tolerance == 8:
            assert len(dealt) == 30
    assert match_counts(wanted[:0], available, 8, 1, draw).tolist() == []
    assert match_counts(wanted, available[:0], 8, 1, draw).tolist() == [UNMATCHED] * 30


@pytest.mark.parametrize("seed", SEEDS)
def test_networks_met_what_lies_on_their_training_rows(seed: int) -> None:
    draw = np.random.default_rng(seed)
    length = 20

    def rows(count: int) -> Pieces:
        names = np.where(draw.random(count) < 0.8, "a", "")
        codes = draw.integers(0, 4, (count, length)).astype(np.uint8)
        return Pieces(codes, names, draw.integers(0, 600, count), "made")

    training, other = [rows(20), rows(15)], rows(12)
    training[1].codes[3] = 3 - training[0].codes[5][::-1]
    other.codes[2] = training[1].codes[7]
    folds = [draw.integers(0, 3, len(each.codes)) for each in training]
    trained_on = np.array([[True, False], [False, True], [True, True]])
    found = met_in_folds(training, folds, [other], trained_on, 3).toarray() > 0
    everything = [(part, row) for part in (*training, other) for row in range(len(part.codes))]
    of = [(d, i) for d in range(2) for i in range(len(training[d].codes))] + [(None, i) for i in range(12)]
    for place, (part, row) in enumerate(everything):
        one = part.take(np.array([row]))
        for network, fold in itertools.product(range(3), range(3)):
            expected = False
            for d in np.flatnonzero(trained_on[network]):
                mine = np.flatnonzero(folds[d] == fold)
                itself = of[place][0] == d and row in mine
                expected |= itself or bool(len(mine) and are_related([one], [training[d].take(mine)])[0][0])
            assert found[place, 3 * network + fold] == expected, (place, network, fold)
    looking = who_looks(found.reshape(len(found), 3, 3))
    for place, network in itertools.product(range(len(found)), range(3)):
        folds_met = np.flatnonzero(found[place, 3 * network : 3 * network + 3])
        expected = ITSELF if not len(folds_met) else int(folds_met[0]) if len(folds_met) == 1 else NOBODY
        assert looking[place, network] == expected


def test_dinucleotides_and_areas_of_batches_one_by_one() -> None:
    draw = np.random.default_rng(0)
    codes = draw.integers(0, 5, (6, 9)).astype(np.uint8)
    counts = dinucleotide_counts(codes).reshape(6, -1)
    for row, text in zip(counts, codes, strict=True):
        pairs = [5 * a + b for a, b in itertools.pairwise(text.tolist())]
        assert row.tolist() == np.bincount(pairs, minlength=25).tolist()
    label, score = np.array([1, 0, 1, 1, 1, 0, 0, 0, 1, 0.0]), draw.integers(0, 3, 10).astype(float)
    parts = [slice(0, 3), slice(3, 6), slice(9, 10)]
    expected = np.mean([auroc(label[part], score[part]) for part in parts[:2]] + [auroc(label[6:9], score[6:9])])
    assert batch_mean_auroc(label, score, 3) == pytest.approx(expected)
    assert batch_mean_auroc(label, score, 1) == auroc(label, score)


def test_a_window_shorter_than_a_matrix_has_the_score_of_the_part_it_covers() -> None:
    """X1: the best of all places where the matrix covers the window, on both strands, by plain sums."""
    matrix = matrix_by_id("MA0139.2")
    odds = np.log((matrix.probabilities + 0.01) / 1.04 * 4)
    codes = np.random.default_rng(0).integers(0, 4, (3, 10))
    places = [
        [sum(strand[code, first + i] for i, code in enumerate(row)) for strand in (odds, odds[::-1, ::-1])
         for first in range(odds.shape[1] - 9)]
        for row in codes
    ]  # fmt: skip
    one_hot = one_hot_from_codes(codes.astype(np.uint8))
    np.testing.assert_allclose(best_hit(one_hot, [matrix]), np.max(places, axis=1), rtol=1e-5)
    evidence = occupancy(one_hot, [matrix], own_composition=False)
    np.testing.assert_allclose(evidence, np.log(np.mean(np.exp(places), axis=1)), rtol=1e-4)
