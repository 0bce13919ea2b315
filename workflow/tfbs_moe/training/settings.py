"""Settings of one training, of an expert or a gate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
    augmentation: Literal["none", "reverse_complement"] = "none"  # with probability 1/2, anew each epoch
    fresh_negatives: bool = False  # shuffle negatives anew each epoch, so that none can be memorised
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
