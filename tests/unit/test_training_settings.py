"""Settings of a training: what they may be, what they decide, and the optimisers and learning rates they give."""

import subprocess
import sys

import pytest

from planted_rows import SETTINGS
from tfbs_moe.errors import InputError
from tfbs_moe.training.settings import TrainingSettings, learning_rate, read_settings


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"checkpoint_seconds": 7.0}, True),
        ({"mixed_precision": False}, True),
        ({"momentum": 0.3}, True),
        ({"optimizer": "sgd"}, False),
        ({"patience": 3}, False),
        ({"compile": True}, False),
    ],
)
def test_settings_that_the_weights_do_not_hang_on_are_left_out_of_the_fingerprint(changes: dict, kept: bool) -> None:
    before, after = (read_settings(SETTINGS | new).decisive("cpu") for new in ({}, changes))
    assert (before == after) == kept


def test_momentum_and_precision_count_where_they_are_used() -> None:
    sgd = SETTINGS | {"optimizer": "sgd"}
    assert read_settings(sgd | {"momentum": 0.3}).decisive("cpu") != read_settings(sgd).decisive("cpu")
    half, whole = (read_settings(SETTINGS | {"mixed_precision": value}) for value in (True, False))
    assert half.decisive("cuda") != whole.decisive("cuda")


@pytest.mark.parametrize("settings", [{"optimizer": "adamw"}, {"optimizer": "sgd", "momentum": 0.9}])
def test_optimisers_are_torchs_own_and_do_without_its_compiler(settings: dict) -> None:
    code = f"""
import sys
import torch
from tfbs_moe.training.checkpoint import optimizer_tensors
from tfbs_moe.training.settings import make_optimizer
from tfbs_moe.training.settings import TrainingSettings

def trained(optimizer):
    torch.manual_seed(0)
    model = torch.nn.Linear(5, 2)
    steps = optimizer(model)
    for _ in range(3):
        model(torch.ones(1, 5)).sum().backward()
        steps.step()
    return [*model.parameters()], steps

settings = TrainingSettings(**{settings}, weight_decay=0)
ours, steps = trained(lambda model: make_optimizer(model, settings))
kept = optimizer_tensors(steps)
assert "torch._dynamo" not in sys.modules
states = steps.state_dict()["state"]
assert len(kept) == sum(map(len, states.values())) > 0
assert all(kept[f"{{index}}/{{key}}"] is states[index][key] for index in states for key in states[index])
rate = {{"lr": settings.learning_rate, "weight_decay": 0, "fused": True}}
sgd = lambda model: torch.optim.SGD(model.parameters(), momentum=settings.momentum, nesterov=True, **rate)
adamw = lambda model: torch.optim.AdamW(model.parameters(), **rate)
theirs, _ = trained(sgd if settings.optimizer == "sgd" else adamw)
assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rat": 1}, "did you mean 'learning_rate'"),
        ({"optimizer": "adam"}, "expected one of 'sgd', 'adamw'"),
        ({"learning_rate": 0}, "learning_rate is 0.0; must be above 0"),
        ({"momentum": 1.0}, "momentum is 1.0"),
        ({"patience": 0}, "patience is 0"),
        ({"clip_norm": "high"}, "expected a number or null"),
    ],
)
def test_settings_are_checked(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_settings(values)


def test_learning_rate_schedules() -> None:
    cosine = TrainingSettings(learning_rate=2.0, schedule="cosine", max_epochs=10, warmup_epochs=2.0)
    assert learning_rate(cosine, 1.0, 0) == pytest.approx(1.0)
    assert learning_rate(cosine, 2.0, 0) == pytest.approx(2.0)
    assert learning_rate(cosine, 6.0, 0) == pytest.approx(1.0)
    assert learning_rate(cosine, 10.0, 0) == pytest.approx(0.0)
    assert learning_rate(TrainingSettings(learning_rate=2.0, schedule="plateau"), 5.0, 2) == 0.5
    assert learning_rate(TrainingSettings(learning_rate=2.0), 5.0, 0) == 2.0
