"""Attribution methods: known answers on toy models, and a model that is left as it came."""

import numpy as np
import pytest
import torch
from torch import nn

from tfbs_moe.attribution.evaluation.checks import equivariance
from tfbs_moe.attribution.methods.adapter import adapt
from tfbs_moe.attribution.methods.gradients import simplex_corrected
from tfbs_moe.attribution.methods.registry import METHODS, attribute, logits, settings_of
from tfbs_moe.attribution.names import METHOD_LABELS, PADS_ITSELF, in_words
from tfbs_moe.errors import InputError
from tfbs_moe.models.registry import ARCHITECTURES, build
from toy_networks import LENGTH, Bounded, Broken, Filter, Linear, Strided, extra, one_best_match, sequences


def test_gradient_of_a_linear_model_is_its_weight():
    model, X = Linear(), sequences()
    weight = model.weight.detach().numpy()
    result = attribute(model, X, "gradient")
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, np.broadcast_to(weight, X.shape), rtol=1e-6)
    np.testing.assert_allclose(attribute(model, X, "gradient_corrected"), result - weight.mean(0), atol=1e-6)
    np.testing.assert_allclose(
        (result * X).sum((1, 2)) + 0.5, logits(model, X), rtol=1e-5, err_msg="gradient x input is complete"
    )


def test_ism_of_a_linear_model_is_the_difference_of_weights():
    model, X = Linear(), sequences()
    weight = model.weight.detach().numpy()
    present = (weight * X).sum(1, keepdims=True)
    result = attribute(model, X, "ism")
    np.testing.assert_allclose(result, weight - present, atol=1e-5)
    assert (result[X == 1] == 0).all()


def test_ism_tries_all_four_bases_where_the_base_is_unknown():
    model, X = Linear(), sequences(2)
    X[:, :, 4] = 0
    np.testing.assert_allclose(
        attribute(model, X, "ism")[:, :, 4], np.tile(model.weight.detach().numpy()[:, 4], (2, 1)), atol=1e-5
    )


def test_smoothgrad_of_a_linear_model_is_its_gradient():
    model, X = Linear(), sequences()
    np.testing.assert_allclose(attribute(model, X, "smoothgrad"), attribute(model, X, "gradient"), rtol=1e-5)


def test_smoothgrad_of_a_square_is_the_gradient_plus_the_mean_of_its_noise():
    class Square(nn.Module):
        def forward(self, x):
            return (x**2).sum((1, 2))

    X = sequences(3, 2000)
    noise = attribute(Square(), X, "smoothgrad", draws=4, sd=0.3, seed=5) - 2 * X
    # Every sequence sees the same noise.
    np.testing.assert_allclose(noise[0], noise[2], atol=1e-5)
    assert noise.std() == pytest.approx(2 * 0.3 / np.sqrt(4), rel=0.05)
    assert abs(noise.mean()) < 0.03


def test_architectures_that_pad_themselves_are_those_that_are_said_to():
    """What the Snakefile knows of the networks, which it does not import."""
    # A language model takes letters, and cannot be made without its weights.
    made = sorted(set(ARCHITECTURES) - {"language_model"})
    padded = {name for name in made if build(name, 101, {}).padding["columns"]}
    assert padded == set(PADS_ITSELF)
    X = sequences(2, 101)
    for name in PADS_ITSELF:
        model = build(name, 101, {}).eval()
        wide = np.pad(X.astype(np.float32), ((0, 0), (0, 0), (2, 2)), constant_values=0.25)
        with torch.no_grad():
            apart = [model(torch.from_numpy(x.astype(np.float32))) for x in (X, wide)]
        np.testing.assert_allclose(apart[0], apart[1], atol=1e-5, err_msg=name)
        with pytest.raises(InputError, match="takes sequences"):
            model(torch.from_numpy(sequences(2, 105).astype(np.float32)))


def test_equivariance_tells_blind_models_from_others():
    blind = equivariance(Filter(), one_best_match(), n=2)
    assert blind["logit_change"].max() < 1e-6
    assert blind["gradient_change"].max() < 1e-6
    assert sorted(blind["shift"].unique()) == [-2, -1, 1, 2]
    X = sequences(30, 39)
    strided = equivariance(Strided(39), X, n=2)
    assert len(strided) == 4 * len(X)
    assert strided["logit_change_relative"].mean() > 0.1
    assert strided["gradient_rank_correlation"].mean() < 0.9
    circular = equivariance(Filter(), one_best_match(), n=1, padding="circular")
    assert circular["gradient_cosine"].min() > 0.999


def test_probability_scales_the_gradient_of_the_logit():
    model, X = Linear(), sequences()
    p = 1 / (1 + np.exp(-logits(model, X)))[:, None, None]
    expected = attribute(model, X, "gradient") * p * (1 - p)
    np.testing.assert_allclose(attribute(model, X, "gradient", output="probability"), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", METHODS)
def test_batches_are_bounded_and_change_nothing(name):
    X = sequences(7)
    model = Bounded(Strided())
    reference = attribute(model, X, name, batch_size=500, seed=4, **extra(name, X))
    assert reference.shape == X.shape
    for batch_size in (1, 3, 16):
        model.largest = 0
        result = attribute(model, X, name, batch_size=batch_size, seed=4, **extra(name, X))
        np.testing.assert_allclose(result, reference, atol=2e-5)
        # A sequence and its reference go through together in DeepLIFT.
        assert model.largest <= max(batch_size, 2 if "deeplift" in name else 1)
    if name.endswith("_corrected"):
        raw = attribute(model, X, name.removesuffix("_corrected"), batch_size=500, seed=4, **extra(name, X))
        np.testing.assert_allclose(reference, simplex_corrected(raw), atol=1e-6)
        np.testing.assert_allclose(reference.sum(1), 0, atol=1e-5)


@pytest.mark.parametrize("name", ["deeplift_shap", "integrated_gradients"])
def test_shuffled_references_depend_on_no_unknown_base_of_another_sequence(name):
    X, settings = sequences(5), {"reference": "dinucleotide_shuffle", "shuffles": 3}
    whole = attribute(Strided(), X, name, **settings)
    X[1, :, 4:7] = 0
    X[3, :, 9] = 0
    reference = attribute(Strided(), X, name, **settings)
    np.testing.assert_allclose(reference[[0, 2, 4]], whole[[0, 2, 4]], atol=2e-5)
    for batch_size in (1, 13):
        result = attribute(Strided(), X, name, batch_size=batch_size, **settings)
        np.testing.assert_allclose(result, reference, atol=2e-5)


@pytest.mark.parametrize("name", METHODS)
def test_no_sequence_gives_no_attribution(name):
    X = sequences(0)
    assert attribute(Strided(), X, name, **extra(name, X)).shape == (0, 4, LENGTH)


def test_noise_comes_from_the_seed():
    X = sequences()
    for name in ("random", "smoothgrad"):
        first, again, other = (attribute(Strided(), X, name, seed=seed) for seed in (1, 1, 2))
        assert (first == again).all()
        assert (first != other).any()


def state(model):
    modes = [module.training for module in model.modules()]
    hooks = [len(module._forward_hooks) + len(module._backward_hooks) for module in model.modules()]
    tensors = [
        (id(p), p.data_ptr(), p.requires_grad, p.device, p.grad is None, p.detach().clone().numpy().tobytes())
        for p in model.parameters()
    ]
    return modes, hooks, tensors


@pytest.mark.parametrize("name", METHODS)
def test_the_model_is_left_as_it_came(name):
    X = sequences()
    model = Strided().train()
    model.convolution.eval()
    model.dense.weight.requires_grad_(False)
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    before = state(model)
    attribute(model, X, name, **extra(name, X))
    assert state(model) == before
    if not name.startswith("random"):
        assert calls


def test_the_model_is_left_as_it_came_on_an_error():
    model = Broken().train()
    before = state(model)
    with pytest.raises(RuntimeError, match="out of memory"):
        attribute(model, sequences(4), "gradient", batch_size=2)
    assert state(model) == before


def test_another_device_gets_a_copy():
    model = Linear()
    with adapt(model, device="meta") as scorer:
        assert scorer.model is not model
        assert scorer.model.weight.device.type == "meta"
        assert model.weight.device.type == "cpu"
    with adapt(model) as scorer:
        assert scorer.model is model


def test_a_scorer_serves_many_calls_as_its_model_would():
    model, X = Strided(), sequences(5)
    with adapt(model, batch_size=2) as scorer:
        for name in ("shiftsmooth", "smoothgrad_corrected"):
            assert np.array_equal(attribute(scorer, X, name), attribute(model, X, name, batch_size=2))


@pytest.mark.gpu
def test_gpu_gives_what_the_cpu_gives():
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    model, X = Strided(), sequences()
    for name in ("gradient", "shiftsmooth", "ism", "smoothgrad"):
        np.testing.assert_allclose(attribute(model, X, name, device="cuda"), attribute(model, X, name), atol=1e-4)
    assert next(model.parameters()).device.type == "cpu"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "gradent"}, "unknown attribution method 'gradent'; the nearest is 'gradient'"),
        (
            {"method": "shiftsmooth", "shifts": 2},
            "has no setting 'shifts'; it has: base, base_settings, n, padding, weights, flanks",
        ),
        ({"method": "gradient", "n": 2}, "has no setting 'n'; it has: none"),
        ({"method": "shiftsmooth", "n": -1}, "must not be negative"),
        ({"method": "shiftsmooth", "n": LENGTH}, "smaller than the sequence"),
        ({"method": "shiftsmooth", "padding": "zero"}, "padding must be 'neutral'"),
        ({"method": "shiftsmooth", "base": "magic"}, "base must be one of"),
        ({"method": "shiftsmooth", "weights": "square"}, "weights must be"),
        ({"method": "shiftsmooth", "weights": [1, 1]}, "weights must be 5 numbers"),
        ({"method": "shiftsmooth_flanks"}, "go together"),
        ({"method": "shiftsmooth_flanks", "flanks": sequences(5, LENGTH + 2)}, "flanks must have shape"),
        ({"method": "shiftsmooth_flanks", "flanks": sequences(5, LENGTH + 4)}, "in their middle"),
        ({"method": "shiftsmooth_flanks", "flanks": sequences(4, LENGTH + 4)}, "flanks hold 4 sequences, X holds 5"),
        ({"method": "shiftsmooth_inside"}, "Linear sets 0 for shifts of up to 2 bases"),
        ({"method": "smoothgrad", "draws": 0}, "draws must be at least 1"),
        ({"method": "smoothgrad", "sd": float("nan")}, "sd is nan; a finite number was expected"),
        ({"method": "smoothgrad", "sd": -1.0}, "sd finite and not negative"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"output": "loss"}, "output must be"),
    ],
)
def test_bad_settings_are_one_clear_message(arguments, message):
    with pytest.raises(InputError, match=message):
        attribute(Linear(), sequences(), **arguments)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((3, LENGTH, 4)), r"X must have shape \(N, 4, L\)"),
        (np.zeros((4, LENGTH)), r"X must have shape \(N, 4, L\)"),
        (np.full((1, 4, LENGTH), np.nan), "finite"),
        (np.full((1, 4, LENGTH), 0.5), "add up to at most 1"),
        (-np.ones((1, 4, LENGTH), dtype=int), "not negative"),
        (np.full((1, 4, LENGTH), "A"), "must hold numbers"),
        (np.zeros((1, 4, LENGTH + 1)), "was built for 12"),
    ],
)
def test_bad_arrays_are_one_clear_message(X, message):
    with pytest.raises(InputError, match=message):
        attribute(Linear(), X)


def test_models_that_cannot_be_explained_are_named():
    class Pair(nn.Module):
        def forward(self, x):
            return x.sum((1, 2))[:, None]

    class Frozen(Linear):
        def forward(self, x):
            with torch.no_grad():
                return super().forward(x)

    with pytest.raises(InputError, match=r"Pair must give one logit per sequence, shape \(5,\)"):
        attribute(Pair(), sequences())
    with pytest.raises(InputError, match="Frozen cannot be differentiated"):
        attribute(Frozen(), sequences())


def test_settings_name_everything_a_method_runs_with():
    assert settings_of("shiftsmooth_circular_corrected", n=1) == {
        "base_settings": None,
        "base": "gradient",
        "n": 1,
        "padding": "circular",
        "weights": "uniform",
    }
    assert settings_of("gradient") == {}
    with pytest.raises(InputError, match="no setting"):
        settings_of("ism", n=1)


def test_every_method_has_a_name_that_readers_know():
    assert set(METHOD_LABELS) == set(METHODS)
    said = {method: in_words(method) for method in METHODS}
    assert not [name for name in said.values() if "_" in name]
    assert len(set(said.values())) == len(METHODS) == len(set(METHOD_LABELS.values()))
    assert said["shiftsmooth_corrected"] == "corrected ShiftSmooth"
    assert in_words("own_method") == "own_method"
