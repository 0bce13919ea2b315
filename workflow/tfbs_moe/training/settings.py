"""Settings of one training, for experts and gates alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tfbs_moe.errors import InputError
from tfbs_moe.models.parameters import as_json, parse
from tfbs_moe.provenance import deciding


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    Attributes:
        optimizer: ``sgd`` (Nesterov momentum) or ``adamw``.
        learning_rate: the highest that the schedule reaches.
        momentum: of ``sgd``.
        weight_decay: of either; for ``adamw`` it is decoupled.
        schedule: ``constant``; ``cosine`` falls to zero over ``max_epochs``; ``plateau`` halves
            when the validation AUROC has not risen for half of ``patience``.
        warmup_epochs: the learning rate rises linearly from zero over these; may be a fraction.
        batch_size: rows per step.
        max_epochs: at most so many passes over the training rows.
        patience: stop after this many epochs without a better validation AUROC.
        min_delta: by how much an AUROC must rise to count as better.
        validation: ``whole_set``, or ``batch_mean``, the authors' mean of AUROCs of single batches.
        augmentation: ``reverse_complement`` turns each training sequence round with probability 1/2, anew each epoch.
        fresh_negatives: draw the shuffles that negatives are anew each epoch, so that none can be learnt by heart.
        class_weight: ``none``, or ``balanced``: positives weigh negatives / positives.
        clip_norm: bound on the norm of the gradient; null for none.
        mixed_precision: 16-bit arithmetic on a GPU (bfloat16 where it has it); a CPU always computes in 32 bits.
        compile: ``torch.compile`` the forward pass.
        checkpoint_seconds: the least time between checkpoints; a signal always writes one.
    """

    optimizer: Literal["sgd", "adamw"] = "adamw"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "plateau"] = "constant"
    warmup_epochs: float = 0.0
    batch_size: int = 128
    max_epochs: int = 100
    patience: int = 10
    min_delta: float = 0.0
    validation: Literal["whole_set", "batch_mean"] = "whole_set"
    augmentation: Literal["none", "reverse_complement"] = "none"
    fresh_negatives: bool = False
    class_weight: Literal["none", "balanced"] = "none"
    clip_norm: float | None = None
    mixed_precision: bool = True
    compile: bool = False
    checkpoint_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be trained with."""
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
        """Return the settings on which the weights hang that a training on ``device`` (``cpu``, ``cuda``) gives."""
        return deciding(self.as_json(), device)


def read_settings(values: Mapping[str, Any] | TrainingSettings) -> TrainingSettings:
    """Return settings from a JSON object, checked; settings pass as they are."""
    return values if isinstance(values, TrainingSettings) else parse(TrainingSettings, values, "training settings")
