"""Attribution beside naive code: completeness with unknown bases, parts of mixtures, sites on both strands."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tfbs_moe.attribution.evaluation.localisation import site_mask, site_profiles, sites_in_windows
from tfbs_moe.attribution.methods.references import references
from tfbs_moe.attribution.methods.registry import attribute, logits
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.models.registry import build, build_gate
from tfbs_moe.sequence import one_hot_from_codes

WINDOW = 31
UNKNOWN = 4


def with_unknown(rows: int = 6, seed: int = 0) -> np.ndarray:
    """Sequences with four N scattered, N at either end, N alone, and none."""
    codes = np.random.default_rng(seed).integers(0, 4, (rows, WINDOW)).astype(np.uint8)
    codes[0, [3, 9, 15, 22]] = UNKNOWN
    codes[1, :7] = UNKNOWN
    codes[2, -7:] = UNKNOWN
    codes[3] = UNKNOWN
    codes[4, 1::2] = UNKNOWN
    return one_hot_from_codes(codes)


def network(seed: int = 0, name: str = "convnet") -> nn.Module:
    settings = {"weight_sd": 0.3, "motif_width": 8} if name == "convnet" else {}
    return build(name, WINDOW, settings, seed=seed).eval()


def mixture(gate: str = "softmax") -> MixtureOfExperts:
    experts = {name: network(seed, name) for seed, name in enumerate(("residual", "convnet"))}
    built = build_gate(gate, len(experts), 32, {}, seed=3)
    model = MixtureOfExperts(experts, built)
    built.learn_heads(model.experts)
    return model.eval()


# --- completeness


@pytest.mark.parametrize("reference", ["neutral", "dinucleotide_shuffle"])
@pytest.mark.parametrize("method", ["integrated_gradients", "deeplift_shap"])
@pytest.mark.parametrize("name", ["convnet", "mixture"])
def test_contributions_add_up_whatever_is_unknown(name: str, method: str, reference: str, monkeypatch) -> None:
    """The sum is the score less the mean score of the very references, each compared one by one."""
    model = network() if name == "convnet" else mixture()
    X, told = with_unknown(), []

    def kept(*given):
        told.append(references(*given))
        return told[-1]

    monkeypatch.setattr(f"tfbs_moe.attribution.methods.{method.removesuffix('_shap')}.references", kept)
    found = attribute(model, X, method, reference=reference, shuffles=3, batch_size=256)
    others = torch.cat(told).numpy()
    difference = logits(model, X) - np.mean(
        [logits(model, np.ascontiguousarray(others[:, copy])) for copy in range(others.shape[1])], axis=0
    )
    size = np.abs(difference).mean()
    assert size > 1e-3
    # What integrated gradients promise by default.
    error = 1e-4 if method == "integrated_gradients" else 2e-3 * size
    np.testing.assert_allclose((found * X).sum((1, 2)), difference, atol=error)
    unknown = X.sum(1) == 0
    assert (others.sum(2)[np.broadcast_to(unknown[:, None], others.sum(2).shape)] == 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_reference_has_letters_where_the_sequence_has(seed: int) -> None:
    """Without N it is the plain column of quarters, or an exact shuffle; N stay N."""
    X = with_unknown(seed=seed)
    x = torch.from_numpy(X).float()
    neutral = references(x, "neutral", 1, np.random.default_rng(seed))[:, 0].numpy()
    np.testing.assert_array_equal(neutral, np.where(X.sum(1, keepdims=True) == 1, 0.25, 0).repeat(4, 1))
    shuffled = references(x, "dinucleotide_shuffle", 2, np.random.default_rng(seed)).numpy()
    np.testing.assert_array_equal(shuffled.sum(2), np.repeat(X.sum(1)[:, None], 2, axis=1))
    np.testing.assert_array_equal(shuffled.sum(3), np.repeat(X.sum(2)[:, None], 2, axis=1))
    known = 5
    for copy in shuffled[known]:
        np.testing.assert_array_equal(copy.sum(1), X[known].sum(1))
        assert sorted(copy[:, :-1].argmax(0) * 4 + copy[:, 1:].argmax(0)) == sorted(
            X[known][:, :-1].argmax(0) * 4 + X[known][:, 1:].argmax(0)
        )


# --- sites


def naive_around(score: np.ndarray, sites: pd.DataFrame, reach: int) -> dict[int, list[float]]:
    """Values by offset along each site; the middle of an even width is the left one as the site reads."""
    values: dict[int, list[float]] = {offset: [] for offset in range(-reach, reach + 1)}
    for sequence, start, end, strand in sites.itertuples(index=False):
        row = list(score[sequence] / score[sequence].mean())
        first = start
        if strand == "-":
            row = row[::-1]
            first = len(row) - end
        middle = first + (end - start - 1) // 2
        for offset in values:
            if 0 <= middle + offset < len(row):
                values[offset].append(row[middle + offset])
    return values


@pytest.mark.parametrize("seed", range(5))
def test_means_around_sites_are_those_of_a_loop_and_of_the_other_strand(seed: int) -> None:
    draw = np.random.default_rng(seed)
    score = draw.random((8, WINDOW))
    start = draw.integers(0, WINDOW - 9, 30)
    sites = pd.DataFrame(
        {
            "sequence": draw.integers(0, 8, 30),
            "start": start,
            "end": start + draw.integers(1, 10, 30),
            "strand": draw.choice(["+", "-"], 30),
        }
    )
    table = site_profiles(score, sites, reach=12).set_index("offset")
    for offset, values in naive_around(score, sites, 12).items():
        assert table.loc[offset, "n"] == len(values)
        np.testing.assert_allclose(table.loc[offset, "value"], np.mean(values) if values else np.nan)
        np.testing.assert_allclose(table.loc[offset, "sd"], np.std(values, ddof=1) if len(values) > 1 else np.nan)
    mirrored = pd.DataFrame(
        {
            "sequence": sites["sequence"],
            "start": WINDOW - sites["end"],
            "end": WINDOW - sites["start"],
            "strand": sites["strand"].map({"+": "-", "-": "+"}),
        }
    )
    pd.testing.assert_frame_equal(site_profiles(score[:, ::-1], mirrored, reach=12).set_index("offset"), table)


def test_an_even_site_has_one_more_base_behind_its_middle_on_either_strand() -> None:
    for strand in "+-":
        site = pd.DataFrame({"sequence": [0], "start": [10], "end": [18], "strand": [strand]})
        table = site_profiles(np.ones((1, WINDOW)), site, reach=6)
        assert table.loc[table["site_share"] == 1, "offset"].tolist() == list(range(-3, 5)), strand


@pytest.mark.parametrize("seed", range(3))
def test_sites_are_marked_base_by_base(seed: int) -> None:
    """Windows on both strands, sites that reach in from either side, are longer than a window, or lie elsewhere."""
    draw = np.random.default_rng(seed)
    chrom, start = draw.choice(["c1", "c2", "c3"], 25), draw.integers(0, 300, 25)
    strand = draw.choice(["+", "-", "."], 25)
    first = draw.integers(0, 330, 40)
    sites = pd.DataFrame(
        {
            "chrom": draw.choice(["c1", "c2"], 40),
            "start": first,
            "end": first + draw.choice([1, 6, 9, 40], 40),
            "strand": draw.choice(["+", "-"], 40),
        }
    )
    expected = np.zeros((25, WINDOW), dtype=bool)
    within = []
    for row in range(25):
        for name, left, right, along in sites.itertuples(index=False):
            if name != chrom[row]:
                continue
            at = [base - start[row] for base in range(left, right)]
            at = [WINDOW - 1 - base for base in at] if strand[row] == "-" else at
            expected[row, [base for base in at if 0 <= base < WINDOW]] = True
            if min(at) >= 0 and max(at) < WINDOW:
                mirrored = {"+": "-", "-": "+"}[along] if strand[row] == "-" else along
                within.append((row, min(at), max(at) + 1, mirrored))
    np.testing.assert_array_equal(site_mask(sites, chrom, start, strand, WINDOW), expected)
    found = sites_in_windows(sites, chrom, start, strand, WINDOW)
    assert sorted(found.itertuples(index=False, name=None)) == sorted(within) and within
