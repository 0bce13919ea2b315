"""Scores and matches of matrices beside naive code: every place of both strands, words counted one by one."""

import itertools

import numpy as np
import pytest

from tfbs_moe.attribution.motifs.known_sites import match_mask, matrix_matches
from tfbs_moe.data.audit.negatives_found import gc_share
from tfbs_moe.data.jaspar import Matrix, matrices, matrix_by_id
from tfbs_moe.data.motif_scores import PSEUDO, best_hit, occupancy
from tfbs_moe.sequence import one_hot_from_codes, reverse_complement

UNKNOWN = 4
# What memelite adds to each probability.
EPSILON = 1e-4


def with_unknown(rows: int, length: int, seed: int) -> np.ndarray:
    """Codes with N in the middle, at either end, and alone."""
    codes = np.random.default_rng(seed).integers(0, 4, (rows, length)).astype(np.uint8)
    codes[0, length // 2] = codes[1, 0] = codes[2, -1] = UNKNOWN
    codes[3] = UNKNOWN
    return codes


def random_matrix(width: int, seed: int) -> Matrix:
    return Matrix(f"M{seed}", "X", np.random.default_rng(seed).dirichlet([0.5] * 4, width).T)


@pytest.mark.parametrize("group", ["vertebrates", "fungi"])
def test_the_matrices_of_a_group_are_those_that_are_read_one_by_one(group):
    for matrix in matrices(group)[::40]:
        alone = matrix_by_id(matrix.matrix_id)
        assert (matrix.name, matrix.classes, matrix.families) == (alone.name, alone.classes, alone.families)
        assert np.array_equal(matrix.probabilities, alone.probabilities)


def naive_scores(codes: np.ndarray, odds: np.ndarray) -> dict[tuple[int, str], float]:
    """The score of one sequence at every place and strand; an unknown base says nothing."""
    width = odds.shape[1]
    scores = {}
    for start in range(len(codes) - width + 1):
        word = [int(code) for code in codes[start : start + width]]
        turned = [UNKNOWN if code == UNKNOWN else 3 - code for code in reversed(word)]
        for strand, letters in (("+", word), ("-", turned)):
            scores[start, strand] = sum(odds[code, place] for place, code in enumerate(letters) if code != UNKNOWN)
    return scores


@pytest.mark.parametrize("seed", range(3))
def test_evidence_for_a_site_is_that_of_a_loop(seed: int) -> None:
    """Matrices of several widths together, one as wide as the sequence."""
    codes = with_unknown(6, 17, seed)
    matrices = [random_matrix(width, 10 * seed + width) for width in (1, 5, 8, 17)]
    X = one_hot_from_codes(codes)
    scores = [
        [
            score
            for matrix in matrices
            for score in naive_scores(row, np.log(4 * (matrix.probabilities + PSEUDO) / (1 + 4 * PSEUDO))).values()
        ]
        for row in codes
    ]
    against_own = []
    for row in codes:
        known = row[row != UNKNOWN]
        gc = (np.isin(known, [1, 2]).sum() + 1) / (len(known) + 2)
        base = np.array([(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2])[:, None]
        odds = [np.log((matrix.probabilities + PSEUDO) / (1 + 4 * PSEUDO) / base) for matrix in matrices]
        against_own.append([score for each in odds for score in naive_scores(row, each).values()])
    np.testing.assert_allclose(best_hit(X, matrices), [max(row) for row in scores], atol=1e-5)
    uniform = [np.log(np.mean(np.exp(row))) for row in scores]
    np.testing.assert_allclose(occupancy(X, matrices, own_composition=False), uniform, atol=1e-5)
    own = [np.log(np.mean(np.exp(row))) for row in against_own]
    np.testing.assert_allclose(occupancy(X, matrices), own, atol=1e-5)
    assert np.abs(np.subtract(own, uniform)).max() > 0.05
    for function in (best_hit, occupancy):
        np.testing.assert_allclose(function(X, matrices), function(reverse_complement(X), matrices), atol=1e-5)


@pytest.mark.parametrize(("width", "length"), [(4, 20), (5, 5), (6, 21)])
def test_matches_have_the_p_of_all_words(width: int, length: int) -> None:
    """p is the share of all words of a matrix's width that score as high, but for rounding to a tenth of a bit."""
    codes, matrix = with_unknown(5, length, width), random_matrix(width, width)
    odds = np.log2(4 * (matrix.probabilities + EPSILON))
    words = np.array([odds[list(word), range(width)].sum() for word in itertools.product(range(4), repeat=width)])
    # At 1 every place of both strands is told.
    found = matrix_matches(one_hot_from_codes(codes), [matrix], p=1.0)
    expected = {
        (row, *place): score
        for row, sequence in enumerate(codes)
        for place, score in naive_scores(sequence, odds).items()
    }
    assert len(found) == len(expected)
    few = matrix_matches(one_hot_from_codes(codes), [matrix], p=0.1)
    told = set(few[["sequence", "start", "strand"]].itertuples(index=False, name=None))
    rounding, tiny = 0.1 * width, 1e-9
    for row in found.itertuples():
        score = expected[row.sequence, row.start, row.strand]
        assert row.end == row.start + width and row.score == pytest.approx(score, abs=1e-3)
        least, most = (words >= score + rounding).mean(), (words >= score - rounding).mean()
        assert least - tiny <= row.p <= most + tiny
        is_told = (row.sequence, row.start, row.strand) in told
        assert is_told or most > 0.1
        assert not is_told or least <= 0.1
    assert 0 < len(few) < len(found)
    mask = match_mask(few, len(codes), length)
    covered = {(row.sequence, at) for row in few.itertuples() for at in range(row.start, row.end)}
    assert {(int(row), int(at)) for row, at in np.argwhere(mask)} == covered


def test_the_share_of_g_and_c_is_that_of_known_letters() -> None:
    codes = with_unknown(40, 9, 0)
    for row, share in zip(codes, gc_share(codes), strict=True):
        known = [code for code in row if code != UNKNOWN]
        assert share == (pytest.approx(sum(code in (1, 2) for code in known) / len(known)) if known else 0.5)
