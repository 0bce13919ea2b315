"""Faithfulness, stability, sanity, and curves over shifts."""

import numpy as np
import pytest
import torch
from torch import nn

from tfbs_moe.attribution.evaluation.all_metrics import evaluate_attribution
from tfbs_moe.attribution.evaluation.checks import passes, randomised, shift_curve, weight_randomisation
from tfbs_moe.attribution.evaluation.faithfulness import (
    infidelity,
    mean_change,
    perturbation_curves,
    sensitivity,
    shift_stability,
    substituted,
)
from tfbs_moe.attribution.evaluation.localisation import position_score
from tfbs_moe.attribution.methods.registry import attribute, logits
from tfbs_moe.data.dataset import make_dataset, with_random_labels
from tfbs_moe.errors import InputError

LENGTH = 30


class Linear(nn.Module):
    """A weight of its own at every position; the first ten positions alone matter."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, LENGTH, generator=torch.Generator().manual_seed(1)))
        with torch.no_grad():
            self.weight[:, 10:] = 0

    def forward(self, x):
        return (x * self.weight).sum((1, 2))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.scan = nn.Conv1d(4, 6, 5)
        self.dense = nn.Linear(6 * (LENGTH - 4) // 2, 1)
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(4))

    def forward(self, x):
        return self.dense(nn.functional.max_pool1d(torch.relu(self.scan(x)), 2).flatten(1)).squeeze(1)


def sequences(count=8, seed=0):
    codes = np.random.default_rng(seed).integers(4, size=(count, LENGTH))
    return np.ascontiguousarray(np.eye(4, dtype=np.uint8)[codes].transpose(0, 2, 1))


def test_curves_of_a_linear_model():
    model, X = Linear(), sequences()
    weight = model.weight.detach().numpy()
    present = (weight * X).sum(1)
    neutral = weight.mean(0)
    deleted, inserted = perturbation_curves(model, X, present, shares=(0.1, 0.5, 1.0), reference="neutral")
    order = np.argsort(-present, axis=1, kind="stable")
    for place, count in enumerate((0, 3, 15, LENGTH)):
        top = np.zeros(present.shape, dtype=bool)
        np.put_along_axis(top, order[:, :count], True, axis=1)
        np.testing.assert_allclose(deleted[:, place], np.where(top, neutral, present).sum(1), atol=1e-5)
        np.testing.assert_allclose(inserted[:, place], np.where(top, present, neutral).sum(1), atol=1e-5)


def test_curves_rank_the_truth_above_chance():
    model, X = Network(), sequences(30)
    good = (attribute(model, X, "ism_corrected") * X).sum(1)
    noise = (attribute(model, X, "random") * X).sum(1)
    results = [perturbation_curves(model, X, score, shuffles=3, batch_size=50) for score in (good, noise)]
    (best_deleted, best_inserted), (deleted, inserted) = results
    assert mean_change(best_deleted, X.shape[2]).mean() < mean_change(deleted, X.shape[2]).mean()
    assert mean_change(best_inserted, X.shape[2]).mean() > mean_change(inserted, X.shape[2]).mean()
    np.testing.assert_allclose(best_deleted[:, -1], best_inserted[:, 0], atol=1e-4)
    np.testing.assert_allclose(best_deleted[:, 0], logits(model, X), atol=1e-4)
    again = perturbation_curves(model, X, good, shuffles=3, batch_size=7)
    np.testing.assert_allclose(again[0], best_deleted, atol=1e-4)


def test_mean_change_is_the_area():
    curve = np.array([[4.0, 2.0, 0.0]])
    np.testing.assert_allclose(mean_change(curve, 20, shares=(0.5, 1.0)), [-2])


@pytest.mark.parametrize(
    ("score", "shares", "message"),
    [(np.zeros((8, 4)), (0.1,), "one score per position"), (np.zeros((8, LENGTH)), (1.1,), "between 0 and 1")],
)
def test_curves_that_cannot_be_drawn(score, shares, message):
    with pytest.raises(InputError, match=message):
        perturbation_curves(Linear(), sequences(), score, shares=shares)


def test_infidelity_of_a_linear_model():
    model, X = Linear(), sequences()
    exact = attribute(model, X, "gradient")
    assert infidelity(model, X, exact).max() < 1e-6
    assert infidelity(model, X, 7 * exact).max() < 1e-6
    assert infidelity(model, X, attribute(model, X, "random")).mean() > 0.5
    np.testing.assert_allclose(infidelity(model, X, np.zeros(X.shape)), 1)
    model.weight.data.zero_()
    assert np.isnan(infidelity(model, X, exact)).all()


def test_infidelity_is_captums_on_the_same_changes():
    from captum.metrics import infidelity as captum_infidelity

    model, X = Network(), sequences(3)
    attribution = attribute(model, X, "gradient")
    copies = np.stack([substituted(X, 5, seed=0, name=draw)[0] for draw in range(20)])
    changed = logits(model, X) - logits(model, copies.reshape(-1, 4, LENGTH)).reshape(20, 3)
    step = {"draw": 0}

    def perturb(inputs):
        moved = torch.from_numpy(copies[step["draw"]].astype(np.float32))
        step["draw"] += 1
        return inputs - moved, moved

    x = torch.from_numpy(X.astype(np.float32))
    theirs = captum_infidelity(
        model, perturb, x, torch.from_numpy(attribution), n_perturb_samples=20, normalize=True, max_examples_per_batch=3
    )
    ours = infidelity(model, X, attribution, count=5, draws=20, seed=0)
    np.testing.assert_allclose(ours, theirs.detach().numpy() / (changed**2).mean(0), rtol=1e-3)


def test_sensitivity_and_stability():
    X = sequences()
    model = Network()

    def explain(x):
        return attribute(model, x, "gradient")

    def constant(x):
        return np.broadcast_to(np.arange(4 * LENGTH, dtype=float).reshape(4, LENGTH), x.shape)

    plain = explain(X)
    assert (sensitivity(constant, X, constant(X)) == 0).all()
    assert (sensitivity(explain, X, plain, draws=3) > 0).all()
    assert np.isnan(sensitivity(lambda x: np.zeros(x.shape), X, np.zeros(X.shape))).all()
    assert (shift_stability(explain, X, plain) < 0.999).all()
    np.testing.assert_allclose(shift_stability(lambda x: x.astype(float), X, X.astype(float)), 1)


def test_sane_methods_fall_with_the_weights():
    model, X = Network(), sequences(20)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layers = weight_randomisation(model, X, {"gradient": {}})["gradient"]
    assert [name for name, _ in layers] == ["dense", "scan"]
    assert abs(layers[-1][1].mean()) < 0.3
    assert all((value == before[name]).all() for name, value in model.state_dict().items())
    for (_, first), (_, again) in zip(randomised(model, 1), randomised(model, 1), strict=True):
        for name, value in first.state_dict().items():
            assert (value == again.state_dict()[name]).all()
    *_, (_, last) = randomised(model, 1)
    changed = last.scan.weight
    assert torch.equal(changed.flatten().sort().values, model.scan.weight.flatten().sort().values)
    assert not torch.equal(changed, model.scan.weight)


def test_random_labels():
    X = sequences(40)
    data = make_dataset(X, np.arange(40) % 2, pair=np.arange(40) // 2 * 2 + 1)
    other = with_random_labels(data, seed=0)
    assert other.label.sum() == data.label.sum()
    assert (other.label != data.label).any()
    assert (other.one_hot == X).all()
    assert (other.pair == -1).all()


def test_judge_measures_what_it_is_given():
    model, X = Network(), sequences(6)
    values = attribute(model, X, "gradient")
    sites = np.zeros((6, LENGTH), dtype=bool)
    sites[:, 3:8] = True
    table = evaluate_attribution(
        values,
        X,
        ism=attribute(model, X, "ism"),
        vanilla=values,
        sites=sites,
        matches={"matrix": sites},
        explain=lambda x: attribute(model, x, "gradient"),
        model=model,
    )
    assert table.shape == (6, 20)
    np.testing.assert_allclose(table["gradient_rank_correlation"], 1)
    assert table.notna().all().all()
    np.testing.assert_allclose(table["matrix_auroc"], table["site_auroc"])


def test_curve_over_shifts():
    model, X = Network(), sequences(5)
    table = shift_curve(model, X, lambda values: evaluate_attribution(values, X, ism=values), shifts=(0, 2))
    assert table.groupby("n")["passes"].first().to_dict() == {0: 1, 2: 5}
    assert len(table) == 10
    assert position_score(attribute(model, X, "shiftsmooth", n=0), X) == pytest.approx(
        position_score(attribute(model, X, "gradient"), X)
    )


@pytest.mark.parametrize(
    ("method", "settings", "expected"),
    [
        ("gradient", {}, 1),
        ("shiftsmooth_circular_corrected", {"n": 3}, 7),
        ("smoothgrad", {"draws": 8}, 8),
        ("shiftsmooth", {"n": 1, "base": "smoothgrad", "base_settings": {"draws": 4}}, 12),
        ("ism", {}, 300),
        ("deeplift_shap", {"shuffles": 10}, 20),
        ("integrated_gradients", {"tolerance": None}, 48),
        ("integrated_gradients", {"reference": "dinucleotide_shuffle", "shuffles": 5}, 400),
        ("random", {}, 0),
    ],
)
def test_passes(method, settings, expected):
    assert passes(method, 100, **settings) == expected
