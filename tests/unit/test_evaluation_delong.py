"""DeLong's variance: against a published example, the definition, and simulation; reliability curves."""

import numpy as np
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.calibration import reliability
from tfbs_moe.evaluation.delong import delong, delong_table
from tfbs_moe.evaluation.scores import Scores

# Albumin, total protein, Krebs-Goldenberg score and outcome of DeLong et al. (1988), as SAS/STAT prints them
# in "Comparing Receiver Operating Characteristic Curves" (PROC LOGISTIC).
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""
UNPAIRED = -1


def ovarian():
    table = np.array(OVARIAN.split(), dtype=float).reshape(-1, 4)
    label = table[:, 3] == 0
    # A low value of each of the two proteins, and a high score, point to the event.
    return label, np.stack([-table[:, 0], table[:, 2], -table[:, 1]])


def test_the_published_example_of_delong_et_al():
    label, scores = ovarian()
    found = delong(label, scores, np.full(len(label), UNPAIRED))
    # SAS: albumin, K-G score, total protein.
    assert found.value == pytest.approx([0.7366, 0.7258, 0.6478], abs=5e-5)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx([0.0927, 0.1028, 0.1000], abs=5e-5)
    # SAS: albumin − K-G score and total protein − K-G score, with their χ².
    for weights, (effect, error, chi_squared) in (
        ([1, -1, 0], (0.0108, 0.0953, 0.0127)),
        ([0, -1, 1], (-0.0780, 0.1046, 0.5554)),
    ):
        value, its_error = found.contrast(np.array(weights, dtype=float))
        assert (value, its_error) == pytest.approx((effect, error), abs=5e-5)
        assert (value / its_error) ** 2 == pytest.approx(chi_squared, abs=2e-3)


def by_definition(label, scores, pair):
    """Structural components from all pairs of rows, summed over clusters (Obuchowski 1997)."""
    positive, negative = np.flatnonzero(label), np.flatnonzero(~label)
    values, sums = [], []
    names = [("pair", value) if value != UNPAIRED else ("row", row) for row, value in enumerate(pair)]
    clusters = sorted(set(names))
    for score in scores:
        kernel = np.sign(score[positive][:, None] - score[negative][None, :]) / 2 + 0.5
        area = kernel.mean()
        values.append(area)
        above, below = kernel.mean(axis=1) - area, kernel.mean(axis=0) - area
        of_positive = [above[[names[row] == cluster for row in positive]].sum() for cluster in clusters]
        of_negative = [below[[names[row] == cluster for row in negative]].sum() for cluster in clusters]
        sums.append((np.array(of_positive), np.array(of_negative)))

    def correction(rows):
        count = len({names[row] for row in rows})
        return count / (count - 1)

    size = len(scores)
    covariance = np.empty((size, size))
    m, n = len(positive), len(negative)
    for i, (p, q) in enumerate(sums):
        for j, (r, s) in enumerate(sums):
            covariance[i, j] = (
                correction(positive) * (p * r).sum() / m**2
                + correction(negative) * (q * s).sum() / n**2
                + len(clusters) / (len(clusters) - 1) * ((p * s).sum() + (q * r).sum()) / (m * n)
            )
    return np.array(values), covariance


@pytest.mark.parametrize("paired", [False, True])
def test_ranks_give_what_the_definition_gives_with_ties(paired):
    rng = np.random.default_rng(4)
    label = np.repeat([True, False], [12, 15])
    scores = rng.integers(0, 6, (3, 27)) + label
    pair = np.r_[np.arange(12), np.arange(12), [0, 0, 5]] if paired else np.full(27, UNPAIRED)
    found = delong(label, scores.astype(float), pair)
    values, covariance = by_definition(label, scores, pair)
    assert found.value == pytest.approx(values, abs=1e-12)
    assert found.covariance == pytest.approx(covariance, abs=1e-12)
    if not paired:
        # Without clusters the mixed term vanishes: DeLong's own formula.
        assert found.value[0] == pytest.approx(roc_auc_score(label, scores[0]))


def pairs_of(count, together, rng, models=2):
    """Scores of positives and of negatives made from them, which share what ``together`` says."""
    shared = rng.normal(size=(models, count)) * together
    own = rng.normal(size=(2, models, count)) * np.sqrt(1 - together**2)
    return np.concatenate([shared + own[0] + 0.5, shared + own[1]], axis=1)


def test_the_paired_variance_is_the_variance_over_test_sets():
    rng = np.random.default_rng(6)
    label, pair = np.repeat([True, False], 80), np.tile(np.arange(80), 2)
    found = [delong(label, pairs_of(80, 0.8, rng), pair) for _ in range(400)]
    observed = np.var([result.value[0] for result in found])
    expected = np.mean([result.covariance[0, 0] for result in found])
    assert expected == pytest.approx(observed, rel=0.2)
    # Taking paired rows for independent ones overstates it.
    wrong = delong(label, pairs_of(80, 0.8, rng), np.full(160, UNPAIRED)).covariance[0, 0]
    assert wrong > 1.5 * expected


def test_too_few_rows_are_one_clear_message():
    with pytest.raises(InputError, match="two bound and two unbound rows; there are 1 and 3"):
        delong(np.array([True, False, False, False]), np.zeros((1, 4)), np.full(4, UNPAIRED))


def scores_of(logit, label, pair=None):
    count = len(label)
    return Scores(
        np.arange(count),
        label,
        np.full(count, UNPAIRED) if pair is None else pair,
        tuple((f"m{index}", 0) for index in range(len(logit))),
        logit,
        1 / (1 + np.exp(-logit)),
    )


IDENTITY = dict.fromkeys(["protocol", "experiment", "factor", "cell", "set", "stratum", "negatives"], "x")


def test_the_table_has_intervals_on_the_logit_scale_and_missing_values():
    rng = np.random.default_rng(1)
    label = np.repeat([True, False], 50)
    scores = scores_of(rng.normal(size=(2, 100)) + label, label, np.tile(np.arange(50), 2))
    table = delong_table(scores, IDENTITY, {"all": np.ones(100, bool), "one": np.arange(100) < 51})
    first = table.iloc[0]
    area = first["auroc"]
    half = stats.t.ppf(0.975, 49) * first["standard_error"] / (area * (1 - area))
    odds = area / (1 - area) * np.exp([-half, half])
    assert (first["lower"], first["upper"]) == pytest.approx(tuple(odds / (1 + odds)))
    assert first["clusters"] == "pairs"
    assert table[table["rows"] == "one"]["auroc"].isna().all()


def test_reliability_agrees_with_scikit_learn():
    rng = np.random.default_rng(2)
    label = rng.random(500) < 0.5
    scores = scores_of(rng.normal(size=(1, 500)) * 2 + label, label)
    table = reliability(scores, IDENTITY, bins=8)
    observed, predicted = calibration_curve(label, scores.probability[0], n_bins=8)
    assert table["observed"].to_numpy() == pytest.approx(observed)
    assert table["predicted"].to_numpy() == pytest.approx(predicted)
    assert table["n"].sum() == 500
    assert ((table["lower"] < table["observed"]) & (table["observed"] < table["upper"])).all()


def test_reliability_passes_over_models_without_probabilities():
    label = np.array([True, False])
    scores = scores_of(np.zeros((1, 2)), label)
    scores.probability[:] = np.nan
    assert reliability(scores, IDENTITY).empty
