"""DeepLIFT: contributions add up to the score's difference, and the model is left as it came."""

import numpy as np
import pytest
import torch
from torch import nn

from tfbs_moe.attribution.methods.registry import METHODS, attribute, logits
from tfbs_moe.attribution.names import CORRECTED
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.models.registry import build, build_gate
from tfbs_moe.sequence import one_hot_from_codes

WINDOW = 31
# Several parts at a batch size of 4, and a last one that is not full.
ROWS = 7
ARCHITECTURES = ("convnet", "residual", "deepsea")
GATES = ("softmax", "logit", "attention")


def sequences(rows: int = ROWS, seed: int = 0) -> np.ndarray:
    return one_hot_from_codes(np.random.default_rng(seed).integers(0, 4, (rows, WINDOW)))


def network(name: str, seed: int = 0) -> nn.Module:
    """Return a network whose normalisation has seen something: fresh statistics would hide that they are replaced."""
    settings = {"weight_sd": 0.3} if name == "convnet" else {}
    model = build(name, WINDOW, settings, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=draw) * 0.3
            module.running_var = torch.rand(module.num_features, generator=draw) + 0.5
    return model.eval()


def mixture(gate: str) -> MixtureOfExperts:
    experts = {name: network(name, seed) for seed, name in enumerate(("residual", "convnet"))}
    built = build_gate(gate, len(experts), 32, {}, seed=3)
    model = MixtureOfExperts(experts, built)
    built.learn_heads(model.experts)
    return model.eval()


def any_model(name: str) -> nn.Module:
    return mixture(name.removeprefix("moe.")) if name.startswith("moe.") else network(name)


@pytest.mark.parametrize("name", [*ARCHITECTURES, *(f"moe.{gate}" for gate in GATES)])
def test_contributions_add_up(name: str) -> None:
    """Completeness (Shrikumar et al. 2017): contributions times input sum to f(x) - f(reference)."""
    model, X = any_model(name), sequences()
    found = attribute(model, X, "deeplift_shap", reference="neutral", batch_size=4)
    difference = logits(model, X) - logits(model, np.full(X.shape, 0.25, dtype=np.float32))
    gap = np.abs((found * X).sum((1, 2)) - difference).max()
    assert np.abs(difference).mean() > 1e-3
    assert gap < 1e-3 * np.abs(difference).mean(), (gap, difference)


@pytest.mark.parametrize("name", ["residual", "moe.softmax"])
@pytest.mark.parametrize(
    "method", sorted(name for name in METHODS if "flanks" not in name and not name.endswith(CORRECTED))
)
def test_every_method_leaves_the_model_as_it_came(name: str, method: str) -> None:
    """Weights, buffers, mode, hooks, what asks for gradients and the global random state, over several parts."""
    model, X = any_model(name), sequences()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    asked = [parameter.requires_grad for parameter in model.parameters()]
    said = logits(model, X)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    attribute(model, X, method, batch_size=4)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == asked
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())
    np.testing.assert_array_equal(logits(model, X), said)


@pytest.mark.parametrize("name", ["residual", "moe.attention"])
@pytest.mark.parametrize("method", ["gradient", "deeplift_shap", "ism", "shiftsmooth"])
def test_batches_change_rounding_alone(name: str, method: str) -> None:
    model, X = any_model(name), sequences()
    settings = {"reference": "neutral"} if method == "deeplift_shap" else {}
    one, several = (attribute(model, X, method, batch_size=size, **settings) for size in (1024, 4))
    np.testing.assert_allclose(several, one, atol=2e-4 * np.abs(one).max())
