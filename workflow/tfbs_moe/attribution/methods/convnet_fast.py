"""Faster explanation of ConvNets on a CPU; the numbers stay the same to rounding.

A ConvNet is a convolution, ReLU and global pooling (``MotifScan``), then a few small layers. A transposed convolution
is linear, so the gradients of many copies of a sequence are summed after the convolution and brought back to the bases
once. A mutation touches one filter width of the convolution, so the rest is computed once for all mutations. And
gradients return to four channels quickly when neighbouring bases are computed as channels of one strided convolution.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfbs_moe.attribution.methods.references import NEUTRAL
from tfbs_moe.attribution.methods.scorer import Scorer
from tfbs_moe.models.convnet import ConvNet
from tfbs_moe.models.expert import pad_neutral
from tfbs_moe.models.mixture import MixtureOfExperts

# Neighbouring bases computed as channels of one strided convolution: 4 bases × 4 channels fill a register.
PHASES = 4
# Sequences computed together: enough to amortise the overhead of a call, few enough for a core's cache.
CACHED_ROWS = 640
# The same where all mutations are computed; each sequence takes (filters, L, width) numbers.
CACHED_MUTANTS = 8

Head = Callable[[Sequence[Tensor]], Tensor]


class Branch:
    """One strand of one ConvNet, from the sequence to its filters' hits, (N, F, T): activations before ReLU.

    With a padding of width - 1, T is L + width - 1 and the gradient of base p depends on the hits p to p + width - 1.
    """

    def __init__(self, expert: ConvNet, flipped: bool) -> None:
        """Read the filters of an expert, for the given strand or the reverse one (``flipped``)."""
        scan = expert.scan
        self.flipped = flipped
        self.mean = scan.mean
        self.weight = scan.convolution.weight.detach()
        self.bias = scan.convolution.bias
        self.width = self.weight.shape[2]
        self.kernel = self.weight.flip(2)
        filters = len(self.weight)
        phases = self.weight.new_zeros(PHASES, 4, filters, self.width + PHASES - 1)
        for phase in range(PHASES):
            phases[phase, ..., phase : phase + self.width] = self.kernel.transpose(0, 1)
        self.phases = phases.flatten(0, 1)

    def hits(self, x: Tensor) -> Tensor:
        """Return the hits (N, F, T) on sequences (N, 4, L)."""
        strand = x.flip(1, 2) if self.flipped else x
        return F.conv1d(pad_neutral(strand, self.width - 1), self.weight, self.bias)

    def shifted_hits(self, windows: Tensor) -> Tensor:
        """Return hits (N · C, F, T) on windows (N, C, 4, L), each one base on; their shared inside is scanned once."""
        count, copies, _, length = windows.shape
        reach = self.width - 1
        if length < self.width:
            return self.hits(windows.flatten(0, 1))
        # On the reverse strand the last window comes first.
        strand = windows.flip(1, 2, 3) if self.flipped else windows
        extended = torch.cat([strand[:, 0], strand[:, 1:, :, -1].transpose(1, 2)], 2)
        inner = F.conv1d(extended, self.weight, self.bias).unfold(2, length - reach, 1).transpose(1, 2)
        ends = windows.new_full((2, count, copies, 4, 2 * reach), NEUTRAL)
        ends[0, ..., reach:] = strand[..., :reach]
        ends[1, ..., :reach] = strand[..., length - reach :]
        left, right = F.conv1d(ends.flatten(0, 2), self.weight, self.bias).view(2, count, copies, -1, reach)
        # Concatenating parts that are views takes twice as long.
        hits = windows.new_empty(count, copies, len(self.weight), length + reach)
        hits[..., :reach], hits[..., reach:length], hits[..., length:] = left, inner, right
        return (hits.flip(1) if self.flipped else hits).flatten(0, 1)

    def noise(self, noise: Tensor) -> Tensor:
        """Return what noise (D, 4, L) on the bases adds to the hits of any sequence, (D, F, T)."""
        strand = noise.flip(1, 2) if self.flipped else noise
        return F.conv1d(F.pad(strand, (self.width - 1, self.width - 1)), self.weight)

    def to_bases(self, d: Tensor) -> Tensor:
        """Propagate gradients of hits (N, F, M) to the M - width + 1 bases between them, on the branch's strand."""
        length = d.shape[2] - self.width + 1
        bases = F.conv1d(F.pad(d, (0, -length % PHASES)), self.phases, stride=PHASES)
        return bases.unflatten(1, (PHASES, 4)).permute(0, 2, 3, 1).flatten(2)[..., :length]

    def to_input(self, bases: Tensor) -> Tensor:
        """Turn a gradient on the branch's strand into one on the sequence's."""
        return bases.flip(1, 2) if self.flipped else bases


@dataclass(frozen=True, eq=False)
class Pooling:
    """What a gradient needs to pass back through ReLU and global pooling of R sequences."""

    active: Tensor  # (R, F, T), 1 where ReLU passes a hit, else 0
    where: Tensor  # (R, F), position of each filter's maximum
    maximum: Tensor  # (R, F), gradient of the maximum, 0 where ReLU passes no hit
    mean: Tensor | None  # (R, F, 1), gradient of the mean at each position; None without mean pooling


@dataclass(frozen=True, eq=False)
class MotifScorer(Scorer):
    """A ``Scorer`` for a ConvNet or a mixture of them."""

    branches: Sequence[Branch]  # every strand of every expert
    head: Head  # from each branch's pooled values, (N, F) or (N, 2F), to the logit (N,)

    def gradient(self, x: Tensor) -> Tensor:
        """Return the gradient (N, 4, L); see ``Scorer``."""
        return self.mean_gradient(x[:, None], x.new_ones(1))

    def mean_gradient(self, copies: Tensor, weight: Tensor) -> Tensor:
        """Return the weighted sum (N, 4, L) of the gradients of copies (N, C, 4, L); see ``Scorer``."""
        count = copies.shape[1]
        if count > self.batch_size:
            return super().mean_gradient(copies, weight)

        parts = []
        for part in copies.split(self._rows(count)):
            rows = part.flatten(0, 1)
            parts.append(self._each([branch.hits(rows) for branch in self.branches], weight, partial(_summed, count)))
        return torch.cat(parts)

    def noisy_gradient(self, x: Tensor, noise: Tensor) -> Tensor:
        """Return the mean gradient (N, 4, L) over noisy copies; the noise is scanned once. See ``Scorer``."""
        count = len(noise)
        if count > self.batch_size:
            return super().noisy_gradient(x, noise)
        weight = noise.new_full((count,), 1 / count)
        added = [branch.noise(noise) for branch in self.branches]
        parts = []
        for part in x.split(self._rows(count)):
            pairs = zip(self.branches, added, strict=True)
            hits = [(branch.hits(part)[:, None] + each).flatten(0, 1) for branch, each in pairs]
            parts.append(self._each(hits, weight, partial(_summed, count)))
        return torch.cat(parts)

    def shift_gradients(self, windows: Tensor, weight: Tensor) -> Tensor:
        """Return gradients (N, 2n + 1, 4, L), summed at shift 0 for bases that every shift keeps; see ``Scorer``.

        Neighbouring windows must lie one base apart.
        """
        count, length = windows.shape[1], windows.shape[3]
        n = count // 2
        if count > self.batch_size or length < 4 * n or not n:
            return super().shift_gradients(windows, weight)
        edge = _edges(n, windows)

        def smoothed(branch: Branch, pooling: Pooling) -> Tensor:
            positions = pooling.active.shape[2]
            reach = branch.width - 1 + 2 * n
            result = windows.new_zeros(len(pooling.active), 4, length)
            result[..., : 2 * n] = branch.to_bases(_behind_pooling(pooling, size=reach))
            result[..., length - 2 * n :] = branch.to_bases(_behind_pooling(pooling, [positions - reach], reach))
            result = branch.to_input(result).view(-1, count, 4, length)
            result[..., : 2 * n] *= edge[0]
            result[..., length - 2 * n :] *= edge[1]
            # On the reverse strand shifts go the other way.
            starts = range(count) if branch.flipped else range(count - 1, -1, -1)
            inner = branch.to_bases(_behind_pooling(pooling, starts, positions - 2 * n))
            result[:, n, :, n : length - n] = branch.to_input(inner)
            return result

        # ``_each`` weights the gradients first, so that ``smoothed`` can sum over shifts.
        parts = []
        for part in windows.split(self._rows(count)):
            hits = [branch.shifted_hits(part) for branch in self.branches]
            parts.append(self._each(hits, weight, smoothed))
        return torch.cat(parts)

    def mutation_effects(self, x: Tensor) -> Tensor:
        """Return the change of the score (N, 4, L) at every mutation; see ``Scorer``."""
        at_once = max(1, min(CACHED_MUTANTS, self.batch_size // (4 * x.shape[2])))
        return torch.cat([self._mutation_effects(part) for part in x.split(at_once)])

    def _rows(self, copies: int) -> int:
        """Return how many sequences of so many copies are computed together."""
        return max(1, min(self.batch_size, CACHED_ROWS) // copies)

    def _each(self, hits: Sequence[Tensor], weight: Tensor, gradient: Callable[[Branch, Pooling], Tensor]) -> Tensor:
        """Sum ``gradient(branch, pooling)`` over branches and their hits; row r has the weight r modulo C."""
        scanned = [(branch, *_pool(each, branch.mean)) for branch, each in zip(self.branches, hits, strict=True)]
        with torch.enable_grad():
            leaves = [pooled.requires_grad_(True) for _, _, pooled, _ in scanned]
            grads = torch.autograd.grad(self.explained(self.head(leaves)).sum(), leaves)
        each = weight.repeat(len(hits[0]) // len(weight))[:, None]
        terms = [
            gradient(branch, _pooling(active, pooled.detach(), where, grad * each))
            for (branch, active, pooled, where), grad in zip(scanned, grads, strict=True)
        ]
        return terms[0] if len(terms) == 1 else torch.stack(terms).sum(0)

    def _mutation_effects(self, x: Tensor) -> Tensor:
        count, _, length = x.shape
        with torch.no_grad():
            reference = self.explained(self.head([_pool(b.hits(x), b.mean)[1] for b in self.branches]))
            pooled = [_pooled_mutants(branch, x) for branch in self.branches]
            score = self.explained(self.head([part.flatten(0, 2) for part in pooled])).view(count, length, 4)
        effect = score.transpose(1, 2) - reference[:, None, None]
        return effect.masked_fill(x == 1, 0)


def take_apart(model: nn.Module) -> tuple[list[Branch], Head] | None:
    """Split a ConvNet or a mixture of ConvNets into its branches and the head that follows them.

    Returns None for other networks, for layers with hooks (which would not be called), and where the parts do not give
    the logits of the whole.
    """
    if any(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks for module in model.modules()):
        return None
    if type(model) is ConvNet:
        return _checked(model, _branches(model), lambda pooled: model.classify(_embedding(model, iter(pooled))))
    if type(model) is MixtureOfExperts:
        experts = [gate_expert for gate_expert in model.experts.gate_experts if type(gate_expert) is ConvNet]
        if len(experts) == len(model.experts) and len({expert.embedding_size for expert in experts}) == 1:
            branches = [branch for expert in experts for branch in _branches(expert)]
            return _checked(model, branches, lambda pooled: _mix(model, experts, iter(pooled)))
    return None


def _checked(model: ConvNet | MixtureOfExperts, branches: list[Branch], head: Head) -> tuple[list[Branch], Head] | None:
    return (branches, head) if _same(model, branches, head) else None


def _same(model: ConvNet | MixtureOfExperts, branches: Sequence[Branch], head: Head) -> bool:
    """Return whether the parts give the logits of the whole, on the four homopolymers and on repeats of ACGT."""
    codes = torch.arange(model.window).repeat(5, 1)
    codes[:4] = torch.arange(4)[:, None]
    probe = F.one_hot(codes % 4, 4).transpose(1, 2).to(branches[0].weight)
    with torch.no_grad():
        ours = head([_pool(branch.hits(probe), branch.mean)[1] for branch in branches])
        return torch.allclose(ours, model(probe), rtol=1e-3, atol=1e-4)


def _branches(expert: ConvNet) -> list[Branch]:
    return [Branch(expert, flipped) for flipped in _strands(expert)]


def _embedding(expert: ConvNet, pooled: Iterator[Tensor]) -> Tensor:
    embeddings = [expert.embed_features(next(pooled)) for _ in _strands(expert)]
    return embeddings[0] if len(embeddings) == 1 else torch.stack(embeddings).mean(0)


def _strands(expert: ConvNet) -> tuple[bool, ...]:
    # Predictions are explained, so a network that averages strands only in prediction does so here too.
    return (False,) if expert.settings.reverse_complement == "none" else (False, True)


def _mix(mixture: MixtureOfExperts, experts: Sequence[ConvNet], pooled: Iterator[Tensor]) -> Tensor:
    embeddings = torch.stack([_embedding(expert, pooled) for expert in experts], dim=1)
    return mixture.gate(embeddings)[0]


def _summed(copies: int, branch: Branch, pooling: Pooling) -> Tensor:
    """Return the gradient of the bases, summed over the copies of each sequence."""
    return branch.to_input(branch.to_bases(_behind_pooling(pooling, [0] * copies)))


def _pooling(hits: Tensor, pooled: Tensor, where: Tensor, grad: Tensor) -> Pooling:
    filters, positions = hits.shape[1:]
    maximum = grad[:, :filters] * (pooled[:, :filters] > 0)
    mean = (grad[:, filters:] / positions)[:, :, None] if grad.shape[1] > filters else None
    return Pooling(hits.sign_(), where, maximum, mean)


def _pool(hits: Tensor, mean: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return hits after ReLU (N, F, T), their pooled values, and the positions of the maxima (N, F)."""
    hits = hits.clamp_(min=0)
    maximum, where = F.max_pool1d(hits, hits.shape[2], return_indices=True)
    pooled = maximum.squeeze(2)
    return hits, torch.cat([pooled, hits.mean(2)], 1) if mean else pooled, where.squeeze(2)


def _behind_pooling(pooling: Pooling, starts: Sequence[int] = (0,), size: int | None = None) -> Tensor:
    """Return the gradient of hits before ReLU, (N, F, size), summed over the copies of each sequence.

    ``pooling`` is of N · C rows, the C copies of a sequence one after another; ``size`` positions (None: all) are read
    of each copy, from its entry in ``starts`` on.
    """
    copies = len(starts)
    rows, filters, positions = pooling.active.shape
    size = positions if size is None else size
    # The position beyond the last collects the maxima that lie outside.
    total = pooling.active.new_zeros(rows // copies, filters, size + 1)
    place = pooling.where.view(-1, copies, filters).transpose(1, 2) - pooling.where.new_tensor(starts)
    place = place.masked_fill((place < 0) | (place >= size), size)
    total.scatter_add_(2, place, pooling.maximum.view(-1, copies, filters).transpose(1, 2))
    if pooling.mean is not None:
        for copy, start in enumerate(starts):
            mine = slice(copy, None, copies)
            total[..., :size].addcmul_(pooling.active[mine, :, start : start + size], pooling.mean[mine])
    return total[..., :size]


def _edges(n: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return, per side, which of a window's outer 2n bases map to the sequence's outer n or beyond, (2n + 1, 1, 2n)."""
    shift = n - torch.arange(2 * n + 1, device=like.device)[:, None, None]
    place = torch.arange(2 * n, device=like.device)
    return (place < n + shift).to(like), (place >= n + shift).to(like)


def _pooled_mutants(branch: Branch, x: Tensor) -> Tensor:
    """Return a branch's pooled values for every mutation, (N, L, 4, F) or (N, L, 4, 2F).

    A mutation at base p changes hits p to p + width - 1. The maximum of the others comes from running maxima from
    either end, their mean from a difference.
    """
    strand = x.flip(1, 2) if branch.flipped else x
    hits = branch.hits(x)
    count, filters, positions = hits.shape
    windows = hits.unfold(2, branch.width, 1)
    without = windows - torch.einsum("fco,ncp->nfpo", branch.kernel, strand)
    edge = hits.new_zeros(count, filters, 1)
    before = torch.cat([edge, hits.cummax(2).values], 2)[..., : strand.shape[2]]
    after = torch.cat([hits.flip(2).cummax(2).values.flip(2), edge], 2)[..., branch.width :]
    outside = torch.maximum(before, after).clamp_(min=0)
    active = hits.clamp(min=0)
    rest = active.sum(2, keepdim=True) - active.unfold(2, branch.width, 1).sum(3)
    pooled = []
    for base in range(4):
        changed = (without + branch.kernel[:, base, None]).clamp_(min=0)
        parts = [torch.maximum(outside, changed.amax(3))]
        parts += [(rest + changed.sum(3)) / positions] if branch.mean else []
        pooled.append(torch.cat(parts, 1).transpose(1, 2))
    if branch.flipped:
        return torch.stack(pooled[::-1], 2).flip(1)
    return torch.stack(pooled, 2)
