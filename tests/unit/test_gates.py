"""Gates: what they compute, with experts away and with motif scores."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from planted_rows import planted
from tfbs_moe.data.dataset import subset
from tfbs_moe.data.folds import deal_folds
from tfbs_moe.errors import InputError
from tfbs_moe.models.gates import masked_softmax
from tfbs_moe.models.registry import GATES, build, build_gate
from tfbs_moe.training.gate_rows import align, choose_rows

N, K, E = 6, 3, 8


def embeddings(seed: int = 0) -> torch.Tensor:
    return torch.randn(N, K, E, generator=torch.Generator().manual_seed(seed))


def made_gate(name: str, **hyperparameters: object) -> torch.nn.Module:
    """Return a gate with heads of its own, so that logits are not all zero."""
    gate = build_gate(name, K, E, hyperparameters, seed=0).eval()
    if gate.reads_logits:
        draw = torch.Generator().manual_seed(1)
        gate.head_weight.copy_(torch.randn(K, E, generator=draw))
        gate.head_bias.copy_(torch.randn(K, generator=draw))
    gate.choose(torch.tensor([0.6, 0.9, 0.7]))
    return gate


@pytest.mark.parametrize("name", list(GATES))
def test_weights_are_shares_and_an_absent_expert_has_none(name: str) -> None:
    gate, x = made_gate(name), embeddings()
    with torch.no_grad():
        logit, weights = gate(x)
        assert logit.shape == (N,) and weights.shape == (N, K)
        torch.testing.assert_close(weights.sum(1), torch.ones(N))
        away = x.clone()
        away[:3, 1] = torch.nan
        there, shares = gate(away)
        assert torch.isfinite(there).all() and (shares[:3, 1] == 0).all()
        torch.testing.assert_close(shares.sum(1), torch.ones(N))
        torch.testing.assert_close(there[3:], logit[3:])
        # Nothing of what an absent expert would have said is used.
        louder = away.clone()
        louder[:3, 1, 1:] = 100.0
        torch.testing.assert_close(gate(louder)[0], there)


def test_top_keeps_so_many_experts() -> None:
    weights = made_gate("softmax", top=2)(embeddings())[1]
    assert ((weights > 0).sum(1) == 2).all()
    every, best = made_gate("softmax")(embeddings())[1], made_gate("softmax", top=1)(embeddings())[1]
    assert (best.argmax(1) == every.argmax(1)).all() and (best.amax(1) == 1).all()
    with pytest.raises(InputError, match="top is 4; the gate has 3 experts"):
        made_gate("softmax", top=4)


@pytest.mark.parametrize("top", [1, 2, 3])
def test_the_scores_of_a_gate_with_a_top_learn(top: int) -> None:
    """Rows whose label only the first expert knows: a gate that learns comes to choose it."""
    gate, x = made_gate("softmax", top=top), torch.randn(400, K, E, generator=torch.Generator().manual_seed(1))
    label = (x[:, 0, 0] > 0).float()
    # Before, the scores are what they are drawn as; the first expert is the best for a third of the rows.
    optimizer = torch.optim.Adam(gate.parameters(), lr=0.03)
    before = gate.scores.weight.detach().clone()
    for _ in range(150):
        optimizer.zero_grad()
        logit, weights = gate(x)
        torch.nn.functional.binary_cross_entropy_with_logits(logit, label).backward()
        optimizer.step()
    assert not torch.equal(gate.scores.weight, before)
    logit, weights = gate(x)
    assert ((weights > 0).sum(1) == top).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(400))
    assert ((logit > 0).float() == label).float().mean() > 0.95


@pytest.mark.parametrize("settings", [{}, {"top": 1}, {"top": 2}])
def test_an_entropy_bonus_has_a_gradient_where_weights_are_zero(settings: dict[str, int]) -> None:
    """Experts that are absent or not among the top have a weight of exactly 0."""
    gate, x = made_gate("softmax", entropy_bonus=0.1, **settings), embeddings().clone()
    x[:2, 0] = torch.nan
    logit, weights = gate(x)
    penalty = gate.penalty(weights)
    assert penalty is not None and (weights == 0).any()
    positive = weights.detach().clamp_min(1e-30)
    expected = -0.1 * float((-weights.detach() * positive.log()).sum(1).mean())
    assert float(penalty.detach()) == pytest.approx(expected, abs=1e-7)
    (logit.sum() + penalty).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in gate.parameters())
    assert gate.scores.weight.grad is not None and gate.scores.weight.grad.abs().sum() > 0


def test_a_gate_over_logits_stays_between_what_the_experts_say() -> None:
    gate, x = made_gate("logit"), embeddings()
    said = torch.einsum("nke,ke->nk", x, gate.head_weight) + gate.head_bias
    torch.testing.assert_close(gate.logits_of_experts(x), said)
    scaled = said * torch.nn.functional.softplus(gate.scale + 1.0) + gate.shift
    logit, _ = gate(x)
    assert ((logit > scaled.amin(1)) & (logit < scaled.amax(1))).all()


def test_best_expert_and_static_and_stacking_say_what_they_should() -> None:
    x = embeddings()
    best = made_gate("best_expert")
    torch.testing.assert_close(best(x)[0], best.logits_of_experts(x)[:, 1])
    stacking = made_gate("stacking")
    stacking.coefficients.data = torch.tensor([1.0, -2.0, 1.0])
    torch.testing.assert_close(stacking(x)[0], stacking.logits_of_experts(x) @ torch.tensor([1.0, -2.0, 1.0]))
    torch.testing.assert_close(stacking(x)[1], torch.tensor([0.25, 0.5, 0.25]).expand(N, K))
    static = made_gate("static")
    assert (static(x)[1] == static(embeddings(5))[1]).all()
    assert not any(parameter.requires_grad for parameter in best.parameters())
    assert not made_gate("random").scores.weight.requires_grad


def test_a_motif_gate_is_the_attention_gate_and_the_evidence_of_the_motif() -> None:
    plain, motif, unit, x = (
        made_gate("attention"),
        made_gate("motif"),
        made_gate("motif", evidence="unit"),
        embeddings(),
    )
    share, weight, shift = 0.7, 0.8, 0.25
    motif.evidence.copy_(torch.tensor([np.log(share / (1 - share)), np.log(weight), shift]))
    z = torch.tensor([-60.0, -2.0, 0.0, 3.0, 90.0, torch.nan])
    with torch.no_grad():
        assert plain(x, z)[0].equal(plain(x)[0]) and motif(x)[0].equal(plain(x)[0])
        logit, weights = motif(x, z)
        assert weights.equal(plain(x)[1])
        expected = np.log(1 - share + share * np.exp(weight * z[:-1].double().numpy())) + shift
        np.testing.assert_allclose((logit - plain(x)[0])[:-1], expected, rtol=1e-5)
        # Without a site it falls by so much at most, and without a motif nothing changes.
        assert expected[0] == pytest.approx(np.log(1 - share) + shift) and logit[-1] == plain(x)[0][-1]
        torch.testing.assert_close(unit(x, z)[0] - plain(x)[0], z.nan_to_num())


@pytest.mark.parametrize("name", list(GATES))
@pytest.mark.parametrize("experts", [1, K])
def test_a_gate_whose_experts_are_all_absent_says_a_number_and_learns_from_others(name: str, experts: int) -> None:
    bonus = {"entropy_bonus": 0.1} if name in ("softmax", "logit", "motif", "attention") else {}
    gate, x = build_gate(name, experts, E, bonus, seed=0).eval(), embeddings()[:, :experts].clone()
    there = gate(x)[0].detach()
    x[:2] = torch.nan
    logit, weights = gate(x)
    assert (weights[:2] == 0).all() and torch.isfinite(logit).all() and logit[0] == logit[1]
    torch.testing.assert_close(logit[2:].detach(), there[2:])
    if name in ("attention", "motif"):
        # Nothing is mixed, so that the head speaks alone.
        torch.testing.assert_close(logit[0], gate.head[-1].bias[0])
    if any(parameter.requires_grad for parameter in gate.parameters()):
        (logit.square().sum() + (gate.penalty(weights) or 0.0)).backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in gate.parameters())


def test_masked_softmax_with_nobody_there() -> None:
    weights = masked_softmax(torch.randn(2, 3), torch.tensor([[True, False, True], [False, False, False]]))
    assert weights[0, 1] == 0 and float(weights[0].sum()) == pytest.approx(1) and (weights[1] == 0).all()


def test_rows_that_gates_learn_from() -> None:
    kept, selecting = (np.isin(np.arange(140), rows) for rows in (np.r_[100:108, 120:128], np.r_[106:116, 126:136]))
    free = [*range(108, 120), *range(128, 140)]
    for choice in ("expert_split", "out_of_fold"):
        learning, validation = choose_rows(100, selecting, kept, choice, None, 0)
        assert (learning == np.arange(100)).all() and (validation == free).all()
    learning, validation = choose_rows(100, selecting, kept, "pooled_random", None, 0)
    assert len(learning) == 112 and sorted([*learning, *validation]) == list(range(140))
    learning, validation = choose_rows(100, selecting, kept, "held_out", None, 0)
    assert [*validation] == [*range(108, 116), *range(128, 136)] and sorted([*learning, *validation]) == free
    few, fewer = choose_rows(100, selecting, kept, "expert_split", 20, 0)
    assert len(few) == 20 and len(fewer) == 5
    with pytest.raises(InputError, match="rows of the gate are 'all'; known are 'expert_split'"):
        choose_rows(100, selecting, kept, "all", None, 0)


def test_what_an_expert_that_learned_nothing_says_is_mapped_to_nothing() -> None:
    """Its embedding is the same for every row: no map, no division by nought."""
    same = np.ones((50, 9), np.float32)
    varied = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    for target in (varied, same[:, :8]):
        outsider, left = align(lambda rows: np.ones((len(rows), 9), np.float32), same, target)
        moved = outsider(same)
        np.testing.assert_allclose(moved, np.broadcast_to(target.mean(axis=0), moved.shape), atol=1e-6)
        assert left == pytest.approx(1.0 if target is varied else 0.0)


def test_folds_keep_pairs_and_places_together() -> None:
    plain = planted(400, 3)
    pair = np.r_[np.arange(200), np.arange(200)].astype(np.int32)
    paired = replace(plain, pair=pair)
    fold = deal_folds(paired, 3)
    assert (fold[:200] == fold[200:]).all() and np.bincount(fold).min() > 80
    turned = replace(paired, one_hot=np.ascontiguousarray(paired.one_hot[:, ::-1, ::-1]))
    assert (deal_folds(turned, 3) == fold).all()
    assert (deal_folds(subset(paired, np.arange(100, 200)), 3) == fold[100:200]).all()
    start = np.arange(400) * 50_000
    placed = replace(plain, chrom=np.full(400, "chr1"), start=start, end=start + plain.length, strand=np.full(400, "+"))
    blocks = deal_folds(placed, 2)
    assert all(len(set(blocks[(start + 20) // 1_000_000 == block])) == 1 for block in range(20))
    with pytest.raises(InputError, match="at least 2 are needed"):
        deal_folds(plain, 1)
    assert len(deal_folds(subset(plain, np.arange(3)), 50)) == 3, "folds may be empty"


def test_a_place_has_one_fold_whatever_lies_there() -> None:
    """A paired negative from elsewhere goes by its own place; one without a place goes with its positive."""
    count = 400
    start = np.random.default_rng(0).integers(0, 40_000_000, count)
    pair = np.r_[np.arange(200), np.arange(200)].astype(np.int32)
    chrom = np.full(count, "chr1")
    chrom[300:] = ""
    start[300:] = -1
    plain = planted(count, 3)
    end = np.where(chrom == "", -1, start + plain.length)
    matched = replace(plain, pair=pair, chrom=chrom, start=start, end=end, strand=np.full(count, "."))
    fold = deal_folds(matched, 4)
    block = (start + plain.length // 2) // 1_000_000
    assert all(len(set(fold[:300][block[:300] == one])) == 1 for one in np.unique(block[:300]))
    assert (fold[300:] == fold[100:200]).all()
    assert (fold[200:300] != fold[:100]).mean() > 0.5


def test_kmer_counts_words_of_either_strand() -> None:
    model = build("kmer", 20, {"k": 3}, seed=0).eval()
    model.weights.weight.data = torch.randn(model.weights.weight.shape, generator=torch.Generator().manual_seed(0))
    model.weights.weight.data[-1] = 0
    x = torch.nn.functional.one_hot(torch.randint(0, 4, (5, 20)), 4).transpose(1, 2).float()
    torch.testing.assert_close(model(x), model(x.flip(1, 2)))
    assert model.weights.weight.shape == (32 + 1, 1)
    weight, bias = model.readout()
    torch.testing.assert_close(model.embed(x) @ weight + bias, model(x))
    x[:, :, 10] = 0  # an unknown base: three words fewer
    assert torch.isfinite(model(x)).all()
    x[:] = 0
    torch.testing.assert_close(model.embed(x), torch.zeros(5, 1))
