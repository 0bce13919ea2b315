"""Optimiser and learning rate schedule."""

import math
from inspect import unwrap
from typing import Any

import torch
from torch import nn

from tfbs_moe.training.settings import TrainingSettings

_PLATEAU_FACTOR = 0.5


# torch wraps these two methods so that they load its compiler first, which costs seconds in each of many jobs.
class _AdamW(torch.optim.AdamW):
    add_param_group = unwrap(torch.optim.AdamW.add_param_group)
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))


class _Sgd(torch.optim.SGD):
    add_param_group = unwrap(torch.optim.SGD.add_param_group)
    step = torch.no_grad()(unwrap(torch.optim.SGD.step))


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
