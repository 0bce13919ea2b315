"""Metrics of attributions beside scikit-learn, scipy and naive code: ties, constants, both strands, ends."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import integrate, stats
from scipy.spatial.distance import cosine as cosine_distance
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn

from tfbs_moe.attribution.evaluation.agreement import cosine, rank_correlation, top_overlap
from tfbs_moe.attribution.evaluation.faithfulness import (
    SHARES,
    infidelity,
    mean_change,
    perturbation_curves,
    sensitivity,
    substituted,
    substitution_stability,
)
from tfbs_moe.attribution.evaluation.localisation import localise, site_mask, site_profiles, sites_in_windows
from tfbs_moe.attribution.motifs.filters import filter_motifs
from tfbs_moe.attribution.motifs.motif import Motif, information, trimmed
from tfbs_moe.attribution.store import FEWEST, summarise
from tfbs_moe.sequence import one_hot

SEEDS = range(4)
LENGTH = 12


def tied(draw: np.random.Generator, *shape: int) -> np.ndarray:
    """Return numbers of which many are equal; the last row is constant."""
    values = draw.integers(-3, 4, shape).astype(float)
    values[-1] = 1.0
    return values


def sequences(draw: np.random.Generator, count: int) -> np.ndarray:
    return one_hot(["".join(draw.choice(list("ACGTN"), LENGTH, p=[0.24] * 4 + [0.04])) for _ in range(count)])


@pytest.mark.parametrize("seed", SEEDS)
def test_agreement_is_scipys(seed: int) -> None:
    draw = np.random.default_rng(seed)
    a, b = tied(draw, 6, 4, LENGTH), draw.normal(size=(6, 4, LENGTH))
    mask = draw.random((6, 1, LENGTH)) < 0.5
    mask[0], mask[1] = False, np.arange(LENGTH) == 3
    b[2, 0, 0] = b[2, 1, 0]
    zero = np.zeros_like(a[:1])
    with pytest.warns(stats.ConstantInputWarning):
        whole = [stats.spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
        kept = [np.broadcast_to(each, (4, LENGTH)) for each in mask]
        part = [
            stats.spearmanr(x[each], y[each]).statistic if each.sum() > 1 else np.nan
            for x, y, each in zip(a, b, kept, strict=True)
        ]
    np.testing.assert_allclose(rank_correlation(a, b), whole, atol=1e-12)
    np.testing.assert_allclose(rank_correlation(a, b, mask), part, atol=1e-12)
    angles = [1 - cosine_distance(x.ravel(), y.ravel()) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(cosine(a, b), angles, atol=1e-12)
    assert np.isnan(cosine(zero, b[:1])).all()
    for count in (1, 5, LENGTH):
        best = [[sorted(range(LENGTH), key=lambda i, row=row: (-row[i], i))[:count] for row in x[:, 0]] for x in (a, b)]
        shared = [len(set(left) & set(right)) / count for left, right in zip(*best, strict=True)]
        np.testing.assert_allclose(top_overlap(a[:, 0], b[:, 0], count), shared)


@pytest.mark.parametrize("seed", SEEDS)
def test_localisation_is_scikit_learns(seed: int) -> None:
    draw = np.random.default_rng(seed)
    score = tied(draw, 8, LENGTH)
    mask = draw.random((8, LENGTH)) < 0.3
    mask[0], mask[1], mask[2], mask[3] = False, True, np.arange(LENGTH) == 0, np.arange(LENGTH) == LENGTH - 1
    found = localise(score, mask)
    for row, (values, site) in enumerate(zip(score, mask, strict=True)):
        got, inside = found.iloc[row], np.flatnonzero(site)
        peaks = np.flatnonzero(values == values.max())
        both = 0 < len(inside) < LENGTH
        expected = {
            "average_precision": average_precision_score(site, values) if both else np.nan,
            "auroc": roc_auc_score(site, values) if both else np.nan,
            "peak_hit": np.mean(site[peaks]) if len(inside) else np.nan,
            "distance": np.mean([np.abs(inside - peak).min() for peak in peaks]) if len(inside) else np.nan,
            "site_share": site.mean(),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(got[name], value, atol=1e-12, err_msg=f"{row} {name}")


def windows_and_sites(draw: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """Return sites (nested, overlapping, over ends of windows, elsewhere), and windows on both strands."""
    start = draw.integers(0, 60, 25)
    sites = pd.DataFrame({"chrom": draw.choice(["a", "b", "c"], 25), "start": start})
    sites["end"] = start + draw.choice([1, 2, 3, 6, 20], 25)
    sites["strand"] = draw.choice(["+", "-"], 25)
    return sites, draw.choice(["a", "b", "d"], 9), draw.integers(0, 50, 9), draw.choice(["+", "-", ""], 9)


@pytest.mark.parametrize("seed", SEEDS)
def test_sites_are_where_a_base_by_base_walk_finds_them(seed: int) -> None:
    draw = np.random.default_rng(seed)
    sites, chrom, start, strand = windows_and_sites(draw)
    mask = site_mask(sites, chrom, start, strand, LENGTH)
    within = sites_in_windows(sites, chrom, start, strand, LENGTH)
    score = draw.random((9, LENGTH))
    score[0] = 0
    expected, profile = [], {offset: [] for offset in range(-5, 6)}
    for row in range(9):
        # Genome positions in the order in which the window is stored.
        places = np.arange(start[row], start[row] + LENGTH)[:: -1 if strand[row] == "-" else 1].tolist()
        here = sites[sites["chrom"] == chrom[row]]
        for column, place in enumerate(places):
            covered = any(site.start <= place < site.end for site in here.itertuples())
            assert mask[row, column] == covered, (row, column)
        for site in here.itertuples():
            # From the first base of the site on its own strand to its last.
            bases = list(range(site.start, site.end))[:: -1 if site.strand == "-" else 1]
            if not set(bases) <= set(places):
                continue
            columns = [places.index(base) for base in bases]
            turned = (site.strand == "-") != (strand[row] == "-")
            expected.append((row, min(columns), max(columns) + 1, "-" if turned else "+"))
            middle = bases[(len(bases) - 1) // 2]
            level = score[row].mean()
            for offset, values in profile.items():
                base = middle + (-offset if site.strand == "-" else offset)
                if base in places:
                    values.append((score[row, places.index(base)] / level if level else 0.0, base in bases))
    assert sorted(within.itertuples(index=False, name=None)) == sorted(expected)
    found = site_profiles(score, within, reach=5).set_index("offset")
    for offset, values in profile.items():
        numbers = [value for value, _ in values]
        got = found.loc[offset]
        assert got["n"] == len(values)
        np.testing.assert_allclose(got["value"], np.mean(numbers) if numbers else np.nan, atol=1e-12)
        np.testing.assert_allclose(got["sd"], np.std(numbers, ddof=1) if len(numbers) > 1 else np.nan, atol=1e-12)
        if values:
            assert got["site_share"] == pytest.approx(np.mean([inside for _, inside in values]))


class Linear(nn.Module):
    """A logit that is a sum of weights, plus a product of two of its inputs."""

    def __init__(self, draw: np.random.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(draw.normal(size=(4, LENGTH))).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N,) of sequences (N, 4, L)."""
        return (x * self.weight).sum((1, 2)) + x[:, 0, 0] * x[:, 1, 5]


@pytest.mark.parametrize("seed", SEEDS)
def test_faithfulness_is_what_its_papers_define(seed: int) -> None:
    draw = np.random.default_rng(seed)
    model, X = Linear(draw).eval(), sequences(draw, 5)  # noqa: N806

    def f(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(torch.from_numpy(x.astype(np.float32))).numpy()

    attribution = draw.normal(size=X.shape)
    attribution[-1] = 0
    # Infidelity: regression through the origin of the changes on what the attribution predicts.
    predicted, changed = [], []
    for number in range(20):
        copies, _ = substituted(X, 5, seed=seed, name=number)
        predicted.append((attribution * (X.astype(float) - copies)).sum((1, 2)))
        changed.append(f(X) - f(copies))
    for row, got in enumerate(infidelity(model, X, attribution, seed=seed)):
        x, y = np.array(predicted)[:, row], np.array(changed)[:, row]
        left = np.linalg.lstsq(x[:, None], y, rcond=None)[1] if x.any() else [(y**2).sum()]
        assert got == pytest.approx(float(left[0]) / (y**2).sum(), rel=1e-4)

    def explain(x: np.ndarray) -> np.ndarray:
        return x * np.cumsum(x.sum(axis=1), axis=1)[:, None] * np.arange(1, 5)[None, :, None]

    mine = explain(X.astype(float))
    worst = np.zeros(len(X))
    for number in range(5):
        copies, moved = substituted(X, 1, seed=seed, name=number)
        for row in range(len(X)):
            change = (explain(copies.astype(float))[row] - mine[row])[:, ~moved[row]]
            worst[row] = max(worst[row], np.sqrt((change**2).sum()))
    np.testing.assert_allclose(
        sensitivity(explain, X.astype(float), mine, seed=seed), worst / np.sqrt((mine**2).sum((1, 2)))
    )
    copies, moved = substituted(X, 3, seed=seed)
    expected = [
        stats.spearmanr(mine[row][:, ~moved[row]].ravel(), explain(copies)[row][:, ~moved[row]].ravel()).statistic
        for row in range(len(X))
    ]
    np.testing.assert_allclose(substitution_stability(explain, X, mine, seed=seed), expected, atol=1e-12)
    # Curves begin and end with the whole sequence and the whole reference.
    score = tied(draw, 5, LENGTH)
    deleted, inserted = perturbation_curves(model, X, score, seed=seed, reference="neutral")
    counts = [0, *(round(share * LENGTH) for share in SHARES)]
    for row in range(len(X)):
        order = sorted(range(LENGTH), key=lambda i, row=row: (-score[row, i], i))
        neutral = np.where(X[row].sum(axis=0) > 0, 0.25, 0.0) * np.ones((4, 1))
        for place, count in enumerate(counts):
            for curve, base, other in ((deleted, X[row], neutral), (inserted, neutral, X[row])):
                mixed = base.astype(float).copy()
                mixed[:, order[:count]] = other[:, order[:count]]
                assert curve[row, place] == pytest.approx(float(f(mixed[None])[0]), abs=1e-5)
        area = integrate.trapezoid(deleted[row] - deleted[row, 0], np.array(counts) / LENGTH)
        assert mean_change(deleted[row : row + 1], LENGTH)[0] == pytest.approx(area, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_substitutions_change_as_many_known_free_bases_as_asked(seed: int) -> None:
    draw = np.random.default_rng(seed)
    X = sequences(draw, 6)  # noqa: N806
    X[0], X[1, :, 1:] = 0, 0
    protected = draw.random((6, LENGTH)) < 0.5
    for count in (1, 3, LENGTH):
        copies, moved = substituted(X, count, seed=seed, protected=protected)
        free = (X.sum(axis=1) == 1) & ~protected
        assert (moved.sum(axis=1) == np.minimum(count, free.sum(axis=1))).all()
        assert not (moved & ~free).any()
        assert ((copies != X).any(axis=1) == moved).all() and (copies.sum(axis=1) == X.sum(axis=1)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_motifs_hold_the_bases_of_their_windows(seed: int) -> None:
    draw = np.random.default_rng(seed)
    X = sequences(draw, 30)  # noqa: N806
    layer = nn.Conv1d(4, 5, 4)
    layer.weight.data = torch.from_numpy(draw.normal(size=(5, 4, 4))).float()
    layer.bias.data = torch.tensor([0.0, 0.5, -0.5, -50.0, 0.0])
    found = {motif.name: motif for motif in filter_motifs(nn.Sequential(layer), X)}
    for number in range(5):
        weight, bias = layer.weight[number].detach().numpy(), layer.bias[number].item()
        windows = [x[:, start : start + 4] for x in X for start in range(LENGTH - 3)]
        hits = np.array([(window * weight).sum() + bias for window in windows])
        if hits.max() <= 0:
            assert f"filter_{number}" not in found
            continue
        chosen = [window for window, hit in zip(windows, hits, strict=True) if hit >= 0.5 * hits.max() - 1e-6]
        motif = found[f"filter_{number}"]
        assert motif.members == len(chosen) and (motif.counts == np.sum(chosen, axis=0)).all()
    p = draw.dirichlet([0.3] * 4, 9).T
    p[:, 0], p[:, 3] = [1, 0, 0, 0], 0.25
    np.testing.assert_allclose(information(p), 2 - stats.entropy(p, base=2), atol=1e-12)
    counts = np.concatenate([np.full((4, 2), 5.0), 40 * p, np.full((4, 3), 5.0)], axis=1)
    kept = trimmed(Motif("m", counts, counts, 40))
    loud = np.flatnonzero(2 - stats.entropy((counts + 0.25) / (counts + 0.25).sum(axis=0), base=2) >= 0.3)
    assert kept is not None and (kept.counts == counts[:, loud[0] : loud[-1] + 1]).all()


@pytest.mark.parametrize("count", [FEWEST, 48])
@pytest.mark.parametrize("law", ["beta", "uniform", "hits"])
def test_the_interval_of_a_mean_over_sequences_holds_its_level(law: str, count: int) -> None:
    """Percentiles of the resamples, which it was before, hold 87 to 92 % with 16 sequences."""
    draw = np.random.default_rng(count)
    laws = {"beta": draw.beta(8, 1, (400, count)), "uniform": draw.random((400, count))}
    values = (laws | {"hits": (draw.random((400, count)) < 0.8).astype(float)})[law]
    truth = {"beta": 8 / 9, "uniform": 0.5, "hits": 0.8}[law]
    table = pd.DataFrame(values.T, columns=[f"{place}_peak_hit" for place in range(400)])
    found = summarise(table)
    shown = found.dropna(subset=["lower"])
    assert len(shown) > 350 and shown["lower"].min() >= 0 and shown["upper"].max() <= 1
    # Three standard errors of 400 below 93 %.
    assert ((shown["lower"] <= truth) & (truth <= shown["upper"])).mean() > 0.93 - 3 * np.sqrt(0.93 * 0.07 / 400)


def test_the_interval_of_a_mean_over_few_or_equal_sequences_is_missing() -> None:
    values = np.full(40, 0.1 + 0.2)
    values[::2] = 0.3
    table = pd.DataFrame({"few": [0.0] + [1.0] * (FEWEST - 2) + [np.nan] * (41 - FEWEST), "equal": values})
    found = summarise(table)
    assert found["lower"].isna().all() and found["upper"].isna().all() and found["n"].tolist() == [FEWEST - 1, 40]
