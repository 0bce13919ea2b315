"""The interface of experts: networks from a sequence to an embedding and a logit."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from tfbs_moe.errors import InputError
from tfbs_moe.models.parameters import as_json, parse
from tfbs_moe.sequence import one_hot


class BatchMask(nn.Module):
    """The authors' dropout, for the ``published`` protocol: one mask for the whole batch, and no rescaling."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mask (N, E) in training only."""
        if not self.training:
            return x
        keep = torch.full((1, x.shape[1]), 1.0 - self.probability, device=x.device, dtype=x.dtype)
        return x * torch.bernoulli(keep)


def pad_neutral(x: torch.Tensor, columns: int) -> torch.Tensor:
    """Pad both ends of (N, 4, L) with ``columns`` neutral columns of 0.25, all bases equally likely."""
    return F.pad(x, (columns, columns), value=1.0 / x.shape[1])


ALPHABET_SIZE = 4
PREDICTION_BATCH = 1024
Sequences = Sequence[str] | np.ndarray | torch.Tensor


class Batch(NamedTuple):
    """Sequences of a training set, and how they are learned from in one step."""

    codes: np.ndarray  # uint8 (N, L), 0 to 4 as in ``sequence``
    labels: np.ndarray  # float32 (N,)
    rows: np.ndarray  # int64 (n,), those of the batch
    turned: np.ndarray  # bool (N,), those to reverse-complement; empty, none
    positive_weight: float  # of a positive in the loss
    seed: int  # of dropout, below 2^63


class DirectGradients(Protocol):
    """A batch's loss and gradients without autograd."""

    def __call__(self, batch: Batch) -> float:
        """Set the gradients of all weights for the mean loss of a batch, and return that."""


@dataclass(frozen=True)
class ExpertParameters:
    """Hyper-parameters that every architecture has."""

    embedding_size: int = 32  # E, of the vector that the gate sees
    # ``average`` takes the mean embedding of both strands, ``average_prediction`` only in prediction (half the cost;
    # meant for training with ``augmentation: reverse_complement``).
    reverse_complement: Literal["none", "average", "average_prediction"] = "none"


class Expert(nn.Module, ABC):
    """A network for sequences of one length; subclass it for an architecture of your own.

    A subclass sets ``Parameters`` (a frozen dataclass derived from ``ExpertParameters``), calls
    ``super().__init__(window, hyperparameters)``, builds its layers and ends its ``__init__`` with ``add_head``; its
    ``encode`` ends with ``embed_features``. For another head, override ``classify`` instead.
    """

    Parameters: ClassVar[type[ExpertParameters]] = ExpertParameters
    # What a search varies, by "network.<hyper-parameter>" and "training.<setting>"; see ``training.search``.
    search_space: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    # Whether torch.vmap can run several networks of this kind as one (it cannot with recurrent layers).
    stackable: ClassVar[bool] = True
    # Whether several such networks predict faster one by one on a CPU.
    quick_alone: ClassVar[bool] = False

    receptive_field: int  # bases seen by one unit before the last pooling
    padding: dict[str, float]  # columns that the network adds on each side, and their value

    def __init__(self, window: int, hyperparameters: Mapping[str, Any]) -> None:
        """Check the hyper-parameters; ``self.settings`` holds them as the dataclass ``Parameters``."""
        super().__init__()
        self.settings: Any = parse(self.Parameters, hyperparameters, f"hyper-parameters of {type(self).__name__}")
        self.window = window
        self.embedding_size: int = self.settings.embedding_size
        self.hyperparameters = as_json(self.settings)
        self.padding = {"columns": 0, "value": 0.0}

    def pad(self, x: torch.Tensor) -> torch.Tensor:
        """Pad sequences (N, 4, L) with the network's own neutral columns of 0.25.

        Sequences may bring part of that padding, at either end, and get that much less: so a sequence can be shifted
        by a few bases without losing any. Raises InputError for another length, or more padding than the network has.
        """
        return pad_neutral(x, self.columns_beside(x))

    def columns_beside(self, x: torch.Tensor) -> int:
        """Return how many columns ``pad`` adds on each side of these sequences; raise what ``pad`` does."""
        columns = int(self.padding["columns"])
        check_window(x, self.window, columns)
        return columns - (x.shape[2] - self.window) // 2

    @abstractmethod
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Embed one strand: float (N, 4, L) to (N, E)."""

    def add_head(self, features: int, dropout: nn.Module) -> None:
        """Add the final layers of every expert, from features to embedding to logit."""
        self.linear = nn.Linear(features, self.embedding_size)
        self.norm = nn.LayerNorm(self.embedding_size)
        self.dropout = dropout
        self.head = nn.Linear(self.embedding_size, 1)

    def embed_features(self, features: torch.Tensor) -> torch.Tensor:
        """Turn features (N, features) into the embedding (N, E), of mean 0 and variance 1 per sequence."""
        return self.norm(self.linear(features))

    def classify(self, embedding: torch.Tensor) -> torch.Tensor:
        """Turn embeddings (N, E) into logits (N,); dropout of the embedding happens here."""
        return self.head(self.dropout(embedding)).squeeze(1)

    def readout(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weight (E,) and bias () with which ``classify`` turns an embedding into a logit in evaluation.

        Override it along with ``classify``, or gates over logits cannot use the network.
        """
        return self.head.weight[0], self.head.bias[0]

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Embed unpadded sequences, float (N, 4, L) with rows A C G T, as (N, E)."""
        mode = self.settings.reverse_complement
        if mode == "none" or (mode == "average_prediction" and self.training):
            return self.encode(x)
        return (self.encode(x) + self.encode(x.flip(1, 2))) / 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logit (N,) of sequences (N, 4, L)."""
        return self.classify(self.embed(x))

    def direct_gradients(self) -> DirectGradients | None:
        """Return a quicker way than autograd to gradients in training; None, as here, if there is none."""
        return None

    def predict(self, sequences: Sequences, *, batch_size: int = PREDICTION_BATCH) -> torch.Tensor:
        """Return logits, float32 (N,) on the CPU without gradients, of N strings or one-hot (N, 4, L), rows A C G T.

        Raises InputError for sequences of another length or not of DNA.
        """
        return predict_in_batches(self, lambda x: (self(x),), sequences, self.window, batch_size)[0]


def predict_in_batches(
    model: nn.Module,
    score: Callable[..., tuple[torch.Tensor, ...]],
    sequences: Sequences,
    window: int,
    batch_size: int,
    *others: np.ndarray,
) -> tuple[torch.Tensor, ...]:
    """Return what ``score`` returns of all sequences, float32 on the CPU, with the model in evaluation mode.

    ``score`` takes a batch of sequences (n, 4, L), then of each of ``others`` (N, …). Without any sequence it scores an
    empty batch, so that results have their shapes.
    """
    if isinstance(sequences, str):
        raise InputError("one string was given where a list of sequences was expected; put it into a list")
    if isinstance(sequences, torch.Tensor | np.ndarray):
        x = torch.as_tensor(sequences)
    elif any(not isinstance(one, str) for one in sequences):
        raise InputError("sequences must be strings, or one one-hot array or tensor (N, 4, L)")
    else:
        x = torch.from_numpy(one_hot(sequences)) if len(sequences) else torch.zeros(0, ALPHABET_SIZE, window)
    device = next(model.parameters()).device
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode():
            batches = zip(*(each.split(batch_size) for each in (x, *map(torch.as_tensor, others))), strict=True)
            parts = [score(*(each.to(device=device, dtype=torch.float32) for each in batch)) for batch in batches]
            return tuple(torch.cat([part.float().cpu() for part in each]) for each in zip(*parts, strict=True))
    finally:
        for module, mode in training.items():
            module.training = mode


def check_window(x: torch.Tensor, window: int, columns: int = 0) -> None:
    """Raise InputError unless ``x`` is (N, 4, window), or longer by neutral ends of at most 2 · ``columns`` in all."""
    shaped = x.ndim == 3 and x.shape[1] == ALPHABET_SIZE
    longer = x.shape[2] - window if shaped else 0
    brought = longer == 0 or (0 < longer <= 2 * columns and longer % 2 == 0 and _neutral_ends(x, longer))
    if not (shaped and brought):
        raise InputError(
            f"a model of window {window} takes sequences (N, {ALPHABET_SIZE}, {window}); got {tuple(x.shape)}. "
            "Use sequences of the length the model was trained on."
        )


def _neutral_ends(x: torch.Tensor, columns: int) -> bool:
    """Return whether every sequence has at least ``columns`` columns of 0.25 at its two ends together."""
    neutral = (x == 1 / ALPHABET_SIZE).all(1).long()
    both = neutral.cumprod(1).sum(1) + neutral.flip(1).cumprod(1).sum(1)
    return bool((both >= columns).all())


def count_parameters(model: nn.Module) -> int:
    """Return the number of weights of a network."""
    return sum(parameter.numel() for parameter in model.parameters())


def check_positions(positions: int, window: int, name: str) -> int:
    """Return ``positions``, those left after pooling; raise InputError if the window is too short to leave any."""
    if positions < 1:
        raise InputError(f"a window of {window} bases is too short for {name}: nothing is left after its pooling")
    return positions


def receptive_field(layers: Iterable[tuple[int, int]]) -> int:
    """Return how many bases one unit sees through layers of (width, stride), (width - 1) · dilation + 1 if dilated."""
    field, step = 1, 1
    for width, stride in layers:
        field += (width - 1) * step
        step *= stride
    return field
