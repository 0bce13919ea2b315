"""Metrics, curves, intervals, calibration, out-of-distribution scores: against scikit-learn, scipy, plain code."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from tfbs_moe.evaluation.calibration import calibrate, quality
from tfbs_moe.evaluation.curves import curve_points
from tfbs_moe.evaluation.intervals import (
    auroc_interval,
    logit_interval,
    mean_interval_of_draws,
    mean_interval_of_values,
    newcombe_interval,
)
from tfbs_moe.evaluation.metrics_with_intervals import FEWEST_ROWS, IDENTITY, evaluate, metric_intervals
from tfbs_moe.evaluation.ood_score import fit_ood_score
from tfbs_moe.evaluation.scores import UNPAIRED, Scores
from tfbs_moe.numeric import auroc

SEEDS = range(5)
NAMES = dict.fromkeys(IDENTITY, "x")
COARSE = (0, 1, 3)


def scores(label: np.ndarray, *logits: np.ndarray, pair: np.ndarray | None = None) -> Scores:
    logit, count = np.array(logits, dtype=float), len(label)
    pair = np.full(count, UNPAIRED) if pair is None else pair
    models = tuple((f"moe.m{index}", 0) for index in range(len(logit)))
    return Scores(np.arange(count), label.astype(bool), pair, models, logit, expit(logit))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("values", [2, 5, 10_000])
def test_the_area_of_one_list_of_scores(seed, values):
    draw = np.random.default_rng(seed)
    label = np.append(draw.random(40) < 0.3, [True, False])
    score = draw.integers(values, size=42).astype(np.float32)
    assert auroc(label, score) == pytest.approx(roc_auc_score(label, score), abs=1e-12)
    assert auroc(label.astype(np.uint8), np.zeros(42)) == 0.5


def drawn(seed: int, digits: int, positives: int = 20, negatives: int = 23) -> Scores:
    """Return one model's scores; few digits make ties."""
    draw = np.random.default_rng(seed)
    label = draw.permutation(np.arange(positives + negatives) < positives)
    return scores(label, (draw.normal(size=len(label)) + label).round(digits))


@pytest.mark.parametrize(("seed", "digits"), list(product(SEEDS, COARSE)))
def test_metrics_agree_with_scikit_learn(seed: int, digits: int) -> None:
    given = drawn(seed, digits)
    label, logit, probability = given.label, given.logit[0], given.probability[0]
    found = evaluate(given, NAMES, seed=0, draws=10).set_index("metric")["value"]
    assert found["auroc"] == pytest.approx(roc_auc_score(label, logit))
    assert found["auprc"] == pytest.approx(average_precision_score(label, logit))
    assert found["log_loss"] == pytest.approx(log_loss(label, probability))
    assert found["brier"] == pytest.approx(brier_score_loss(label, probability))
    bins = np.minimum((probability * 10).astype(int), 9)
    gaps = [abs((probability - label)[bins == each].mean()) * (bins == each).mean() for each in np.unique(bins)]
    assert found["calibration_error"] == pytest.approx(sum(gaps))
    false, true, _ = roc_curve(label, logit, drop_intermediate=False)
    assert found["sensitivity_at_specificity_0.95"] == pytest.approx(true[false <= 0.05 + 1e-12].max())


@pytest.mark.parametrize(("seed", "digits"), list(product(SEEDS, COARSE)))
def test_curves_are_those_of_scikit_learn_at_every_point(seed: int, digits: int) -> None:
    """Shares such as 3 / 20 and the grid's 0.15 are the same number, whatever their last bits say."""
    given = drawn(seed, digits)
    label, logit, points = given.label, given.logit[0], 201
    found = curve_points(given, NAMES, points).set_index("curve")
    precision, recall, _ = precision_recall_curve(label, logit)
    counts = np.round(recall[:-1] * 20).astype(int)
    false, true, _ = roc_curve(label, logit, drop_intermediate=False)
    wrong = np.round(false * 23).astype(int)
    for step, y in enumerate(found.loc["precision_recall", "y"]):
        # Recall at least step / 200, in whole numbers; thresholds run from the lowest up.
        reached = np.flatnonzero(counts * (points - 1) >= step * 20)
        assert y == pytest.approx(precision[reached[-1]]), step
    for step, y in enumerate(found.loc["roc", "y"]):
        on = wrong * (points - 1) == step * 23
        assert y == pytest.approx(true[on].max() if on.any() else np.interp(step / (points - 1), false, true)), step


def test_perfect_separation_leaves_room() -> None:
    """Newcombe's equation, solved anew: no interval of a finite sample is a point."""
    for first, second in [(1, 1), (2, 2), (5, 3), (30, 30), (500, 500)]:
        label = np.arange(first + second) < first
        half = (first + second) / 2 - 1

        def outside(area: float, first: int = first, second: int = second, half: float = half) -> float:
            variance = area * (1 - area) / first / second
            variance *= 1 + half * (1 - area) / (2 - area) + half * area / (1 + area)
            return (1 - area) / np.sqrt(variance) - 1.959963984540054

        expected = optimize.brentq(outside, 1e-9, 1 - 1e-9)
        assert newcombe_interval(1.0, first, second, 0.95) == (pytest.approx(expected, abs=1e-6), 1)
        assert newcombe_interval(0.0, first, second, 0.95) == (0, pytest.approx(1 - expected, abs=1e-6))
        if first >= FEWEST_ROWS["auroc"]:
            row = evaluate(scores(label, label), NAMES, seed=0, draws=20).set_index("metric").loc["auroc"]
            assert (row["value"], row["lower"], row["upper"]) == (1, pytest.approx(expected, abs=1e-6), 1)


def test_intervals_on_their_scales() -> None:
    value, error = np.array([0.0, 0.3, 0.9, 1.0]), np.array([0.0, 0.1, 0.05, 0.0])
    lower, upper = logit_interval(value, error, 9, 0.9)
    logits = np.log(value[1:3] / (1 - value[1:3]))
    scaled = stats.t.isf(0.05, 8) * error[1:3] / (value[1:3] * (1 - value[1:3]))
    np.testing.assert_allclose(lower[1:3], expit(logits - scaled))
    np.testing.assert_allclose(upper[1:3], expit(logits + scaled))
    assert np.isnan([*lower[[0, 3]], *upper[[0, 3]]]).all()
    lower, upper = auroc_interval(value, error, 9, 9, 0.9)
    assert (lower[0], upper[3]) == (0, 1) and upper[0] == pytest.approx(1 - lower[3])


def test_the_interval_of_a_skewed_mean_is_halls() -> None:
    """Hall's (1992) g, solved by a search, with the skewness of the rows; that of the draws is near it."""
    for seed, shape in product(range(2), (0.5, 2.0, 50.0)):
        draw = np.random.default_rng(seed)
        rows = draw.gamma(shape, size=60)
        means = rows[draw.integers(0, 60, (50_000, 60))].mean(axis=1)
        found = mean_interval_of_draws(np.append(rows.mean(), means), 60, 0.95)
        a, error = stats.skew(rows) / np.sqrt(60), rows.std(ddof=1) / np.sqrt(60)

        def g(t: float, a: float = a) -> float:
            return t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6

        z = stats.t.isf(0.025, 59)
        ends = [rows.mean() - error * optimize.brentq(lambda t, q=q: g(t) - q, -40, 40) for q in (z, -z)]
        assert mean_interval_of_values(rows, 0.95) == pytest.approx(ends), shape
        # The skewness of draws is itself drawn, and of few rows a little less than theirs.
        assert found == pytest.approx(ends, rel=0.03), shape
    even = np.concatenate([[0.0], np.arange(-50.0, 51.0)])
    half = stats.t.isf(0.025, 29) * even[1:].std() * np.sqrt(30 / 29)
    assert mean_interval_of_draws(even, 30, 0.95) == pytest.approx((-half, half))
    assert np.isnan(mean_interval_of_draws(np.ones(9), 60, 0.95)).all()
    assert np.isnan(mean_interval_of_values(np.ones(9), 0.95)).all()


def test_metrics_of_few_rows_have_no_interval() -> None:
    for rows in (10, 29, 30, 49, 50, 99, 100, 199, 200):
        found = evaluate(drawn(0, 9, rows, rows + 1), NAMES, seed=0, draws=30).set_index("metric")
        shown = found[["lower", "upper"]].notna().all(axis=1)
        for metric in found.index.drop("auprc_baseline"):
            fewest = next((count for name, count in FEWEST_ROWS.items() if metric.startswith(name)), np.inf)
            assert shown[metric] == (rows >= fewest), (metric, rows)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_intervals_of_metrics_are_those_of_their_draws(seed: int) -> None:
    draw = np.random.default_rng(seed)
    given = drawn(seed, 3, 60, 60)
    found = evaluate(given, NAMES, seed=seed, draws=1500).set_index("metric")
    bound, unbound = np.flatnonzero(given.label), np.flatnonzero(~given.label)
    area = np.array([
        roc_auc_score(given.label[rows], given.logit[0][rows])
        for rows in (np.concatenate([draw.choice(bound, 60), draw.choice(unbound, 60)]) for _ in range(300))
    ])  # fmt: skip
    lower, upper = logit_interval(found.loc[["auroc"], "value"].to_numpy(), area.std(keepdims=True), 60, 0.95)
    assert found.loc["auroc", ["lower", "upper"]].to_list() == pytest.approx([lower[0], upper[0]], abs=0.02)
    # The error is 0 at best and never below, by chance and in draws: no interval from them holds.
    assert found.loc["calibration_error", ["lower", "upper"]].isna().all() and found.loc["calibration_error", "value"]


def test_a_metric_that_stands_at_its_bound_in_every_draw_has_no_interval() -> None:
    label = np.arange(40) < 20
    found = evaluate(scores(label, label * 20 - 10.0), NAMES, seed=0, draws=50).set_index("metric")
    assert (found.loc["auprc", "value"], found.loc["enrichment_at_0.1", "value"]) == (1, 2)
    for metric in ("auprc", "enrichment_at_0.1", "sensitivity_at_specificity_0.95"):
        assert found.loc[metric, ["lower", "upper"]].isna().all(), metric
    assert found.loc["auprc_baseline", ["lower", "upper"]].to_list() == [0.5, 0.5]
    nothing = metric_intervals({"auroc": np.full(5, np.nan), "brier": np.full(5, np.nan)}, label, 0.95)
    assert np.isnan(list(nothing.values())).all()


@pytest.mark.parametrize("logit", [0.0, 0.3, -2.0])
@pytest.mark.parametrize("count", [120, 147])
def test_losses_that_differ_by_rounding_alone_have_no_interval(logit: float, count: int) -> None:
    """A model that says the same of every row; before the mend its log loss had [.693147, .693147], its Brier none."""
    found = evaluate(scores(np.arange(count) % 2 == 0, np.full(count, logit)), NAMES, seed=0).set_index("metric")
    assert found.loc[["log_loss", "brier"], ["lower", "upper"]].isna().all(axis=None)


@pytest.mark.parametrize("seed", SEEDS)
def test_calibration_is_the_most_likely_scale_that_turns_nothing_round(seed: int) -> None:
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2, 300)
    for slope in (-1.0, -0.2, 0.3, 1.0):
        label = draw.random(300) < expit(slope * logits + 0.4)
        found = calibrate(label, logits, "flanks")
        # Found anew by a bounded search.
        loss = lambda at, label=label: log_loss(label, expit(at[0] * logits + at[1]))  # noqa: E731
        best = optimize.minimize(loss, [0.5, 0.0], bounds=[(0, None), (None, None)], method="L-BFGS-B", tol=1e-12)
        assert (found.scale, found.shift) == pytest.approx(tuple(best.x), abs=2e-3)
        assert found.scale >= 0 and found.after["log_loss"] <= found.before["log_loss"] + 1e-9
        assert (np.diff(found.logit(np.sort(logits))) >= 0).all()
        if found.scale == 0:
            assert found.probability(logits) == pytest.approx(label.mean(), rel=1e-6)
        else:
            fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logits[:, None], label)
            assert found.scale == pytest.approx(fitted.coef_[0, 0], abs=1e-4)
    assert quality(np.array([1]), np.array([0.0]))["brier"] == 0.25


@pytest.mark.parametrize(("rows", "size"), [(60, 2), (60, 16), (300, 64), (1200, 16)])
def test_a_twentieth_of_new_rows_of_a_known_law_is_out_of_distribution(rows: int, size: int) -> None:
    """Few rows in many directions too, where rows that were fitted lie far nearer than new ones."""
    shares = []
    for seed in range(40 if rows < 1000 else 6):
        draw = np.random.default_rng(seed)
        embedded = [draw.normal(size=(count, 2, size)).astype(np.float32) for count in (rows, 1000)]
        fitted = fit_ood_score(embedded[0], ["a", "unbound"] * (rows // 2))
        shares.append(float((fitted.p_value(torch.from_numpy(embedded[1])) < 0.05).float().mean()))
    error = np.std(shares, ddof=1) / np.sqrt(len(shares))
    assert np.mean(shares) == pytest.approx(0.05, abs=max(4 * error, 0.005)), shares
    assert error < 0.01
