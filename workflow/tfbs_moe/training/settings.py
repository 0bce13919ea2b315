"""Settings of one training, of an expert or a gate; optimiser and learning rate schedule."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import unwrap
from typing import Any, Literal

import torch
from torch import nn

from tfbs_moe.errors import InputError
from tfbs_moe.models.parameters import as_json, parse
from tfbs_moe.provenance import deciding


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained."""

    optimizer: Literal["sgd", "adamw"] = "adamw"  # ``sgd`` with Nesterov momentum
    learning_rate: float = 1e-3  # the schedule's maximum
    momentum: float = 0.9  # of ``sgd``
    weight_decay: float = 0.0  # decoupled for ``adamw``
    # ``cosine`` falls to zero over ``max_epochs``; ``plateau`` halves the rate whenever the validation AUROC has not
    # improved for half of ``patience``.
    schedule: Literal["constant", "cosine", "plateau"] = "constant"
    warmup_epochs: float = 0.0  # linear rise of the learning rate from zero; may be a fraction
    batch_size: int = 128
    max_epochs: int = 100
    patience: int = 10  # epochs without a better validation AUROC before training stops
    min_delta: float = 0.0  # by which an AUROC must rise to count as better
    validation: Literal["whole_set", "batch_mean"] = "whole_set"  # ``batch_mean``: the authors' mean AUROC of batches
    augmentation: Literal["none", "reverse_complement"] = "none"  # with probability 1/2, each epoch
    fresh_negatives: bool = False  # reshuffle negatives each epoch, so that none can be memorised
    class_weight: Literal["none", "balanced"] = "none"  # ``balanced``: positives weigh negatives / positives
    clip_norm: float | None = None  # maximum norm of the gradient
    mixed_precision: bool = True  # on a GPU only: bfloat16, or float16 if it lacks that
    compile: bool = False  # ``torch.compile`` the forward pass
    checkpoint_seconds: float = 30.0  # minimum time between checkpoints; a signal always writes one

    def __post_init__(self) -> None:
        least = {"batch_size": 1, "max_epochs": 1, "patience": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise InputError(f"training settings: {name} is {getattr(self, name)}; must be at least {bound}")
        if not self.learning_rate > 0:
            raise InputError(f"training settings: learning_rate is {self.learning_rate}; must be above 0")
        if not 0 <= self.momentum < 1:
            raise InputError(f"training settings: momentum is {self.momentum}; must be from 0 to below 1")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise InputError(f"training settings: clip_norm is {self.clip_norm}; must be above 0, or null")

    def as_json(self) -> dict[str, Any]:
        """Return the settings as a JSON object."""
        return as_json(self)

    def decisive(self, device: str) -> dict[str, Any]:
        """Return the settings that determine the weights of a training on ``device`` (``cpu``, ``cuda``)."""
        return deciding(self.as_json(), device)


def read_settings(values: Mapping[str, Any] | TrainingSettings) -> TrainingSettings:
    """Return checked settings from a JSON object; ``TrainingSettings`` pass unchanged."""
    return values if isinstance(values, TrainingSettings) else parse(TrainingSettings, values, "training settings")


_PLATEAU_FACTOR = 0.5


# torch wraps these two methods so that they load its compiler first, which costs seconds in each of many jobs. A step
# that is marked as hooked is not wrapped for torch's profiler, either: half of the time of a small network's step.
class _AdamW(torch.optim.AdamW):
    add_param_group = unwrap(torch.optim.AdamW.add_param_group)
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))
    step.hooked = True  # type: ignore[attr-defined]


class _Sgd(torch.optim.SGD):
    add_param_group = unwrap(torch.optim.SGD.add_param_group)
    _any_step = torch.no_grad()(unwrap(torch.optim.SGD.step))

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take the same step, on a CPU without what torch does around it: more than half of a small network's time."""
        devices = {weight.device.type for group in self.param_groups for weight in group["params"]}
        if closure is not None or devices != {"cpu"}:
            return self._any_step(closure)
        kept = ("weight_decay", "momentum", "lr", "dampening", "nesterov", "maximize")
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            states = [self.state[weight] for weight in weights] if group["momentum"] else []
            for state, weight in zip(states, weights, strict=False):
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(weight)
            gradients, momenta = [weight.grad for weight in weights], [state["momentum_buffer"] for state in states]
            settings = {name: group[name] for name in kept}
            torch._fused_sgd_(weights, gradients, momenta, is_first_step=False, **settings)
        return None

    step.hooked = True  # type: ignore[attr-defined]


def make_optimizer(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Return the optimiser of all trainable weights; weight decay applies to matrices and filters only."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [{"params": learning, "weight_decay": 0.0}]
    if settings.weight_decay:
        groups = [
            {"params": [p for p in learning if p.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
        ]
    groups = [group for group in groups if group["params"]]
    if settings.optimizer == "sgd":
        nesterov = settings.momentum > 0
        return _Sgd(groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=nesterov, fused=True)
    return _AdamW(groups, lr=settings.learning_rate, fused=True)


def learning_rate(settings: TrainingSettings, epochs_done: float, reductions: int) -> float:
    """Return the learning rate after ``epochs_done`` (fractional) epochs and ``reductions`` on plateaus."""
    rate = settings.learning_rate
    if settings.warmup_epochs and epochs_done < settings.warmup_epochs:
        return rate * epochs_done / settings.warmup_epochs
    if settings.schedule == "cosine":
        span = max(settings.max_epochs - settings.warmup_epochs, 1e-9)
        return rate * (1 + math.cos(math.pi * min(1.0, (epochs_done - settings.warmup_epochs) / span))) / 2
    if settings.schedule == "plateau":
        return rate * _PLATEAU_FACTOR**reductions
    return rate


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def plateau_patience(settings: TrainingSettings) -> int:
    """Return how many epochs without a better AUROC make a plateau."""
    return max(1, settings.patience // 2)
