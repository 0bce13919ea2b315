"""Several experts on the same sequences, in as few passes as possible."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.func import functional_call, vmap

from tfbs_moe.errors import InputError
from tfbs_moe.models.expert import Expert, check_window

# Bounds the activations held at once with hundreds of experts.
EXPERTS_PER_PASS = 32


class ExpertStack(nn.Module):
    """Named experts of one window, always in evaluation mode; those of one shape run as one batched network."""

    def __init__(self, experts: Mapping[str, Expert]) -> None:
        """Hold the experts; raise InputError without any, or if their windows differ."""
        super().__init__()
        if not experts:
            raise InputError("a mixture needs at least one expert")
        windows = {name: expert.window for name, expert in experts.items()}
        if len(set(windows.values())) > 1:
            raise InputError(f"experts of a mixture must share one window; these have {windows}")
        self.names = tuple(experts)
        self.gate_experts = nn.ModuleList(experts.values())
        self.padding = min((expert.padding for expert in experts.values()), key=lambda padding: padding["columns"])
        self.window = next(iter(windows.values()))
        self.embedding_size = max(expert.embedding_size for expert in experts.values())  # zeros pad shorter ones
        # False for methods that hook into the experts' layers (DeepLIFT), which a batched pass does not call.
        self.batched = True
        self._passes = _passes(list(experts.values()))
        self.train(False)

    def __len__(self) -> int:
        """Return the number of experts K."""
        return len(self.names)

    def train(self, mode: bool = True) -> "ExpertStack":
        """Stay in evaluation mode: gates train on embeddings without dropout."""
        return super().train(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embed sequences (N, 4, L) with every expert: (N, K, E)."""
        check_window(x, self.window, int(self.padding["columns"]))
        embeddings: list[torch.Tensor | None] = [None] * len(self)
        alone = x.device.type == "cpu" and not torch.is_grad_enabled()
        for positions in self._passes:
            quicker = alone and self.expert(positions[0]).quick_alone
            if self.batched and len(positions) > 1 and not quicker:
                for position, embedding in zip(positions, self._embed_together(positions, x), strict=True):
                    embeddings[position] = embedding
            else:
                for position in positions:
                    embeddings[position] = self.expert(position).embed(x)
        stacked = torch.stack([self._fill(embedding) for embedding in embeddings if embedding is not None], dim=1)
        # To a gate NaN means that an expert is absent; weights too large to compute with must not look like that.
        return stacked.nan_to_num(torch.inf, torch.inf, -torch.inf)

    def readouts(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weights (K, E) and biases (K,) that turn embeddings into the experts' own logits."""
        read = [self.expert(position).readout() for position in range(len(self))]
        weights = [F.pad(weight, (0, self.embedding_size - len(weight))) for weight, _ in read]
        return torch.stack(weights).detach(), torch.stack([bias for _, bias in read]).detach()

    def expert(self, position: int) -> Expert:
        """Return one of the experts."""
        expert = self.gate_experts[position]
        assert isinstance(expert, Expert)
        return expert

    def _fill(self, embedding: torch.Tensor) -> torch.Tensor:
        missing = self.embedding_size - embedding.shape[1]
        return F.pad(embedding, (0, missing)) if missing else embedding

    def _embed_together(self, positions: Sequence[int], x: torch.Tensor) -> torch.Tensor:
        """Embed with experts of one shape in one pass: (experts, N, E)."""
        states = [self.gate_experts[position].state_dict(keep_vars=True) for position in positions]
        # Restacked each time, which is cheap, so that weights are current and gradients reach them.
        stacked = {name: torch.stack([state[name] for state in states]) for name in states[0]}
        template = _Embedding(self.expert(positions[0]))

        def embed(state: dict[str, torch.Tensor]) -> torch.Tensor:
            return functional_call(template, {f"expert.{name}": tensor for name, tensor in state.items()}, (x,))

        return vmap(embed)(stacked)


class _Embedding(nn.Module):
    """An expert whose ``forward`` is ``embed``, for ``functional_call``."""

    def __init__(self, expert: Expert) -> None:
        super().__init__()
        self.expert = expert

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.expert.embed(x)


def _passes(experts: Sequence[Expert]) -> list[list[int]]:
    """Group the positions of experts that can share a pass, at most ``EXPERTS_PER_PASS`` each."""
    groups: dict[object, list[int]] = {}
    for position, expert in enumerate(experts):
        shape = (type(expert), repr(sorted(expert.hyperparameters.items()))) if expert.stackable else position
        groups.setdefault(shape, []).append(position)
    return [
        group[start : start + EXPERTS_PER_PASS]
        for group in groups.values()
        for start in range(0, len(group), EXPERTS_PER_PASS)
    ]
