"""What a motif is worth, learned from simulated factors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from planted_rows import HYPERPARAMETERS, WINDOW, planted
from tfbs_moe.data.dataset import subset
from tfbs_moe.data.jaspar import Matrix, factor_matrices
from tfbs_moe.data.motif_prior import motif_priors_of
from tfbs_moe.data.negatives.shuffles import dinucleotide_counts
from tfbs_moe.errors import LeftOutError
from tfbs_moe.models.gates import MotifGate
from tfbs_moe.models.registry import build, build_gate
from tfbs_moe.sequence import codes_from_one_hot
from tfbs_moe.training import motif_evidence
from tfbs_moe.training.motif_evidence import Simulation, fit_evidence, plant, simulate


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return Simulation({"A": planted(200, 1), "B": planted(200, 2)}, ["GATA3", "CTCF"])


@pytest.fixture
def gate() -> MotifGate:
    found = build_gate("motif", 2, 32, {}, seed=0)
    assert isinstance(found, MotifGate)
    return found.eval()


def test_sites_are_planted_in_a_fraction_of_sequences_on_both_strands() -> None:
    site = np.array([0, 0, 1, 2, 2, 3, 0, 1])
    sure = Matrix("M", "m", np.eye(4)[site].T)
    codes = np.full((4000, 30), 1, np.uint8)
    found = plant(codes, sure, 0.3, np.random.default_rng(0))
    changed = (found != codes).any(axis=1)
    assert changed.mean() == pytest.approx(0.3, abs=0.03) and (codes == 1).all()
    texts = ["".join("ACGT"[code] for code in row) for row in found[changed]]
    forward = np.array([text.find("AACGGTAC") for text in texts])
    reverse = np.array([text.find("GTACCGTT") for text in texts])
    assert ((forward >= 0) ^ (reverse >= 0)).all() and (forward >= 0).mean() == pytest.approx(0.5, abs=0.05)
    assert set(np.maximum(forward, reverse)) == set(range(30 - 8 + 1))


def test_planted_sites_are_drawn_from_the_matrix() -> None:
    matrix = Matrix("M", "m", np.array([[0.7, 0.1], [0.1, 0.1], [0.1, 0.2], [0.1, 0.6]]))
    found = plant(np.zeros((20000, 2), np.uint8), matrix, 1.0, np.random.default_rng(1))
    both = (matrix.probabilities + matrix.probabilities[::-1, ::-1]) / 2
    for place in range(2):
        np.testing.assert_allclose(np.bincount(found[:, place], minlength=4) / len(found), both[:, place], atol=0.015)


def test_simulated_factors_are_of_families_that_the_experts_do_not_know(simulation: Simulation) -> None:
    bound = codes_from_one_hot(simulation.sequences["A"].one_hot[:8])[None].repeat(12, axis=0)
    found, again, other = simulate(bound, simulation, 3), simulate(bound, simulation, 3), simulate(bound, simulation, 4)
    assert len(found) == 12 and all((a.codes == b.codes).all() for a, b in zip(found, again, strict=True))
    assert any((a.codes != b.codes).any() for a, b in zip(found, other, strict=True))
    taken = {family for name in simulation.factors for one in factor_matrices(name) for family in one.families}
    assert taken and not any(taken.intersection(factor.related[0].families) for factor in found[:1])
    for factor in found:
        assert factor.codes.shape == (16, WINDOW)
        planted_counts, shuffled_counts = (dinucleotide_counts(half) for half in np.split(factor.codes, 2))
        assert (planted_counts == shuffled_counts).all() and (factor.codes[:8] != bound[0]).any()


def test_the_evidence_is_of_maximum_likelihood(
    gate: MotifGate, simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(motif_evidence, "_FACTORS", 40)
    experts = {name: build("convnet", WINDOW, HYPERPARAMETERS, seed=seed) for seed, name in enumerate("AB")}
    seen: dict[str, np.ndarray] = {}
    fitted = motif_evidence._maximise

    def spy(gate: MotifGate, *given: torch.Tensor) -> None:
        seen.update(zip(("logit", "z", "label"), (each.numpy() for each in given), strict=True))
        fitted(gate, *given)

    monkeypatch.setattr(motif_evidence, "_maximise", spy)
    state = torch.random.get_rng_state()
    found = fit_evidence(gate, experts, torch.tensor([[True, False], [False, True]]), simulation, 0)
    assert state.equal(torch.random.get_rng_state())

    def loss(values: np.ndarray) -> float:
        share, weight, shift = values
        gain = np.logaddexp(log_expit(-share), log_expit(share) + np.exp(weight) * seen["z"]) + shift
        logit = seen["logit"] + gain
        return float(-np.mean(np.where(seen["label"] == 1, log_expit(logit), log_expit(-logit))))

    best = minimize(loss, np.zeros(3), method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-6, "fatol": 1e-12})
    assert loss(gate.evidence.double().numpy()) <= best.fun + 1e-7
    assert found["site_fraction"] == pytest.approx(expit(float(gate.evidence[0])), abs=1e-6)
    assert found["weight"] == pytest.approx(np.exp(float(gate.evidence[1])), rel=1e-5)
    # Untrained experts know nothing, and the sites are there.
    assert found["simulated_factors"] == 40 and abs(found["mean_auroc_without"] - 0.5) < 0.06
    assert found["mean_auroc_with"] > 0.75 and 0.5 < found["site_fraction"] < 1


def test_without_bound_sequences_a_gate_is_left_out(gate: MotifGate, simulation: Simulation) -> None:
    rows = simulation.sequences["A"]
    none = Simulation({"A": subset(rows, np.flatnonzero(rows.label == 0))}, ["GATA3"])
    with pytest.raises(LeftOutError, match="no bound sequence"):
        fit_evidence(gate, {}, torch.zeros(1, 2, dtype=torch.bool), none, 0)


def test_related_matrices_are_those_of_the_family(tmp_path: Path) -> None:
    found = motif_priors_of(["GABPA", "REST", "POLR2A"], [])
    assert {"MA0062.4", "MA0028.3"} <= set(found["GABPA"].related_ids) and found["REST"].related_ids == ("MA0138.3",)
    assert found["GABPA"].related_ids[0] == found["GABPA"].matrix_ids[0] and found["POLR2A"].related_ids == ()
