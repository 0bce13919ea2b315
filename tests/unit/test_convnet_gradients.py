"""The compiled pass over a batch has the loss and gradients of the ConvNet's layers, and trains to the same weights."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from planted_rows import CPU, HYPERPARAMETERS, TRAIN, VALIDATION
from tfbs_moe.models.convnet import ConvNet
from tfbs_moe.models.convnet_gradients import Dropout, draw_mask
from tfbs_moe.models.expert import Batch
from tfbs_moe.models.registry import build
from tfbs_moe.sequence import UNKNOWN, one_hot_from_codes, reverse_complement
from tfbs_moe.training.examples import make_rows
from tfbs_moe.training.loop import fit
from tfbs_moe.training.settings import TrainingSettings

ROWS = np.array([5, 2, 9, 0, 7])
LABELS = np.array([1, 0] * 5, np.float32)


def codes(window: int) -> np.ndarray:
    drawn = np.random.default_rng(0).integers(0, 4, (10, window)).astype(np.uint8)
    drawn[5, 3:7] = UNKNOWN
    return drawn


def drawn_masks(seed: int, count: int, size: int, dropout: Dropout) -> np.ndarray:
    masks = np.empty((count, size), np.float32)
    for number, mask in enumerate(masks):
        draw_mask(seed, 0 if dropout.shared else number, dropout, mask)
    return masks


class Multiply(torch.nn.Module):
    def __init__(self, masks: np.ndarray) -> None:
        super().__init__()
        self.masks = torch.from_numpy(masks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.masks


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {"pooling": "max"},
        {"dropout": 0.0},
        {"motifs": 19, "motif_width": 25, "embedding_size": 7},
        {"motifs": 3, "motif_width": 2, "dropout_kind": "batch_mask", "dropout": 0.5},
    ],
)
def test_a_direct_pass_has_the_loss_and_gradients_of_the_layers(changes: dict, turned: bool) -> None:
    model = build("convnet", 30, {"weight_sd": 0.3} | changes, seed=0).train()
    torch.nn.init.normal_(model.norm.weight)
    torch.nn.init.normal_(model.norm.bias)
    flipped = np.arange(10) % 3 == 0 if turned else np.zeros(0, np.bool_)
    one_hot = one_hot_from_codes(codes(30))
    if turned:
        one_hot[flipped] = reverse_complement(one_hot[flipped])
    direct = model.direct_gradients()
    assert direct is not None
    loss = direct(Batch(codes(30), LABELS, ROWS, flipped, 2.5, 4))
    found = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    model.dropout = Multiply(drawn_masks(4, len(ROWS), model.embedding_size, direct.dropout))
    logits = model(torch.from_numpy(one_hot[ROWS]).float().requires_grad_())
    labels, weight = torch.from_numpy(LABELS[ROWS]), torch.tensor(2.5)
    expected = F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weight)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    for fast, slow in zip(found, model.parameters(), strict=True):
        assert slow.grad.abs().max() > 0
        torch.testing.assert_close(fast, slow.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd", "momentum": 0.97, "learning_rate": 5e-3},
        {"optimizer": "adamw", "clip_norm": 0.1, "class_weight": "balanced", "augmentation": "reverse_complement"},
    ],
)
def test_a_direct_training_takes_the_steps_of_the_plain_one(settings: dict) -> None:
    fitted = []
    for direct in (True, False):
        model = build("convnet", TRAIN.length, HYPERPARAMETERS | {"dropout": 0.0}, seed=0)
        train, validation = (
            make_rows(torch.from_numpy(rows.one_hot), rows.label, CPU, "rows") for rows in (TRAIN, VALIDATION)
        )
        done = fit(
            model,
            lambda x, model=model: (model(x), None),
            train,
            validation,
            TrainingSettings(batch_size=60, max_epochs=2, **settings),
            seed=3,
            direct=model.direct_gradients() if direct else None,
        )
        fitted.append((done.history, model))
    (quick, fast), (plain, slow) = fitted
    np.testing.assert_allclose(quick, plain, rtol=1e-4)
    assert plain["validation_auroc"].iloc[-1] > 0.6
    for one, other in zip(fast.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("probability", [0.0, 0.25, 0.5])
def test_dropout_is_drawn_for_each_unit_sequence_and_batch(probability: float) -> None:
    masks = np.stack([drawn_masks(seed, 96, 32, Dropout(probability, False)) for seed in range(100)])
    assert set(np.unique(masks)) == ({0, np.float32(1 / (1 - probability))} if probability else {1})
    # 307,200 draws, then 9,600 of each unit: four standard deviations.
    dropped = masks == 0
    deviation = np.sqrt(probability * (1 - probability))
    assert abs(dropped.mean() - probability) <= 4 * deviation / np.sqrt(dropped.size)
    assert np.abs(dropped.mean((0, 1)) - probability).max() <= 4 * deviation / np.sqrt(9600)
    if probability:
        for one, other in (
            (dropped[:-1], dropped[1:]),
            (dropped[:, :-1], dropped[:, 1:]),
            (dropped[..., :-1], dropped[..., 1:]),
        ):
            assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 4 / np.sqrt(one.size)
    shared = drawn_masks(3, 96, 32, Dropout(0.5, True))
    assert (shared == shared[0]).all() and set(np.unique(shared)) == {0, 1}


def test_a_filter_that_holds_no_number_makes_the_loss_none() -> None:
    """Such a filter is not among those that no sequence lifts above zero."""
    model = build("convnet", 30, {}, seed=0).train()
    with torch.no_grad():
        model.scan.convolution.bias[2] = -100
        model.scan.convolution.weight[2, 0, 0] = torch.nan
    assert np.isnan(model.direct_gradients()(Batch(codes(30), LABELS, ROWS, np.zeros(0, np.bool_), 1.0, 0)))
    with torch.no_grad():
        assert model(torch.from_numpy(one_hot_from_codes(codes(30))).float()).isnan().all()


def test_what_the_direct_pass_does_not_compute_is_left_to_the_layers() -> None:
    class Other(ConvNet):
        pass

    frozen = build("convnet", 30, {}, seed=0)
    frozen.head.requires_grad_(False)
    others = [
        build("convnet", 30, {"reverse_complement": "average"}, seed=0),
        Other(30, {}),
        frozen,
        build("convnet", 30, {}, seed=0).double(),
        build("residual", 30, {}, seed=0),
    ]
    assert [model.direct_gradients() for model in others] == [None] * len(others)
    assert build("convnet", 30, {"reverse_complement": "average_prediction"}, seed=0).direct_gradients() is not None
