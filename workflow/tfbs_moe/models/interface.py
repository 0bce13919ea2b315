"""What every expert is: a network from one sequence to an embedding and to a logit."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn

from tfbs_moe.errors import InputError
from tfbs_moe.models.layers import pad_neutral
from tfbs_moe.models.parameters import as_json, parse
from tfbs_moe.sequence import one_hot

ALPHABET_SIZE = 4
PREDICTION_BATCH = 1024
Sequences = Sequence[str] | np.ndarray | torch.Tensor


@dataclass(frozen=True)
class ExpertParameters:
    """Hyper-parameters that every architecture has.

    Attributes:
        embedding_size: length E of the vector that the gate sees.
        reverse_complement: ``average`` embeds both strands and takes the mean; ``average_prediction``
            does so in prediction alone, beside ``augmentation: reverse_complement`` in training (half
            the cost); ``none`` leaves the network as it is.
    """

    embedding_size: int = 32
    reverse_complement: Literal["none", "average", "average_prediction"] = "none"


class Expert(nn.Module, ABC):
    """A network for sequences of one length; subclass it for an architecture of your own.

    A subclass sets ``Parameters`` (a frozen dataclass derived from ``ExpertParameters``), builds its
    layers in ``__init__`` after ``super().__init__(window, hyperparameters)`` and ends with
    ``add_head``; it defines ``encode``, which ends with ``embed_features``. Whoever wants another
    head overrides ``classify`` instead.

    Attributes:
        window: bases L of the sequences it takes.
        embedding_size: E.
        receptive_field: bases that one unit before the last pooling sees.
        padding: the columns that the network sets on each side of the sequence, and their value.
        hyperparameters: every hyper-parameter with its value, as plain JSON.
    """

    Parameters: ClassVar[type[ExpertParameters]] = ExpertParameters
    # What a search varies, by "network.<hyper-parameter>" and "training.<setting>"; see training.search.
    search_space: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    # Whether torch.vmap can run several networks of this kind as one (recurrent layers cannot).
    stackable: ClassVar[bool] = True
    # Whether such networks predict faster one by one where there is a CPU alone.
    quick_alone: ClassVar[bool] = False

    receptive_field: int
    padding: dict[str, float]

    def __init__(self, window: int, hyperparameters: Mapping[str, Any]) -> None:
        """Check the hyper-parameters; ``self.settings`` holds them as the dataclass ``Parameters``."""
        super().__init__()
        self.settings: Any = parse(self.Parameters, hyperparameters, f"hyper-parameters of {type(self).__name__}")
        self.window = window
        self.embedding_size: int = self.settings.embedding_size
        self.hyperparameters = as_json(self.settings)
        self.padding = {"columns": 0, "value": 0.0}

    def pad(self, x: torch.Tensor) -> torch.Tensor:
        """Set the network's own columns of 0.25 beside sequences (N, 4, L).

        A sequence that brings some of them along, at one end or both, gets so many fewer: it can lie a few bases to the
        left or the right of the middle of what the network reads, and none is lost.

        Raises:
            InputError: the sequences have another length than the network's, or more than the network's columns.
        """
        return pad_neutral(x, self.columns_beside(x))

    def columns_beside(self, x: torch.Tensor) -> int:
        """Return how many columns ``pad`` sets on each side of these sequences; it raises what ``pad`` does."""
        columns = int(self.padding["columns"])
        check_window(x, self.window, columns)
        return columns - (x.shape[2] - self.window) // 2

    @abstractmethod
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Embed one strand: float (N, 4, L) to (N, E)."""

    def add_head(self, features: int, dropout: nn.Module) -> None:
        """Add what every expert ends with: features to embedding to logit."""
        self.linear = nn.Linear(features, self.embedding_size)
        self.norm = nn.LayerNorm(self.embedding_size)
        self.dropout = dropout
        self.head = nn.Linear(self.embedding_size, 1)

    def embed_features(self, features: torch.Tensor) -> torch.Tensor:
        """Turn features (N, features) into the embedding (N, E), of mean 0 and variance 1 per row."""
        return self.norm(self.linear(features))

    def classify(self, embedding: torch.Tensor) -> torch.Tensor:
        """Turn embeddings (N, E) into logits (N,); what drops out in training drops out here."""
        return self.head(self.dropout(embedding)).squeeze(1)

    def readout(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight (E,) and bias () by which ``classify`` turns an embedding into a logit in evaluation.

        A network whose ``classify`` is of another form overrides this, or cannot be mixed by its logit.
        """
        return self.head.weight[0], self.head.bias[0]

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Embed sequences: float (N, 4, L), unpadded, rows A C G T, to (N, E)."""
        mode = self.settings.reverse_complement
        if mode == "none" or (mode == "average_prediction" and self.training):
            return self.encode(x)
        return (self.encode(x) + self.encode(x.flip(1, 2))) / 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logit (N,) of sequences (N, 4, L)."""
        return self.classify(self.embed(x))

    def predict(self, sequences: Sequences, *, batch_size: int = PREDICTION_BATCH) -> torch.Tensor:
        """Return the logits, float32 (N,) on the CPU and without gradients, of sequences.

        Args:
            sequences: N strings of length L, or a one-hot array or tensor (N, 4, L), rows A C G T.
            batch_size: sequences at a time.

        Raises:
            InputError: the sequences are of another length or no DNA.
        """
        return torch.cat(
            [logits for (logits,) in predict_in_batches(self, lambda x: (self(x),), sequences, self.window, batch_size)]
        )


def predict_in_batches(
    model: nn.Module,
    score: Callable[[torch.Tensor], tuple[torch.Tensor, ...]],
    sequences: Sequences,
    window: int,
    batch_size: int,
) -> list[tuple[torch.Tensor, ...]]:
    """Return what ``score`` gives for each batch, on the CPU; the model is in evaluation mode meanwhile.

    Strings become one-hot; an empty batch is scored where there is no sequence, so that shapes are there.
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
            batches = torch.split(x, batch_size) if len(x) else (x,)
            return [
                tuple(part.float().cpu() for part in score(batch.to(device=device, dtype=torch.float32)))
                for batch in batches
            ]
    finally:
        for module, mode in training.items():
            module.training = mode


def check_window(x: torch.Tensor, window: int, columns: int = 0) -> None:
    """Raise InputError unless ``x`` is (N, 4, window), or longer by neutral ends of at most 2 ``columns`` in all."""
    shaped = x.ndim == 3 and x.shape[1] == ALPHABET_SIZE
    longer = x.shape[2] - window if shaped else 0
    brought = longer == 0 or (0 < longer <= 2 * columns and longer % 2 == 0 and _neutral_ends(x, longer))
    if not (shaped and brought):
        raise InputError(
            f"a model of window {window} takes sequences (N, {ALPHABET_SIZE}, {window}); got {tuple(x.shape)}. "
            "Use sequences of the length the model was trained on."
        )


def _neutral_ends(x: torch.Tensor, columns: int) -> bool:
    """Return whether every sequence begins and ends with so many columns of 0.25, both ends together."""
    neutral = (x == 1 / ALPHABET_SIZE).all(1).long()
    both = neutral.cumprod(1).sum(1) + neutral.flip(1).cumprod(1).sum(1)
    return bool((both >= columns).all())


def count_parameters(model: nn.Module) -> int:
    """Return the number of weights of a network."""
    return sum(parameter.numel() for parameter in model.parameters())


def check_positions(positions: int, window: int, name: str) -> int:
    """Return the positions that are left after pooling; InputError where the window is too short for the network."""
    if positions < 1:
        raise InputError(f"a window of {window} bases is too short for {name}: nothing is left after its pooling")
    return positions


def receptive_field(layers: Iterable[tuple[int, int]]) -> int:
    """Return how many bases one unit sees behind layers of (width, stride), the first layer first.

    The width of a dilated layer is (width - 1) · dilation + 1.
    """
    field, step = 1, 1
    for width, stride in layers:
        field += (width - 1) * step
        step *= stride
    return field
