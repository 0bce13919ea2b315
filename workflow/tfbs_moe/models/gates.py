"""Gates: their interface, the paper's, one over expert logits, one by attention, and one with a factor's motif."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from tfbs_moe.errors import InputError
from tfbs_moe.models.expert_stack import ExpertStack
from tfbs_moe.models.parameters import as_json, parse


@dataclass(frozen=True)
class GateParameters:
    """Hyper-parameters that every gate has: none."""


@dataclass(frozen=True)
class LearningGateParameters(GateParameters):
    """Hyper-parameters of every gate with learned weights."""

    # Coefficient of the weights' mean entropy (nats), subtracted from the training loss: keeps a gate from collapsing
    # onto one expert.
    entropy_bonus: float = 0.0


class Gate(nn.Module, ABC):
    """Mixes the embeddings of K experts into one logit.

    Embeddings are float (N, K, E); an expert whose embedding begins with NaN is absent for that sequence: its weight is
    0 and nothing of it is used. A gate that is ``motif_conditioned`` also takes the ``occupancy`` of the
    sequences, float (N,): the evidence in nats for a site of the factor that is asked for
    (``data.motif_scores.motif_occupancy``), NaN where its motif is unknown.

    A subclass sets ``Parameters``, builds its layers and defines ``mix``.
    """

    Parameters: ClassVar[type[GateParameters]] = GateParameters
    # Whether ``mix`` uses the experts' logits; the gate then keeps a copy of their heads.
    reads_logits: ClassVar[bool] = False
    motif_conditioned: ClassVar[bool] = False

    head_weight: torch.Tensor
    head_bias: torch.Tensor

    def __init__(self, experts: int, embedding_size: int, hyperparameters: Mapping[str, Any]) -> None:
        """Check the hyper-parameters of a gate over K = ``experts`` embeddings of size E = ``embedding_size``."""
        super().__init__()
        self.settings: Any = parse(self.Parameters, hyperparameters, f"hyper-parameters of {type(self).__name__}")
        self.hyperparameters = as_json(self.settings)
        self.experts = experts
        self.embedding_size = embedding_size
        if self.reads_logits:
            self.register_buffer("head_weight", torch.zeros(experts, embedding_size))
            self.register_buffer("head_bias", torch.zeros(experts))

    @abstractmethod
    def mix(
        self, embeddings: torch.Tensor, present: torch.Tensor, occupancy: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn embeddings (N, K, E), zero where not ``present`` (N, K), into logits (N,) and weights (N, K)."""

    def forward(
        self, embeddings: torch.Tensor, occupancy: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn embeddings (N, K, E) into logits (N,) and weights (N, K), which sum to 1, or to 0 without any expert."""
        present = ~embeddings[:, :, 0].isnan()
        embeddings = torch.where(present.unsqueeze(2), embeddings, 0.0)
        return self.mix(embeddings, present, occupancy if self.motif_conditioned else None)

    def logits_of_subsets(
        self, embeddings: torch.Tensor, kept: torch.Tensor, occupancy: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the logits (S, N) with each of the subsets ``kept``, bool (S, K), of experts that are all present."""
        rows = len(embeddings)
        # Not ``forward``, which would look for NaN in yet another copy.
        mixed = [self.mix(embeddings * each[:, None], each.expand(rows, -1), occupancy)[0] for each in kept]
        return torch.stack(mixed)

    def learn_heads(self, stack: ExpertStack) -> None:
        """Copy the heads of the experts, if ``mix`` uses their logits."""
        if self.reads_logits:
            weight, bias = stack.readouts()
            self.head_weight.copy_(weight)
            self.head_bias.copy_(bias)

    def logits_of_experts(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the experts' own logits (N, K)."""
        return torch.einsum("nke,ke->nk", embeddings, self.head_weight) + self.head_bias

    def choose(self, areas: torch.Tensor) -> None:
        """Set what gradient descent does not learn, from the experts' AUROCs (K,) on validation examples."""

    def penalty(self, weights: torch.Tensor) -> torch.Tensor | None:
        """Return the term added to the loss for weights (N, K), or None."""
        bonus = getattr(self.settings, "entropy_bonus", 0.0)
        return -bonus * entropy(weights).mean() if bonus else None


def entropy(weights: torch.Tensor) -> torch.Tensor:
    """Return the entropy in nats (N,) of weights (N, K); a weight of 0 adds nothing, and no gradient."""
    # The slope of -w log w is infinite at 0 and would give NaN gradients; a weight of 1 stands in, whose term is 0.
    return torch.special.entr(torch.where(weights > 0, weights, 1.0)).sum(dim=1)


def masked_softmax(scores: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Return the softmax (..., K) of scores over the experts present; zeros where none is."""
    lowest = torch.finfo(scores.dtype).min
    return torch.softmax(scores.masked_fill(~present, lowest), dim=-1) * present


@dataclass(frozen=True)
class SoftmaxGateParameters(LearningGateParameters):
    """Hyper-parameters of the paper's gate."""

    normalise: bool = False  # scale each embedding to length 1 first
    temperature: float = 1.0  # divides the gate's scores; above 1 it evens the weights out
    top: int | None = None  # experts of highest weight to mix for each sequence; None for all


class SoftmaxGate(Gate):
    """The paper's gate (arXiv 2507.09754).

    Weights are softmax(Linear(K·E → K)(all embeddings) / temperature); each embedding passes through its own linear
    layer, and their weighted sum through a final one.
    """

    Parameters = SoftmaxGateParameters

    def __init__(self, experts: int, embedding_size: int, hyperparameters: Mapping[str, Any]) -> None:
        super().__init__(experts, embedding_size, hyperparameters)
        _check_temperature(self)
        if self.settings.top is not None and not 1 <= self.settings.top <= experts:
            raise InputError(
                f"hyper-parameters of SoftmaxGate: top is {self.settings.top}; the gate has {experts} experts"
            )
        self.scores = nn.Linear(experts * embedding_size, experts)
        # One linear layer per expert, initialised as torch does a Linear.
        bound = embedding_size**-0.5
        self.transform = nn.Parameter(torch.empty(experts, embedding_size, embedding_size).uniform_(-bound, bound))
        self.shift = nn.Parameter(torch.empty(experts, embedding_size).uniform_(-bound, bound))
        self.head = nn.Linear(embedding_size, 1)

    def mix(
        self, embeddings: torch.Tensor, present: torch.Tensor, occupancy: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn embeddings (N, K, E) into logits (N,) and weights (N, K)."""
        if self.settings.normalise:
            embeddings = F.normalize(embeddings, dim=2)
        scores = self.scores(embeddings.flatten(1)) / self.settings.temperature
        weights = masked_softmax(scores, present)
        if self.settings.top is not None:
            ranked = scores.masked_fill(~present, -torch.inf)
            best = present & (ranked >= ranked.topk(self.settings.top, dim=1).values[:, -1:])
            kept = masked_softmax(scores, best)
            # The softmax over one expert is constant, so its scores would not train: take the gradient of the softmax
            # over all experts (straight-through estimator, Bengio et al. 2013, arXiv 1308.3432).
            weights = kept.detach() + (weights - weights.detach()) if self.settings.top == 1 else kept
        # Σ_k w_k (e_k T_k + s_k) as one matrix product over k and E together.
        weighted = (weights.unsqueeze(2) * embeddings).flatten(1)
        mixed = weighted @ self.transform.flatten(0, 1) + weights @ self.shift
        return self.head(mixed).squeeze(1), weights

    def logits_of_subsets(
        self, embeddings: torch.Tensor, kept: torch.Tensor, occupancy: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the logits (S, N) with each of the subsets ``kept``, bool (S, K), of experts that are all present."""
        if self.settings.normalise or self.settings.top is not None:
            return super().logits_of_subsets(embeddings, kept, occupancy)
        # What each expert adds to the scores, (N, K, K), and says alone, (N, K), is the same in all subsets.
        added = torch.einsum("nke,jke->nkj", embeddings, self.scores.weight.unflatten(1, embeddings.shape[1:]))
        said = torch.einsum("nke,ke->nk", embeddings, self.transform @ self.head.weight[0])
        said = said + self.shift @ self.head.weight[0]
        scores = torch.einsum("nkj,sk->snj", added, kept.to(added.dtype)) + self.scores.bias
        weights = masked_softmax(scores / self.settings.temperature, kept.unsqueeze(1))
        return (weights * said).sum(2) + self.head.bias


@dataclass(frozen=True)
class LogitGateParameters(LearningGateParameters):
    """Hyper-parameters of the gate over logits."""

    hidden: int = 32  # units of the layer that weighs the experts
    dropout: float = 0.2  # of its inputs and of its hidden units
    temperature: float = 1.0  # divides the gate's scores


class LogitGate(Gate):
    """Mixes expert logits rather than embeddings: logit = Σ_k w_k (a_k l_k + b_k).

    l_k is the logit of expert k, a_k and b_k rescale it, and the weights w are the softmax of an MLP over all
    embeddings, logits and presences. The result lies between the rescaled expert logits, so a wrong gate does no more
    harm than the worst expert alone.
    """

    Parameters = LogitGateParameters
    reads_logits: ClassVar[bool] = True

    def __init__(self, experts: int, embedding_size: int, hyperparameters: Mapping[str, Any]) -> None:
        super().__init__(experts, embedding_size, hyperparameters)
        _check_temperature(self)
        hidden, dropout = self.settings.hidden, self.settings.dropout
        self.score = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(experts * (embedding_size + 2), hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, experts),
        )
        self.scale = nn.Parameter(torch.zeros(experts))
        self.shift = nn.Parameter(torch.zeros(experts))

    def mix(
        self, embeddings: torch.Tensor, present: torch.Tensor, occupancy: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn embeddings (N, K, E) into logits (N,) and weights (N, K)."""
        said = self.logits_of_experts(embeddings) * present
        seen = torch.cat([embeddings.flatten(1), said, present.to(said.dtype)], dim=1)
        weights = masked_softmax(self.score(seen) / self.settings.temperature, present)
        return (weights * (said * F.softplus(self.scale + 1.0) + self.shift)).sum(1), weights


@dataclass(frozen=True)
class AttentionGateParameters(LearningGateParameters):
    """Hyper-parameters of the attention gate."""

    heads: int = 4  # must divide the embedding size
    dropout: float = 0.2  # of the mixed embedding


class AttentionGate(Gate):
    """A learned query attends to the experts' embeddings (Vaswani et al. 2017); the weights are means over heads."""

    Parameters = AttentionGateParameters

    def __init__(self, experts: int, embedding_size: int, hyperparameters: Mapping[str, Any]) -> None:
        super().__init__(experts, embedding_size, hyperparameters)
        if embedding_size % self.settings.heads:
            raise InputError(
                f"hyper-parameters of AttentionGate: {self.settings.heads} heads do not divide embeddings of "
                f"{embedding_size}"
            )
        self.place = nn.Parameter(torch.randn(experts, embedding_size) * embedding_size**-0.5)
        self.query = nn.Linear(experts * embedding_size, embedding_size)
        self.attention = nn.MultiheadAttention(embedding_size, self.settings.heads, batch_first=True)
        self.head = nn.Sequential(nn.ReLU(), nn.Dropout(self.settings.dropout), nn.Linear(embedding_size, 1))

    def mix(
        self, embeddings: torch.Tensor, present: torch.Tensor, occupancy: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn embeddings (N, K, E) into logits (N,) and weights (N, K)."""
        query = self.query(embeddings.flatten(1)).unsqueeze(1)
        placed = embeddings + self.place
        # A softmax over no expert is NaN: where none is present, attention sees all and its output is zeroed.
        someone = present.any(1, keepdim=True)
        mixed, weights = self.attention(query, placed, placed, key_padding_mask=~present & someone)
        return self.head(mixed.squeeze(1) * someone).squeeze(1), weights.squeeze(1) * someone


@dataclass(frozen=True)
class MotifGateParameters(AttentionGateParameters):
    """Hyper-parameters of the attention gate with evidence of the factor's motif."""

    # ``learned`` from simulated factors (``training.motif_evidence``), or ``unit``: the occupancy itself.
    evidence: Literal["learned", "unit"] = "learned"


class MotifGate(AttentionGate):
    """The attention gate, plus the evidence of the motif of the factor being scored: never of its labels.

    Bound sequences hold a site in a fraction s of cases, and sites are exp(z) times as frequent in them as elsewhere,
    where z is the ``occupancy`` of the sequence in nats. The log-odds of being bound then rise by
    log(1 - s + s exp(w z)) + c: for the lack of a site by no more than log(1 - s), as bound sequences without one are
    known. s, w and c are learned from simulated factors. Without a motif the logit is that of the attention gate.
    """

    Parameters = MotifGateParameters
    motif_conditioned: ClassVar[bool] = True
    evidence: torch.Tensor

    def __init__(self, experts: int, embedding_size: int, hyperparameters: Mapping[str, Any]) -> None:
        super().__init__(experts, embedding_size, hyperparameters)
        # logit(s), log(w) and c. An expert's gradient does not reach them: the gate's own rows are of few factors.
        self.register_buffer("evidence", torch.tensor([0.0, 0.0, 0.0]))

    def mix(
        self, embeddings: torch.Tensor, present: torch.Tensor, occupancy: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn embeddings (N, K, E) into logits (N,) and weights (N, K)."""
        logit, weights = super().mix(embeddings, present, None)
        return logit if occupancy is None else logit + self.gained(occupancy), weights

    def gained(self, occupancy: torch.Tensor) -> torch.Tensor:
        """Return what occupancies (N,) add to the logit; 0 where unknown."""
        z = occupancy.nan_to_num()
        if self.settings.evidence == "learned":
            share, log_weight, shift = self.evidence
            z = torch.logaddexp(F.logsigmoid(-share), F.logsigmoid(share) + log_weight.exp() * z) + shift
        return torch.where(occupancy.isnan(), 0.0, z)


def _check_temperature(gate: Gate) -> None:
    if gate.settings.temperature <= 0:
        raise InputError(
            f"hyper-parameters of {type(gate).__name__}: temperature is {gate.settings.temperature}; must be > 0"
        )
