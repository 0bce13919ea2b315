"""Known answers on toy models: one filter, XOR of two motifs, completeness, mixtures, fast paths."""

import numpy as np
import pytest
import torch
from torch import nn

from tfbs_moe.attribution.evaluation.localisation import position_score
from tfbs_moe.attribution.methods import adapter
from tfbs_moe.attribution.methods.convnet_fast import take_apart
from tfbs_moe.attribution.methods.gradients import simplex_corrected
from tfbs_moe.attribution.methods.references import hypothetical, references
from tfbs_moe.attribution.methods.registry import attribute, logits
from tfbs_moe.errors import InputError
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.models.registry import build, build_gate
from tfbs_moe.runtime import rng

LENGTH = 40
WINDOW = 101


def sequences(count=4, length=LENGTH, seed=0):
    codes = np.random.default_rng(seed).integers(4, size=(count, length))
    return np.ascontiguousarray(np.eye(4, dtype=np.uint8)[codes].transpose(0, 2, 1))


def planted(words, length=LENGTH):
    """A sequence of C with words at given places."""
    letters = list("C" * length)
    for word, place in words.items():
        letters[place : place + len(word)] = word
    return np.eye(4, dtype=np.uint8)[["ACGT".index(letter) for letter in letters]].T[None]


def kernel(word):
    """A filter that counts the letters of a word."""
    return torch.eye(4)[["ACGT".index(letter) for letter in word]].T[None].clone()


class OneFilter(nn.Module):
    """max over positions of ReLU(letters of GATAAG that match - 5): 1 at a full match, else 0."""

    def __init__(self, length=LENGTH):
        super().__init__()
        self.scan = nn.Conv1d(4, 1, 6)
        self.scan.weight.data = kernel("GATAAG")
        self.scan.bias.data = torch.tensor([-5.0])
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool1d(length - 5)

    def forward(self, x):
        return self.pool(self.relu(self.scan(x))).flatten()


class Xor(nn.Module):
    """1 where just one of two motifs is there: h1 + h2 - 2 · ReLU(h1 + h2 - 1)."""

    def __init__(self, length=LENGTH):
        super().__init__()
        self.scan = nn.Conv1d(4, 2, 6)
        self.scan.weight.data = torch.cat([kernel("GATAAG"), kernel("TTGTTT")])
        self.scan.bias.data = torch.tensor([-5.0, -5.0])
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool1d(length - 5)
        self.both = nn.ReLU()

    def forward(self, x):
        found = self.pool(self.relu(self.scan(x))).squeeze(2).sum(1, keepdim=True)
        return (found - 2 * self.both(found - 1)).squeeze(1)


def mixture(gate="softmax", seed=0, **hyperparameters):
    options = {"weight_sd": 0.3} | hyperparameters
    experts = {name: build("convnet", WINDOW, options, seed=seed + i) for i, name in enumerate(("ONE", "TWO", "THREE"))}
    return MixtureOfExperts(experts, build_gate(gate, 3, experts["ONE"].embedding_size, {}, seed=9))


def test_one_filter():
    X = planted({"GATAAG": 12})
    weight = np.zeros((1, 4, LENGTH), dtype=np.float32)
    weight[0, :, 12:18] = kernel("GATAAG")[0].numpy()
    inside = np.zeros((1, 1, LENGTH), dtype=bool)
    inside[..., 12:18] = True
    np.testing.assert_allclose(attribute(OneFilter(), X, "gradient"), weight, atol=1e-6)
    np.testing.assert_allclose(attribute(OneFilter(), X, "shiftsmooth", n=2), weight, atol=1e-6)
    np.testing.assert_allclose(attribute(OneFilter(), X, "shiftsmooth_circular", n=2), weight, atol=1e-6)
    np.testing.assert_allclose(attribute(OneFilter(), X, "gradient_corrected"), simplex_corrected(weight), atol=1e-6)
    # Any other base within the word takes the match away.
    np.testing.assert_allclose(attribute(OneFilter(), X, "ism"), np.where(inside, weight - 1, 0), atol=1e-6)
    for name in ("deeplift_shap", "integrated_gradients"):
        found = attribute(OneFilter(), X, name, reference="neutral") * X
        # Six equal letters share the difference of 1 from a neutral sequence.
        np.testing.assert_allclose(found.sum(1), np.where(inside[:, 0], 1 / 6, 0), atol=1e-4)


def test_xor_of_two_motifs():
    one, both, none = planted({"GATAAG": 5}), planted({"GATAAG": 5, "TTGTTT": 25}), planted({})
    model = Xor()
    np.testing.assert_allclose(logits(model, np.concatenate([one, both, none])), [1, 0, 0], atol=1e-6)
    plain = attribute(model, np.concatenate([one, both, none]), "gradient")
    scores = position_score(plain, np.concatenate([one, both, none]))
    # With one motif each of its bases counts +1; with both, each base of either counts -1; with none, nothing.
    assert sorted(np.flatnonzero(scores[0])) == list(range(5, 11))
    assert ((plain * np.concatenate([one, both, none]))[1].sum(0)[[5, 30]] == -1).all()
    assert (scores[2] == 0).all()
    effect = attribute(model, both, "ism")[0]
    # Breaking one of two motifs leaves the other alone: the output rises from 0 to 1.
    assert effect.max() == pytest.approx(1)
    assert set(np.flatnonzero(effect.max(0) > 0.5)) == {*range(5, 11), *range(25, 31)}


@pytest.mark.parametrize("name", ["integrated_gradients", "deeplift_shap"])
@pytest.mark.parametrize(
    ("which", "kind"),
    [
        ("filter", "neutral"),
        ("filter", "dinucleotide_shuffle"),
        ("xor", "neutral"),
        ("xor", "dinucleotide_shuffle"),
        ("expert", "dinucleotide_shuffle"),
        ("mixture", "neutral"),
    ],
)
def test_contributions_add_up_to_the_difference(which, kind, name):
    X = sequences(2, WINDOW)
    X[:, :, 30:36] = planted({"GATAAG": 0}, 6)
    made = {"filter": OneFilter(WINDOW), "xor": Xor(WINDOW), "mixture": mixture()}
    model = made.get(which, made["mixture"].experts.gate_experts[0])
    found = (attribute(model, X, name, reference=kind, shuffles=2, seed=3) * X).sum((1, 2))
    # The same stream gives the same references.
    stream = rng(3, "attribution", name)
    others = references(torch.from_numpy(X.astype(np.float32)), kind, 2, stream).numpy()
    base = logits(model, others.reshape(-1, 4, WINDOW)).reshape(len(X), -1).mean(1)
    np.testing.assert_allclose(found, logits(model, X) - base, atol=1e-4)


def test_contributions_to_the_probability_add_up_too():
    model, X = mixture(), sequences(2, WINDOW)

    def probability(x):
        return 1 / (1 + np.exp(-logits(model, x)))

    difference = probability(X) - probability(np.full((1, 4, WINDOW), 0.25))
    for name in ("integrated_gradients", "deeplift_shap"):
        found = attribute(model, X, name, reference="neutral", output="probability") * X
        np.testing.assert_allclose(found.sum((1, 2)), difference, atol=1e-4)


def test_completeness_of_integrated_gradients_of_a_smooth_network():
    """On a network without kinks few steps suffice."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4 * LENGTH, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0))
    X = sequences()
    found = (attribute(model, X, "integrated_gradients", steps=24) * X).sum((1, 2))
    neutral = logits(model, np.full((1, 4, LENGTH), 0.25))
    np.testing.assert_allclose(found, logits(model, X) - neutral, atol=1e-5)


def test_integrated_gradients_are_those_of_captum():
    from captum.attr import IntegratedGradients

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(4, 3, 5), nn.Tanh(), nn.Flatten(), nn.Linear(3 * (LENGTH - 4), 1), nn.Flatten(0))
    X = sequences()
    x = torch.from_numpy(X.astype(np.float32))
    theirs = IntegratedGradients(model).attribute(x, torch.full_like(x, 0.25), n_steps=50).detach().numpy()
    ours = attribute(model, X, "integrated_gradients")
    # Captum gives every channel its own share; ours are hypothetical: the base that is there has their sum.
    np.testing.assert_allclose((ours * X).sum(1), theirs.sum(1), atol=1e-5)


def test_smoothgrad_agrees_with_captum():
    from captum.attr import NoiseTunnel, Saliency

    torch.manual_seed(0)
    model, X = mixture().experts.gate_experts[0].eval(), sequences(2, WINDOW)
    x = torch.from_numpy(X.astype(np.float32)).requires_grad_()
    theirs = NoiseTunnel(Saliency(model)).attribute(x, nt_samples=400, stdevs=0.1, abs=False).detach().numpy()
    ours = attribute(model, X, "smoothgrad", draws=400, sd=0.1)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.97


def test_hypothetical_contributions():
    multipliers = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    reference = torch.full((2, 4, 5), 0.25)
    np.testing.assert_allclose(hypothetical(multipliers, reference), simplex_corrected(multipliers.numpy()), atol=1e-6)


def test_soft_columns_cannot_be_shuffled():
    X = np.full((1, 4, 8), 0.25)
    with pytest.raises(InputError, match="cannot be shuffled"):
        attribute(nn.Sequential(nn.Flatten(), nn.Linear(32, 1), nn.Flatten(0)), X, "deeplift_shap")
    with pytest.raises(InputError, match="shuffles"):
        attribute(OneFilter(), sequences(), "deeplift_shap", shuffles=0)
    with pytest.raises(InputError, match="reference must be"):
        attribute(OneFilter(), sequences(), "integrated_gradients", reference="zero")
    with pytest.raises(InputError, match="steps"):
        attribute(OneFilter(), sequences(), "integrated_gradients", steps=0)


def test_shiftsmooth_of_any_base_method():
    X = planted({"GATAAG": 12})
    for base, settings in (
        ("gradient", {}),
        ("smoothgrad", {"draws": 50, "sd": 0.01}),
        ("ism", {}),
        ("integrated_gradients", {}),
        ("deeplift_shap", {"reference": "neutral"}),
    ):
        smooth = attribute(OneFilter(), X, "shiftsmooth", n=2, base=base, base_settings=settings)
        plain = attribute(OneFilter(), X, base, **settings)
        np.testing.assert_allclose(smooth, plain, atol=0.35 if base == "smoothgrad" else 1e-5, err_msg=base)
    with pytest.raises(InputError, match="no setting 'steps'"):
        attribute(OneFilter(), X, "shiftsmooth", base="ism", base_settings={"steps": 3})


@pytest.mark.parametrize(
    ("which", "pooling", "strands"),
    [("expert", "max", "none"), ("expert", "max_mean", "average"), ("mixture", "max_mean", "none")],
)
def test_fast_paths_give_what_the_network_gives(monkeypatch, strands, pooling, which):
    model = mixture(pooling=pooling, reverse_complement=strands)
    model = model if which == "mixture" else model.experts.gate_experts[1]
    X = sequences(3, WINDOW).astype(np.float32)
    X[1, :, 10:14] = 0
    X[2, :, :9] = 0.25
    wide = np.concatenate([sequences(3, 3, seed=5), X, sequences(3, 3, seed=6)], axis=2)
    cases = [
        ("gradient", {}),
        ("shiftsmooth", {"n": 2}),
        ("shiftsmooth", {"n": 3, "weights": [0, 1, 2, 3, 1, 0, 2]}),
        ("shiftsmooth", {"n": 40}),
        ("shiftsmooth_circular", {"n": 2}),
        ("shiftsmooth_flanks", {"n": 3, "flanks": wide}),
        ("smoothgrad", {"draws": 3}),
        ("integrated_gradients", {"steps": 2, "tolerance": None}),
        ("ism", {}),
    ]
    with adapter.adapt(model) as lent:
        assert type(lent).__name__ == "MotifScorer"
    quick = [attribute(model, X, name, output="probability", **case) for name, case in cases]
    small = [attribute(model, X, name, batch_size=11, **case) for name, case in cases[:-1]]
    monkeypatch.setattr(adapter, "take_apart", lambda _: None)
    for place, (name, case) in enumerate(cases):
        slow = attribute(model, X, name, output="probability", **case)
        np.testing.assert_allclose(quick[place], slow, atol=5e-5 * np.abs(slow).max(), err_msg=name)
        if place < len(small):
            slow = attribute(model, X, name, **case)
            np.testing.assert_allclose(small[place], slow, atol=5e-5 * np.abs(slow).max(), err_msg=name)


def test_a_network_that_does_more_than_its_parts_stays_whole(monkeypatch):
    model = mixture().experts.gate_experts[0].eval()
    assert take_apart(model) is not None
    monkeypatch.setattr(type(model), "forward", lambda self, x: 2 * self.classify(self.embed(x)) + 1)
    assert take_apart(model) is None


def test_strands_averaged_in_prediction_alone_are_averaged_here():
    model, X = mixture(reverse_complement="average_prediction").experts.gate_experts[0].train(), sequences(2, WINDOW)
    turned = attribute(model, X[:, ::-1, ::-1], "gradient")[:, ::-1, ::-1]
    np.testing.assert_allclose(attribute(model, X, "gradient"), turned, atol=1e-6)


def test_hooks_keep_the_network_whole():
    model, X = mixture().experts.gate_experts[0], sequences(2, WINDOW)
    calls = []
    handle = model.scan.convolution.register_forward_hook(lambda *_: calls.append(1))
    attribute(model, X, "gradient")
    assert calls
    handle.remove()


@pytest.mark.parametrize("name", ["deeplift_shap", "ism", "shiftsmooth", "integrated_gradients"])
def test_a_mixture_is_left_as_it_came(name):
    model, X = mixture(), sequences(2, WINDOW)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    asked = [parameter.requires_grad for parameter in model.parameters()]
    attribute(model, X, name)
    assert model.experts.batched
    assert all((value == before[key]).all() for key, value in model.state_dict().items())
    assert [parameter.requires_grad for parameter in model.parameters()] == asked
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


def test_deeplift_says_where_it_has_no_rule(caplog):
    class Functional(nn.Module):
        def forward(self, x):
            return torch.tanh(3 * x.cumsum(2)[:, 0, -1] - 20)

    attribute(Functional(), sequences(), "deeplift_shap")
    assert "of the score's differences of Functional unexplained" in caplog.text
