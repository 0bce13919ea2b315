"""Attribution methods: known answers on toy models, and a model that is left as it came."""

import numpy as np
import pytest
import torch
from torch import nn

from tfbs_moe.attribution.evaluation.agreement import rank_correlation
from tfbs_moe.attribution.evaluation.equivariance import equivariance
from tfbs_moe.attribution.methods.adapter import adapt
from tfbs_moe.attribution.methods.by_name import METHODS, attribute, logits, settings_of
from tfbs_moe.attribution.methods.gradients import simplex_corrected, times_input
from tfbs_moe.attribution.methods.shiftsmooth import shift_weights
from tfbs_moe.attribution.names import METHOD_LABELS, PADS_ITSELF, in_words
from tfbs_moe.errors import InputError
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.models.registry import ARCHITECTURES, build, build_gate

LENGTH = 12


class Linear(nn.Module):
    """f(x) = ⟨W, x⟩ + 0.5 with a weight of its own at every position."""

    def __init__(self, length=LENGTH):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, length, generator=torch.Generator().manual_seed(1)))
        self.window = length

    def forward(self, x):
        return (x * self.weight).sum((1, 2)) + 0.5


class Strided(nn.Module):
    """A small network with padding of its own, strided pooling and a dense layer: not blind to position."""

    def __init__(self, length=LENGTH):
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.padding = {"columns": 3, "value": 0.25}
        self.read = length + 6
        self.convolution = nn.Conv1d(4, 5, 3, padding=1)
        self.dense = nn.Linear(5 * (self.read // 3), 1)
        self.drop = nn.Dropout(0.5)
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=generator)

    def forward(self, x):
        beside = (self.read - x.shape[2]) // 2
        x = nn.functional.pad(x, (beside, beside), value=0.25)
        hidden = nn.functional.max_pool1d(torch.relu(self.convolution(x)), 3)
        return self.dense(self.drop(hidden.flatten(1))).squeeze(1)


class Filter(nn.Module):
    """One filter, the global maximum: blind to position."""

    def __init__(self, width=3):
        super().__init__()
        kernel = torch.randn(1, 4, width, generator=torch.Generator().manual_seed(3))
        self.register_buffer("kernel", kernel)

    def forward(self, x):
        return nn.functional.conv1d(x, self.kernel).amax((1, 2))


class Bounded(nn.Module):
    """Counts the rows of the largest batch it sees."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.padding = model.padding
        self.largest = 0

    def forward(self, x):
        self.largest = max(self.largest, len(x))
        return self.model(x)


class Broken(nn.Module):
    """Fails on its second batch."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(LENGTH, 1), nn.Dropout(0.5))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls > 1:
            raise RuntimeError("out of memory")
        return self.inner(x.sum(1)).squeeze(1)


def sequences(count=5, length=LENGTH, seed=0):
    codes = np.random.default_rng(seed).integers(4, size=(count, length))
    return np.ascontiguousarray(np.eye(4, dtype=np.uint8)[codes].transpose(0, 2, 1))


def one_best_match():
    """A sequence for ``Filter``: its best match in the middle of neutral columns."""
    X = np.full((1, 4, 39), 0.25)
    X[0, :, 19:22] = np.eye(4)[Filter().kernel[0].numpy().argmax(0)].T
    return X


def extra(name, X, n=2):
    """Settings that a method cannot do without, or that make it quick."""
    if name.startswith("integrated"):
        return {"steps": 2, "tolerance": None}
    if name.startswith("deeplift"):
        return {"shuffles": 2}
    if "flanks" not in name:
        return {}
    left, right = sequences(len(X), n, seed=8), sequences(len(X), n, seed=9)
    return {"flanks": np.concatenate([left, X, right], axis=2), "n": n}


def test_gradient_of_a_linear_model_is_its_weight():
    model, X = Linear(), sequences()
    weight = model.weight.detach().numpy()
    result = attribute(model, X, "gradient")
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, np.broadcast_to(weight, X.shape), rtol=1e-6)
    np.testing.assert_allclose(attribute(model, X, "gradient_corrected"), result - weight.mean(0), atol=1e-6)
    np.testing.assert_allclose(
        times_input(result, X).sum((1, 2)) + 0.5, logits(model, X), rtol=1e-5, err_msg="gradient x input is complete"
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
        ({"method": "shiftsmooth_flanks", "flanks": sequences(4, LENGTH + 4)}, "flanks hold 4 sequences beside 5"),
        ({"method": "shiftsmooth_inside"}, "Linear sets 0 for shifts of up to 2 bases"),
        ({"method": "smoothgrad", "draws": 0}, "draws must be at least 1"),
        ({"method": "smoothgrad", "sd": float("nan")}, "sd finite"),
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
