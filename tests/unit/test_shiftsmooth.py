"""ShiftSmooth: the paper's formula, written out, and what follows from it."""

import numpy as np
import pytest
import torch
from torch import nn

from tfbs_moe.attribution.evaluation.agreement import rank_correlation
from tfbs_moe.attribution.methods.registry import attribute
from tfbs_moe.attribution.methods.shiftsmooth import shift_weights
from tfbs_moe.errors import InputError
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.models.registry import build, build_gate
from toy_networks import LENGTH, Filter, Linear, Strided, extra, one_best_match, sequences


def test_shiftsmooth_of_a_linear_model_averages_the_weights_that_a_base_meets():
    model, X, n = Linear(), sequences(), 2
    weight = model.weight.detach().numpy()
    places = [[p + s for s in range(-n, n + 1)] for p in range(LENGTH)]
    kept = [np.mean([weight[:, q] for q in row if 0 <= q < LENGTH], axis=0) for row in places]
    wrapped = [np.mean([weight[:, q % LENGTH] for q in row], axis=0) for row in places]
    for name, expected in (("shiftsmooth", kept), ("shiftsmooth_flanks", kept), ("shiftsmooth_circular", wrapped)):
        result = attribute(model, X, name, **{"n": n} | extra(name, X, n))
        np.testing.assert_allclose(result, np.broadcast_to(np.array(expected).T, X.shape), rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("n", [0, 1, 2, 7, LENGTH - 1])
def test_circular_shiftsmooth_is_the_papers_formula(n):
    model, X = Strided().eval(), sequences()
    total = np.zeros(X.shape)
    for s in range(-n, n + 1):
        x = torch.from_numpy(np.roll(X, s, axis=2).astype(np.float32)).requires_grad_()
        total += np.roll(torch.autograd.grad(model(x).sum(), x)[0].numpy(), -s, axis=2)
    np.testing.assert_allclose(attribute(model, X, "shiftsmooth_circular", n=n), total / (2 * n + 1), atol=1e-5)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_shiftsmooth_inside_the_padding_moves_the_sequence_in_what_the_network_reads(n):
    model, X = Strided().eval(), sequences()
    total = np.zeros(X.shape)
    for s in range(-n, n + 1):
        wide = np.full((len(X), 4, LENGTH + 6), 0.25, dtype=np.float32)
        wide[..., 3 + s : 3 + s + LENGTH] = X
        x = torch.from_numpy(wide).requires_grad_()
        total += torch.autograd.grad(model(x).sum(), x)[0].numpy()[..., 3 + s : 3 + s + LENGTH]
    np.testing.assert_allclose(attribute(model, X, "shiftsmooth_inside", n=n), total / (2 * n + 1), atol=1e-5)


@pytest.mark.parametrize("strands", ["none", "average"])
@pytest.mark.parametrize("pooling", ["max", "max_mean"])
def test_inside_the_padding_shiftsmooth_is_the_gradient_of_the_papers_network(strands, pooling):
    """No base leaves and none comes in, so the network finds in every copy what it found in the sequence."""
    settings = {"weight_sd": 0.3, "motifs": 4, "pooling": pooling, "reverse_complement": strands}
    torch.manual_seed(5)
    model, X = build("convnet", 101, settings), sequences(40, 101)
    alike = {
        name: rank_correlation(attribute(model, X, "gradient"), attribute(model, X, name, n=2)).mean()
        for name in ("shiftsmooth_inside", "shiftsmooth")
    }
    assert alike["shiftsmooth_inside"] > 0.999
    assert alike["shiftsmooth"] < alike["shiftsmooth_inside"]


def test_a_mixture_takes_shifts_inside_the_padding_of_its_experts():
    """The gradient of what the gate makes of experts that each find what they found."""
    settings = {"weight_sd": 0.3, "motifs": 4}
    experts = {name: build("convnet", 101, settings, seed=seed).eval() for seed, name in enumerate("AB")}
    mixture, X = MixtureOfExperts(experts, build_gate("softmax", 2, 32, {}, seed=1)).eval(), sequences(20, 101)
    inside, gradient = (attribute(mixture, X, name) for name in ("shiftsmooth_inside", "gradient"))
    assert rank_correlation(inside, gradient).mean() > 0.999
    with torch.no_grad(), pytest.raises(InputError, match="a model of window 101"):
        mixture(torch.from_numpy(sequences(2, 103).astype(np.float32)))


def test_shifts_bring_in_what_the_padding_says():
    seen = []

    class Watch(nn.Module):
        def forward(self, x):
            seen.append(x.detach().numpy().copy())
            return x.sum((1, 2))

    X = sequences(1)
    around = extra("flanks", X, 1)["flanks"]
    for name, left, right in (
        ("shiftsmooth", np.full(4, 0.25), np.full(4, 0.25)),
        ("shiftsmooth_circular", X[0, :, -1], X[0, :, 0]),
        ("shiftsmooth_flanks", around[0, :, 0], around[0, :, -1]),
    ):
        seen.clear()
        attribute(Watch(), X, name, n=1, **({"flanks": around} if "flanks" in name else {}))
        copies = np.concatenate(seen)
        to_right = np.concatenate([left[:, None], X[0, :, :-1]], axis=1)
        to_left = np.concatenate([X[0, :, 1:], right[:, None]], axis=1)
        assert {copy.tobytes() for copy in copies} == {
            value.astype(np.float32).tobytes() for value in (to_right, X[0], to_left)
        }, name


def test_weights_over_shifts():
    np.testing.assert_allclose(shift_weights(2, "triangular"), [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3])
    assert shift_weights(2, "gaussian")[[0, 2]] == pytest.approx([np.exp(-2), 1])
    model, X = Strided(), sequences()
    only_middle = attribute(model, X, "shiftsmooth", n=1, weights=[0, 3, 0])
    np.testing.assert_allclose(only_middle, attribute(model, X, "gradient"), atol=1e-6)
    left = attribute(model, X, "shiftsmooth_circular", n=1, weights=[1, 1e-12, 0])
    x = np.roll(X, -1, axis=2)
    np.testing.assert_allclose(left, np.roll(attribute(model, x, "gradient"), 1, axis=2), atol=1e-5)


def test_shiftsmooth_is_the_gradient_where_a_model_is_blind_to_position():
    plain = attribute(Filter(), one_best_match(), "gradient")
    assert (plain != 0).sum() == 12
    np.testing.assert_allclose(attribute(Filter(), one_best_match(), "shiftsmooth", n=3), plain, atol=1e-6)
    strided, X = Strided(39), sequences(50, 39)
    smooth = attribute(strided, X, "shiftsmooth", n=3)
    assert rank_correlation(smooth, attribute(strided, X, "gradient")).mean() < 0.95
