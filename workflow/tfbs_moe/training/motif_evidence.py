"""Learning what a factor's motif is worth, from simulated factors: sites planted in bound sequences of others.

The factors that a study trains on are too few, and their motifs too alike, to learn it from them (docs/results.md).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.optimize import minimize

from tfbs_moe.data.dataset import Dataset
from tfbs_moe.data.jaspar import GROUP, Matrix, factor_matrices, matrices
from tfbs_moe.data.motif_prior import RELATED_P, tomtom_p
from tfbs_moe.data.motif_scores import occupancy
from tfbs_moe.data.negatives.shuffles import dinucleotide_shuffle
from tfbs_moe.errors import LeftOutError
from tfbs_moe.models.expert import Expert, predict_in_batches
from tfbs_moe.models.gates import MotifGate
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.runtime import rng
from tfbs_moe.sequence import UNKNOWN, codes_from_one_hot, one_hot_from_codes
from tfbs_moe.training.examples import auroc

log = logging.getLogger(__name__)

# Simulated factors, and bound sequences of each.
_FACTORS, _ROWS = 200, 32
# Range of the fraction of bound sequences with a site. Fractions from 0.1 were tried, and undervalue the motifs of the
# factors that ``benchmarks/evidence.py`` scores.
_LEAST_SITES, _MOST_SITES = 0.5, 1.0
_BATCH = 512


@dataclass(frozen=True, eq=False)
class Simulation:
    """What simulated factors are made of."""

    sequences: Mapping[str, Dataset]  # by training experiment; sites are planted in their bound sequences
    factors: Sequence[str]  # whose families of matrices are not simulated: the experts know them
    group: str = GROUP  # of JASPAR's matrices


@dataclass(frozen=True, eq=False)
class SimulatedFactor:
    """Sequences of one simulated factor: codes uint8 (N, L), bound ones with sites and then a shuffle of each."""

    codes: np.ndarray
    related: tuple[Matrix, ...]  # by which the occupancy of its sites is computed


def plant(codes: np.ndarray, matrix: Matrix, fraction: float, stream: np.random.Generator) -> np.ndarray:
    """Return a copy of sequences (N, L) in which a ``fraction``, on average, has one site drawn from a matrix.

    Its position and strand are uniform.
    """
    planted, width = codes.copy(), matrix.probabilities.shape[1]
    rows = np.flatnonzero(stream.random(len(codes)) < fraction)
    # Rounding may leave the sum of a column below a draw.
    cumulative = matrix.probabilities.cumsum(axis=0)[:-1]
    sites = (stream.random((len(rows), 1, width)) > cumulative).sum(axis=1)
    sites = np.where(stream.random((len(rows), 1)) < 0.5, sites, 3 - sites[:, ::-1])
    starts = stream.integers(codes.shape[1] - width + 1, size=len(rows))
    planted[rows[:, None], starts[:, None] + np.arange(width)] = sites
    return planted


def simulate(bound: np.ndarray, simulation: Simulation, seed: int) -> list[SimulatedFactor]:
    """Make the simulated factors from bound sequences, codes (F, rows, L) for F factors.

    A factor's sites come from one of the matrices related to its own, as the matrix of a real factor is an estimate.
    """
    known = matrices(simulation.group)
    taken = {
        family for factor in simulation.factors for one in factor_matrices(factor, known) for family in one.families
    }
    free = [place for place, one in enumerate(known) if not taken.intersection(one.families)]
    fit = [place for place in free if known[place].probabilities.shape[1] <= bound.shape[2]]
    chosen = rng(seed, "simulated factors").permutation(fit)[: len(bound)]
    near = tomtom_p([known[place] for place in chosen], known) < RELATED_P
    found = []
    for place, related, codes in zip(chosen, near, bound, strict=False):
        stream = rng(seed, "sites", known[place].matrix_id)
        others = [one for one, is_near in zip(known, related, strict=True) if is_near] or [known[place]]
        short = [one for one in others if one.probabilities.shape[1] <= codes.shape[1]]
        source = short[int(stream.integers(len(short)))]
        planted = plant(codes, source, stream.uniform(_LEAST_SITES, _MOST_SITES), stream)
        shuffles = dinucleotide_shuffle(planted, stream)
        found.append(SimulatedFactor(np.concatenate([planted, shuffles]), tuple(others)))
    return found


def fit_evidence(
    gate: MotifGate, experts: Mapping[str, Expert], hidden: torch.Tensor, simulation: Simulation, seed: int
) -> dict[str, Any]:
    """Set the evidence of a trained gate by the likelihood of simulated factors, and return what was found.

    ``hidden``, bool (experiments, K), are the experts of each experiment's own factor: they are absent, as they are for
    a factor that no expert was trained on. Raises LeftOutError without bound sequences or matrices.
    """
    pools = [(place, _bound(dataset)) for place, dataset in enumerate(simulation.sequences.values())]
    pools = [(place, codes) for place, codes in pools if len(codes)]
    if not pools:
        raise LeftOutError("no bound sequence without an unknown base is left to simulate factors in")
    stream = rng(seed, "simulated sequences")
    drawn = [pools[int(pool)] for pool in stream.integers(len(pools), size=_FACTORS)]
    bound = np.stack([codes[stream.integers(len(codes), size=_ROWS)] for _, codes in drawn])
    simulated = simulate(bound, simulation, seed)
    if not simulated:
        raise LeftOutError(f"JASPAR has no matrix of {simulation.group} beside those of the training factors' families")
    mixture = MixtureOfExperts(experts, gate)

    def score(x: torch.Tensor, away: torch.Tensor) -> tuple[torch.Tensor]:
        embeddings = mixture.experts(x)
        return (gate(torch.where(away.bool()[:, :, None], torch.nan, embeddings))[0],)

    logits, evidence = [], []
    for (place, _), factor in zip(drawn, simulated, strict=False):
        one_hot = one_hot_from_codes(factor.codes)
        away = np.repeat(hidden[place][None].cpu().numpy().astype(np.float32), len(one_hot), axis=0)
        logits.append(predict_in_batches(mixture, score, one_hot, mixture.window, _BATCH, away)[0])
        evidence.append(torch.from_numpy(occupancy(one_hot, factor.related)))
    logit, z = torch.cat(logits).double(), torch.cat(evidence).double()
    label = torch.cat([torch.ones(_ROWS), torch.zeros(_ROWS)]).repeat(len(simulated)).double()
    _maximise(gate, logit, z, label)
    gained = logit + gate.gained(z)
    parts = [tuple(each.split(2 * _ROWS)) for each in (label, logit, gained)]
    areas = [[auroc(own.numpy(), said.numpy()) for own, said in zip(parts[0], one, strict=True)] for one in parts[1:]]
    share, log_weight, shift = gate.evidence.tolist()
    return {
        "simulated_factors": len(simulated),
        "site_fraction": float(torch.sigmoid(torch.tensor(share))),
        "weight": float(np.exp(log_weight)),
        "shift": shift,
        "mean_auroc_without": float(np.mean(areas[0])),
        "mean_auroc_with": float(np.mean(areas[1])),
    }


def _maximise(gate: MotifGate, logit: torch.Tensor, z: torch.Tensor, label: torch.Tensor) -> None:
    """Set the gate's evidence to the maximum of the likelihood of labels (N,)."""
    device = gate.evidence.device

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        gate.evidence = torch.tensor(values, requires_grad=True)
        found = F.binary_cross_entropy_with_logits(logit + gate.gained(z), label)
        (slope,) = torch.autograd.grad(found, gate.evidence)
        return float(found.detach()), slope.numpy()

    # Not torch's optimiser of this kind, which loads its compiler first: five seconds.
    best = minimize(loss, np.zeros(3), jac=True, method="L-BFGS-B").x
    gate.evidence = torch.from_numpy(best).float().to(device)


def _bound(dataset: Dataset) -> np.ndarray:
    """Return the bound sequences without an unknown base, codes (N, L)."""
    codes = codes_from_one_hot(dataset.one_hot[dataset.label == 1])
    return codes[(codes != UNKNOWN).all(axis=1)]
