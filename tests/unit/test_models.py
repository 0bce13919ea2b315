"""Networks: what the paper's expert computes, the registry, the batched pass, the gate."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from tfbs_moe.errors import InputError
from tfbs_moe.models import registry
from tfbs_moe.models.convnet import ConvNet, MotifScan
from tfbs_moe.models.expert import BatchMask, pad_neutral
from tfbs_moe.models.expert_stack import ExpertStack
from tfbs_moe.models.gates import SoftmaxGate, entropy
from tfbs_moe.models.lookup_convolution import able_to_fire, read_bases
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.models.registry import build, build_gate, register, source_digest
from tfbs_moe.sequence import decode

WINDOW = 101


def sequences(count: int, window: int = WINDOW, seed: int = 0) -> torch.Tensor:
    codes = torch.randint(0, 4, (count, window), generator=torch.Generator().manual_seed(seed))
    return F.one_hot(codes, 4).transpose(1, 2).float()


@pytest.mark.parametrize("pooling", ["max", "max_mean"])
def test_convnet_is_the_papers_network(pooling: str) -> None:
    model = build("convnet", WINDOW, {"pooling": pooling, "weight_sd": 0.1}, seed=3).eval()
    assert isinstance(model, ConvNet)
    x = sequences(9)
    padded = np.full((9, 4, WINDOW + 46), 0.25)
    padded[:, :, 23:-23] = x.numpy()
    kernel = model.scan.convolution.weight.detach().double().numpy()
    bias = model.scan.convolution.bias.detach().double().numpy()
    windows = np.lib.stride_tricks.sliding_window_view(padded, 24, axis=2)
    hits = np.maximum(np.einsum("ncpw,fcw->nfp", windows, kernel) + bias[:, None], 0)
    pooled = hits.max(axis=2) if pooling == "max" else np.concatenate([hits.max(axis=2), hits.mean(axis=2)], axis=1)
    embedding = F.layer_norm(model.linear.double()(torch.from_numpy(pooled)), (32,))
    model.linear.float()
    np.testing.assert_allclose(model.embed(x).detach(), embedding.detach(), atol=1e-5)
    np.testing.assert_allclose(model(x).detach(), model.head(model.embed(x)).squeeze(1).detach(), atol=1e-6)
    assert hits.shape[2] == WINDOW + 23
    assert (bias <= 0).any()


def test_convnet_first_weights_follow_the_paper() -> None:
    model = build("convnet", WINDOW, {"motifs": 2000, "weight_sd": 1e-3}, seed=0)
    assert isinstance(model, ConvNet)
    assert float(model.scan.convolution.weight.detach().std()) == pytest.approx(1e-3, rel=0.02)
    assert float(model.scan.convolution.bias.detach().std()) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("silent", [0, 5, 16])
@pytest.mark.parametrize("pooling", ["max", "max_mean"])
def test_scan_gives_one_gradient_by_both_ways(pooling: str, silent: int) -> None:
    model = build("convnet", WINDOW, {"pooling": pooling, "weight_sd": 0.1}, seed=1)
    with torch.no_grad():
        model.scan.convolution.bias[:silent] = -100.0
    quick = sequences(20)
    quick[0] = quick[0, :, :1]  # one base throughout: every window is the same, so every position ties
    general = quick.clone().requires_grad_()
    gradients = []
    for x in (quick, general):
        model.zero_grad()
        model.head(model.embed(x)).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for fast, slow in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-6)
    assert bool(general.grad.abs().sum() > 0) == (silent < 16)
    with torch.no_grad():
        torch.testing.assert_close(model.embed(quick), model.embed(general), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", ["max", "max_mean"])
def test_prediction_scans_letters_as_the_layers_do(pooling: str) -> None:
    model = build("convnet", WINDOW, {"weight_sd": 0.1, "pooling": pooling}, seed=0).eval()
    x = sequences(9)
    slow = model(x)
    with torch.no_grad():
        torch.testing.assert_close(model(x), slow, rtol=1e-5, atol=1e-5)
        # One by one, or in one pass with others: the same.
        experts = {name: build("convnet", WINDOW, {"weight_sd": 0.1, "pooling": pooling}, seed=name) for name in (0, 1)}
        stack = ExpertStack({str(name): expert for name, expert in experts.items()})
        alone = stack(x)
    torch.testing.assert_close(alone, stack(x), rtol=1e-4, atol=1e-5)


def test_filters_are_left_out_only_where_no_sequence_lifts_them_above_zero() -> None:
    weight = np.zeros((4, 4, 2), dtype=np.float32)
    weight[:, :2] = [[1, -1], [0.5, 2]]  # at most 1 + 2
    assert able_to_fire(weight, np.array([-3.1, -3.0, -2.9, 1.0], dtype=np.float32)).tolist() == [1, 2, 3]
    assert able_to_fire(-np.abs(weight), np.array([-1.0, 0.5, -0.1, 0.1], dtype=np.float32)).tolist() == [1, 3]
    assert able_to_fire(weight, np.full(4, -9, dtype=np.float32)).tolist() == [0]


@pytest.mark.parametrize(("filters", "width"), [(1, 1), (3, 7), (16, 24), (17, 25), (40, 50)])
@pytest.mark.parametrize("mean", [False, True])
def test_a_scan_of_letters_is_the_convolution(filters: int, width: int, mean: bool) -> None:
    scan = MotifScan(4, filters, width, 60, mean)
    with torch.no_grad():
        scan.convolution.bias[::3] = -0.2
    x = F.one_hot(torch.randint(4, (7, 60)), 4).float().transpose(1, 2)
    x[:, :, :5] = 0.25  # neutral padding
    x[:, :, 30:33] = 0  # unknown bases
    upstream = torch.randn(7, filters * (1 + mean))
    found = []
    for way in (x, x.clone().requires_grad_()):
        scan.zero_grad()
        pooled = scan(way)
        (pooled * upstream).sum().backward()
        found.append([pooled.detach(), *(parameter.grad.clone() for parameter in scan.parameters())])
    for fast, slow in zip(*found, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-5)


def test_a_compiled_scan_is_the_convolution() -> None:
    scan = MotifScan(4, 16, 24, 60, True)
    x = F.one_hot(torch.randint(4, (9, 60)), 4).float().transpose(1, 2).contiguous()
    compiled = torch.compile(scan, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), scan(x), rtol=1e-4, atol=1e-5)


def test_a_scan_does_not_hang_on_the_batch_and_columns_that_are_no_letters_are_convolved() -> None:
    scan = MotifScan(4, 16, 24, 60, True)
    x = F.one_hot(torch.randint(4, (9, 60)), 4).float().transpose(1, 2).contiguous()
    with torch.no_grad():
        assert torch.equal(scan(x)[3:4], scan(x[3:4]))
        soft = x.clone()
        soft[2, :, 10] = torch.tensor([0.5, 0.5, 0.0, 0.0])
        assert not read_bases(soft.numpy(), 0)[1]
        assert read_bases(x.numpy(), 0)[1]
        torch.testing.assert_close(scan(soft)[0], scan(x)[0], rtol=1e-4, atol=1e-5)
        assert not torch.allclose(scan(soft)[2], scan(x)[2])
        for columns in (x, soft):
            beside = scan(columns[:, :, 7:-7], 7)
            torch.testing.assert_close(beside, scan(pad_neutral(columns[:, :, 7:-7], 7)), rtol=1e-4, atol=1e-5)


def test_strand_average_is_the_same_on_both_strands() -> None:
    x = sequences(5)
    model = build("convnet", WINDOW, {"reverse_complement": "average", "weight_sd": 0.1}, seed=0).eval()
    torch.testing.assert_close(model(x), model(x.flip(1, 2)))
    plain = build("convnet", WINDOW, {"weight_sd": 0.1}, seed=0).eval()
    assert not torch.allclose(plain(x), plain(x.flip(1, 2)))


def test_batch_mask_is_one_mask_without_rescaling() -> None:
    torch.manual_seed(0)
    mask = BatchMask(0.5)
    out = mask(torch.full((6, 200), 3.0))
    assert (out == out[0]).all()
    assert set(out.unique().tolist()) == {0.0, 3.0}
    assert mask.eval()(torch.ones(2, 3)).sum() == 6


def test_build_draws_weights_from_its_seed_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (build("convnet", WINDOW, {}, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.linear.weight, other.linear.weight)


@pytest.mark.parametrize(
    ("architecture", "hyperparameters", "message"),
    [
        ("convnett", {}, "did you mean 'convnet'"),
        ("convnet", {"poling": "max"}, "did you mean 'pooling'"),
        ("convnet", {"pooling": "median"}, "pooling is 'median'; expected one of 'max', 'max_mean'"),
        ("convnet", {"motifs": 1.5}, "motifs is 1.5; expected a whole number"),
        ("convnet", {"dropout": True}, "dropout is True; expected a number"),
    ],
)
def test_build_refuses_what_is_not_known(architecture: str, hyperparameters: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(architecture, WINDOW, hyperparameters)


def test_a_users_network_by_dotted_path(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_networks.py").write_text(
        "import torch\n"
        "from tfbs_moe.models.expert import Expert\n"
        "class Sum(Expert):\n"
        "    def __init__(self, window, hyperparameters):\n"
        "        super().__init__(window, hyperparameters)\n"
        "        self.receptive_field = 1\n"
        "        self.linear = torch.nn.Linear(4, self.embedding_size)\n"
        "    def encode(self, x):\n"
        "        return self.linear(x.sum(2))\n"
        "    def classify(self, embedding):\n"
        "        return embedding.sum(1)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "ARCHITECTURES", dict(registry.ARCHITECTURES))
    register("own_networks.Sum")
    assert build("own_networks.Sum", WINDOW, {"embedding_size": 8})(sequences(3)).shape == (3,)
    assert len(source_digest("own_networks.Sum")) == 64
    with pytest.raises(InputError, match="cannot be imported"):
        register("own_networks.Product")
    with pytest.raises(InputError, match="not a subclass"):
        register("torch.nn.Linear")


def test_residual_network_reads_both_strands_alike_and_may_be_stacked() -> None:
    x = sequences(5)
    experts = {str(seed): build("residual", WINDOW, {"filters": 8, "blocks": 2}, seed=seed).eval() for seed in (0, 1)}
    torch.testing.assert_close(experts["0"](x), experts["0"](x.flip(1, 2)))
    torch.testing.assert_close(ExpertStack(experts)(x)[:, 1], experts["1"].embed(x))
    # 15 bases, 3 positions joined, and 1 + 4 · (1 + 2) of those.
    assert experts["0"].receptive_field == 15 + 2 + 3 * 4 * (1 + 2)
    deeper = build("residual", WINDOW, {"filters": 8, "blocks": 3}, seed=0)
    assert deeper.receptive_field == experts["0"].receptive_field + 3 * 4 * 4


def test_what_a_residual_block_adds_is_learned_and_does_not_see_beyond_its_field() -> None:
    model = build("residual", WINDOW, {"filters": 8, "blocks": 1, "conv_dropout": 0.0, "dropout": 0.0}, seed=0)
    x = sequences(4).requires_grad_()
    model(x).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    block = model.eval().blocks[0]
    rows = torch.zeros(1, 8, 1, 31)
    bump = rows.clone()
    bump[..., 15] = 1
    with torch.no_grad():
        changed = (block(bump) - block(rows)).abs().sum((0, 1, 2)).nonzero().flatten()
    assert changed.min() >= 13 and changed.max() <= 17


def test_stack_gives_what_the_experts_give_one_by_one() -> None:
    experts = {
        "convnet.A": build("convnet", WINDOW, {"weight_sd": 0.1}, seed=0),
        "convnet.B": build("convnet", WINDOW, {"weight_sd": 0.1}, seed=1),
        "small": build("convnet", WINDOW, {"weight_sd": 0.1, "embedding_size": 8, "pooling": "max"}, seed=2),
    }
    stack = ExpertStack(experts).requires_grad_(False)
    stack.train()
    assert not any(expert.training for expert in experts.values())
    x = sequences(7)
    together = stack(x)
    stack.batched = False
    torch.testing.assert_close(together, stack(x))
    assert together.shape == (7, 3, 32)
    torch.testing.assert_close(together[:, 1], experts["convnet.B"].embed(x))
    assert together[:, 2, 8:].abs().sum() == 0


def test_stack_passes_gradients_to_input_and_experts() -> None:
    experts = {str(seed): build("convnet", WINDOW, {"weight_sd": 0.1}, seed=seed) for seed in range(3)}
    stack = ExpertStack(experts)
    slope = torch.randn(4, 3, 32, generator=torch.Generator().manual_seed(0))
    for x in (sequences(4), sequences(4).requires_grad_()):
        wanted = [*stack.parameters(), *([x] if x.requires_grad else [])]
        gradients = []
        for stack.batched in (True, False):
            gradients.append(torch.autograd.grad((slope * stack(x)).sum(), wanted, allow_unused=True))
        for together, alone in zip(*gradients, strict=True):
            if alone is not None:
                torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_stack_refuses_other_windows() -> None:
    experts = {"a": build("convnet", 101, {}), "b": build("convnet", 51, {})}
    with pytest.raises(InputError, match="must share one window"):
        ExpertStack(experts)
    with pytest.raises(InputError, match="takes sequences"):
        ExpertStack({"a": experts["a"]})(sequences(2, window=51))


def test_softmax_gate_is_the_papers_gate() -> None:
    gate = build_gate("softmax", 3, 5, {"temperature": 2.0}, seed=0)
    assert isinstance(gate, SoftmaxGate)
    embeddings = torch.randn(6, 3, 5)
    logit, weights = gate(embeddings)
    expected = torch.softmax((embeddings.reshape(6, 15) @ gate.scores.weight.T + gate.scores.bias) / 2.0, dim=1)
    torch.testing.assert_close(weights, expected)
    mixed = sum(expected[:, [k]] * (embeddings[:, k] @ gate.transform[k] + gate.shift[k]) for k in range(3))
    torch.testing.assert_close(logit, gate.head(mixed).squeeze(1))
    assert gate.penalty(weights) is None


def test_gate_options() -> None:
    embeddings = torch.randn(6, 3, 5)
    normalised = build_gate("softmax", 3, 5, {"normalise": True}, seed=0)
    torch.testing.assert_close(normalised(embeddings)[0], normalised(7 * embeddings)[0])
    rewarded = build_gate("softmax", 3, 5, {"entropy_bonus": 0.5}, seed=0)
    even = torch.full((4, 3), 1 / 3)
    assert float(rewarded.penalty(even).detach()) == pytest.approx(-0.5 * np.log(3))
    assert float(entropy(torch.eye(3)).sum()) == 0.0
    with pytest.raises(InputError, match="temperature"):
        build_gate("softmax", 3, 5, {"temperature": 0.0})


def test_mixture_predicts_logits_and_weights() -> None:
    experts = {name: build("convnet", WINDOW, {"weight_sd": 0.1}, seed=k) for k, name in enumerate("abc")}
    mixture = MixtureOfExperts(experts, build_gate("softmax", 3, 32, {}, seed=0))
    x = sequences(5)
    logit, weights = mixture.logits_and_weights(x)
    assert mixture.names == ("a", "b", "c") and mixture.window == WINDOW
    torch.testing.assert_close(mixture(x), logit)
    torch.testing.assert_close(mixture.weights(x), weights)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(5))
    assert not any(parameter.requires_grad for parameter in mixture.experts.parameters())
    with pytest.raises(InputError, match="this gate takes 2"):
        MixtureOfExperts(experts, build_gate("softmax", 2, 32, {}))


@pytest.mark.parametrize("form", ["strings", "array", "float array", "tensor"])
def test_models_predict_what_a_user_has_without_gradients(form: str) -> None:
    """Strings, arrays and tensors give the same logits in any batches; mode and random state stay as they were."""
    experts = {
        name: build("convnet", WINDOW, {"weight_sd": 0.1, "dropout": 0.5}, seed=k) for k, name in enumerate("ab")
    }
    mixture = MixtureOfExperts(experts, build_gate("softmax", 2, 32, {}, seed=0)).eval()
    x = sequences(5)
    expected, expected_weights = mixture.logits_and_weights(x)
    given = {
        "strings": lambda: decode(x.numpy().astype(np.uint8)),
        "array": lambda: x.numpy().astype(np.uint8),
        "float array": lambda: x.numpy().astype(np.float64),
        "tensor": lambda: x,
    }[form]()
    mixture.train()
    before = torch.get_rng_state()
    logits, weights = mixture.predict(given, batch_size=2)
    assert torch.equal(torch.get_rng_state(), before) and mixture.training
    assert logits.dtype == torch.float32 and not logits.requires_grad and not weights.requires_grad
    torch.testing.assert_close(logits, expected.detach())
    torch.testing.assert_close(weights, expected_weights.detach())
    alone = experts["a"].eval()
    torch.testing.assert_close(alone.predict(given), alone(x).detach())


def test_models_refuse_what_is_no_list_of_sequences() -> None:
    expert = build("convnet", WINDOW, {}, seed=0).eval()
    assert expert.predict([]).shape == (0,)
    with pytest.raises(InputError, match="put it into a list"):
        expert.predict("A" * WINDOW)
    with pytest.raises(InputError, match="must be strings"):
        expert.predict([1, 2])
    with pytest.raises(InputError, match="takes sequences"):
        expert.predict(["ACGT"])
    with pytest.raises(InputError, match="'U' is not a base"):
        expert.predict(["U" * WINDOW])
