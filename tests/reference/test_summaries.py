"""Summaries over factors, draws and gates beside scipy, scikit-learn, statsmodels and naive code, down to one value."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from statsmodels.stats.multicomp import pairwise_tukeyhsd
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from tfbs_moe.data.audit.composition import _weights, kmer_counts
from tfbs_moe.data.kmers import sequence_ids
from tfbs_moe.data.related import Pieces, are_related, overlapping, row_groups
from tfbs_moe.evaluation.curves import reliability
from tfbs_moe.evaluation.gate_weights import gate_use, gate_weights
from tfbs_moe.evaluation.intervals import draw_counts, resampling_units
from tfbs_moe.evaluation.metrics_with_intervals import IDENTITY, seed_averages
from tfbs_moe.evaluation.scores import read_scores
from tfbs_moe.numeric import auroc
from tfbs_moe.statistics.calibration import calibration_gains
from tfbs_moe.statistics.factors import simulated_power
from tfbs_moe.statistics.generalisation import strata_means
from tfbs_moe.statistics.hypothesis_tests.assumptions import influence
from tfbs_moe.statistics.hypothesis_tests.effects import probability_of_superiority
from tfbs_moe.statistics.hypothesis_tests.linear_models import one_way
from tfbs_moe.statistics.hypothesis_tests.ranks import critical_difference, mean_ranks
from tfbs_moe.statistics.mixtures import by_number, expert_losses
from tfbs_moe.statistics.paper import anova_of_draws
from tfbs_moe.statistics.units import mean_interval, on_shared_tests, over_factors

SEEDS = range(3)
WHERE = dict.fromkeys(IDENTITY, "x") | {"negatives": "flanks"}


@pytest.mark.parametrize("values", [[], [0.7], [0.7, 0.7], [0.9, 0.99], [0.2, 0.3, 0.9], [-2.0, 1.0, 3.0, 3.0]])
@pytest.mark.parametrize("metric", ["", "auroc", "log_loss", "deletion", "insertion", "stability", "sensitivity"])
def test_means_of_any_metric_have_scipys_interval(values: list[float], metric: str) -> None:
    """The interval of a fraction ends at 0 and 1, and no other does."""
    mean, lower, upper = mean_interval(np.array(values), 0.9, metric)
    expected = (np.nan, np.nan)
    if len(set(values)) > 1:
        expected = stats.t.interval(0.9, len(values) - 1, np.mean(values), stats.sem(values))
    if metric == "auroc":
        expected = tuple(np.clip(expected, 0, 1))
    np.testing.assert_allclose([mean, lower, upper], [np.mean(values) if values else np.nan, *expected])


def metrics(draw: np.random.Generator) -> pd.DataFrame:
    """Return uneven data: one to three cells of a factor, one to three seeds of a cell, a missing value."""
    rows = [
        (model, factor, f"{factor}{cell}", seed, draw.random())
        for model in "mn"
        for factor in "ABCD"
        for cell in range(draw.integers(1, 4))
        for seed in range(draw.integers(1, 4))
    ]
    table = pd.DataFrame(rows, columns=["model", "factor", "experiment", "seed", "value"])
    table.loc[3, "value"] = np.nan
    return table


@pytest.mark.parametrize("seed", SEEDS)
def test_factors_weigh_the_same_whatever_their_cells_and_seeds(seed: int) -> None:
    table = metrics(np.random.default_rng(seed))
    found = over_factors(table, ["model"], 0.95).set_index("model")
    for model in "mn":
        factors = []
        for factor in "ABCD":
            own = table[(table["model"] == model) & (table["factor"] == factor)].dropna(subset=["value"])
            cells = [np.mean(own.loc[own["experiment"] == name, "value"]) for name in own["experiment"].unique()]
            factors.append(np.mean(cells))
        assert found.loc[model, "value"] == pytest.approx(np.mean(factors))
        assert found.loc[model, "lower"] == pytest.approx(
            stats.t.interval(0.95, 3, np.mean(factors), stats.sem(factors))[0]
        )
    both = on_shared_tests(table, "model")
    names = [set(table.loc[(table["model"] == m) & table["value"].notna(), "experiment"]) for m in "mn"]
    assert set(both["experiment"]) == names[0] & names[1] and both["value"].notna().all()
    values = table.groupby(["model", "factor"], as_index=False)["value"].mean()
    values = values.assign(protocol="p", negatives="n", rows="all", metric="auroc", stratum=values["factor"] > "A")
    means = strata_means(values.assign(nearest_stratum=None, nearest_factor=None)).set_index(["model", "name"])
    for (model, stratum), part in values.groupby(["model", "stratum"])["value"]:
        row = means.loc[(model, stratum)]
        assert row["value"] == pytest.approx(part.mean()) and row["n"] == len(part)
        assert np.isnan(row["lower"]) == (len(part) == 1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sizes", [(5, 5, 5), (2, 2), (1, 4, 2), (30, 30, 30, 30)])
def test_analysis_of_draws_is_scipys_and_statsmodels(seed: int, sizes: tuple[int, ...]) -> None:
    draw = np.random.default_rng(seed)
    groups = [draw.normal(place / 5, 1, size) for place, size in enumerate(sizes)]
    found, expected = one_way(groups), stats.f_oneway(*groups)
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    if len(set(sizes)) > 1:
        return
    values = {f"m{place}": group for place, group in enumerate(groups)}
    first, *pairs = anova_of_draws(values, "x", "draw", 0.9)
    total = ((np.concatenate(groups) - np.mean(groups)) ** 2).sum()
    within = sum(((group - group.mean()) ** 2).sum() for group in groups)
    assert (first.statistic, first.effect) == pytest.approx((expected.statistic, 1 - within / total))
    names = np.repeat(list(values), sizes)
    tukey = pairwise_tukeyhsd(np.concatenate(groups), names, alpha=0.1)
    for place, pair in enumerate(pairs):
        # statsmodels subtracts the first group from the second, and orders pairs as we do.
        assert pair.effect == pytest.approx(-tukey.meandiffs[place])
        assert pair.p == pytest.approx(tukey.pvalues[place], abs=1e-4)
        assert (pair.effect_lower, pair.effect_upper) == pytest.approx(tuple(-tukey.confint[place][::-1]), abs=1e-3)


@pytest.mark.parametrize(("count", "effect"), [(3, 0.02), (6, 0.01), (20, 0.02), (100, 0.005)])
def test_power_is_that_of_the_noncentral_t(count: int, effect: float) -> None:
    found = simulated_power(effect, 0.02, count, 0.9, np.random.default_rng(0), 40_000)
    assert found == pytest.approx(TTestPower().power(effect / 0.02, count, 0.1), abs=0.012)


@pytest.mark.parametrize("seed", SEEDS)
def test_ranks_and_shares_of_pairs(seed: int) -> None:
    draw = np.random.default_rng(seed)
    values = draw.integers(0, 4, (6, 4)).astype(float)
    assert mean_ranks(values) == pytest.approx(stats.rankdata(-values, axis=1).mean(axis=0))
    # Demšar (2006), table 5: q for 5 models is 2.728 at .05; 30 data sets.
    assert critical_difference(np.tile(np.arange(5), (30, 1)), 0.95) == pytest.approx(
        2.728 * np.sqrt(5 * 6 / (6 * 30)), abs=2e-3
    )
    for first, second in ((1, 1), (1, 3), (4, 2), (9, 7)):
        a, b = draw.integers(0, 3, first).astype(float), draw.integers(0, 3, second).astype(float)
        share, lower, upper = probability_of_superiority(a, b, 0.95)
        assert share == pytest.approx(stats.mannwhitneyu(a, b).statistic / (first * second))
        assert 0 <= lower <= share <= upper <= 1 and upper - lower > 0.2
    for count in (3, 8):
        values = draw.normal(size=count)
        without = [np.delete(values, place).mean() for place in range(count)]
        most = int(np.abs(np.array(without) - values.mean()).argmax())
        found = influence(values, tuple("abcdefgh"[:count]))
        assert found is not None and (found.unit, found.without) == ("abcdefgh"[most], pytest.approx(without[most]))


def predictions(draw: np.random.Generator, rows: int) -> pd.DataFrame:
    """Return two seeds of a mixture of three experts, one of which the second seed lacks, and an expert."""
    parts = []
    label = (np.arange(rows) % 2 == 0).astype(np.uint8)
    pair = np.where(np.arange(rows) < rows // 2, np.arange(rows) // 2, -1)
    for model, seed in (("moe.g", 0), ("moe.g", 1), ("convnet.A", 0)):
        logit = np.round(draw.normal(size=rows) + label, 1)
        part = pd.DataFrame({"row": range(rows), "label": label, "pair": pair, "model": model, "seed": seed})
        part = part.assign(logit=logit, probability=1 / (1 + np.exp(-logit)))
        weights = draw.dirichlet([0.3] * 3, rows)
        weights[0] = [1, 0, 0]
        if seed == 1:
            weights[:, 2] = np.nan
            weights[:, :2] /= weights[:, :2].sum(axis=1, keepdims=True)
        for name, column in zip("ABC", weights.T, strict=True):
            part[f"weight_{name}"] = column if model == "moe.g" else np.nan
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rows", [4, 80])
def test_gates_and_probabilities_by_the_book(seed: int, rows: int) -> None:
    table = predictions(np.random.default_rng(seed), rows)
    use = gate_use(table, WHERE).set_index("seed")
    weights = gate_weights(table, WHERE, seed=0, draws=200).set_index(["seed", "label", "expert"])
    for number, experts in ((0, "ABC"), (1, "AB")):
        own = table[(table["model"] == "moe.g") & (table["seed"] == number)]
        shares = own[[f"weight_{name}" for name in experts]].to_numpy()
        nats = stats.entropy(shares, axis=1).mean()
        row = use.loc[number]
        assert (row["entropy"], row["effective_experts"]) == pytest.approx((nats / np.log(len(experts)), np.exp(nats)))
        assert row["largest_share"] == pytest.approx(shares.mean(axis=0).max())
        for name, column in zip(experts, shares.T, strict=True):
            for label, kept in (("all", own["label"] >= 0), ("bound", own["label"] == 1)):
                got = weights.loc[(number, label, name)]
                assert got["value"] == pytest.approx(column[kept].mean()) and got["n"] == kept.sum()
                assert np.isnan(got["lower"]) == (rows < 60) or label != "all"
        assert (number, "all", "C") in weights.index or number == 1
    scores = read_scores(table)
    curve = reliability(scores, WHERE, bins=5, level=0.9)
    for (model, number), part in curve.groupby(["model", "seed"]):
        own = table[(table["model"] == model) & (table["seed"] == number)]
        observed, predicted = calibration_curve(own["label"], own["probability"], n_bins=5)
        np.testing.assert_allclose(part[["observed", "predicted"]].to_numpy(), np.c_[observed, predicted])
        assert part["n"].sum() == rows
        for each in part.itertuples():
            ends = proportion_confint(round(each.observed * each.n), each.n, 0.1, "beta")
            assert (each.lower, each.upper) == pytest.approx(ends)
    found = seed_averages(scores, WHERE, {"all": np.ones(rows, dtype=bool)})
    logits = [table[(table["model"] == "moe.g") & (table["seed"] == number)]["logit"].to_numpy() for number in (0, 1)]
    label = table["label"].to_numpy()[:rows]
    areas = [auroc(label, logit) for logit in logits]
    assert found["model"].tolist() == ["moe.g"]
    assert found[["auroc", "auroc_sd", "auroc_averaged"]].to_numpy()[0] == pytest.approx(
        [np.mean(areas), np.std(areas, ddof=1), auroc(label, np.mean(logits, axis=0))]
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bootstrap_draws_pairs_as_one_and_keeps_classes(seed: int) -> None:
    draw = np.random.default_rng(seed)
    label = draw.random(40) < 0.4
    label[:10] = [True, False] * 5
    pair = np.concatenate([np.arange(10) // 2, np.full(30, -1)])
    units = resampling_units(label, pair)
    counts = np.concatenate(list(draw_counts(units, 3000, draw))).astype(int)
    assert counts.shape == (3000, 40) and (counts[:, :10:2] == counts[:, 1:10:2]).all()
    for rows in (np.arange(40) < 10, label & (np.arange(40) >= 10), ~label & (np.arange(40) >= 10)):
        assert (counts[:, rows].sum(axis=1) == rows.sum()).all()
        kinds = rows.sum() // 2 if rows[0] else rows.sum()
        # Binomial numbers of a multinomial draw.
        assert counts[:, rows].mean(axis=0) == pytest.approx(np.ones(rows.sum()), abs=0.12)
        assert counts[:, rows].var(axis=0).mean() == pytest.approx(1 - 1 / kinds, rel=0.1)


def test_a_bootstrap_keeps_classes_where_positives_have_unlike_numbers_of_negatives() -> None:
    """With 1.5 negatives per positive a resample had 55 to 65 negatives, and the baseline of AUPRC no width."""
    pair = np.r_[np.arange(40), np.arange(40), np.arange(20), [-1, -1]]
    label = np.r_[np.ones(40, bool), np.zeros(60, bool), [True, False]]
    units = resampling_units(label, pair)
    counts = np.concatenate(list(draw_counts(units, 500, np.random.default_rng(0)))).astype(int)
    assert (counts[:, label].sum(axis=1) == 41).all() and (counts[:, ~label].sum(axis=1) == 61).all()
    assert all((counts[:, pair == one] == counts[:, [one]]).all() for one in range(40))
    assert counts.mean(axis=0) == pytest.approx(np.ones(102), abs=0.25) and units.sizes == (20, 20, 1, 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_losses_of_experts_and_gains_of_calibration_are_means_over_factors(seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows = []
    for factor, cell, number in itertools.product("FGH", "ab", range(2)):
        for present in (p for size in (3, 2, 1) for p in itertools.combinations("ABC", size)):
            away = "; ".join(sorted(set("ABC") - set(present)))
            rows.append(("p", "moe.g", "unseen", "n", factor, factor + cell, number, away, len(present), draw.random()))
    names = ["protocol", "model", "set", "negatives", "factor", "experiment", "seed", "absent", "n_present", "value"]
    table = pd.DataFrame(rows, columns=names)
    losses, sizes = expert_losses(table).set_index("absent"), by_number(table).set_index("n_present")
    whole = table[table["absent"] == ""].groupby("factor")["value"].mean()
    assert set(losses.index) == set("ABC")
    for expert in "ABC":
        gaps = whole - table[table["absent"] == expert].groupby("factor")["value"].mean()
        ends = stats.t.interval(0.95, 2, gaps.mean(), stats.sem(gaps))
        assert losses.loc[expert, ["value", "lower", "upper"]].tolist() == pytest.approx([gaps.mean(), *ends])
    for size in (1, 2, 3):
        means = table[table["n_present"] == size].groupby("factor")["value"].mean()
        assert sizes.loc[size, "value"] == pytest.approx(means.mean())
    columns = ["log_loss", "log_loss_calibrated", "calibration_error", "calibration_error_calibrated"]
    trust = table[table["absent"] == ""].assign(calibrated_on="n", **{name: draw.random(12) for name in columns})
    found = calibration_gains(trust).iloc[0]
    gains = trust.assign(gain=trust["log_loss"] - trust["log_loss_calibrated"]).groupby("factor")["gain"].mean()
    ends = stats.t.interval(0.95, 2, gains.mean(), stats.sem(gains))
    assert found[["gain", "lower", "upper"]].tolist() == pytest.approx([gains.mean(), *ends]) and found["n"] == 3


@pytest.mark.parametrize("seed", SEEDS)
def test_sequences_are_related_as_a_walk_over_all_pairs_says(seed: int) -> None:
    """Places on two chromosomes, repeats on both strands, N columns, rows without a place."""
    draw = np.random.default_rng(seed)
    length, k = 40, 31
    genome = draw.integers(0, 4, (2, 300)).astype(np.uint8)
    genome[0, 100] = 4

    def rows(count: int) -> Pieces:
        chrom, start = draw.integers(0, 2, count), draw.integers(0, 260, count)
        codes = np.stack([genome[c, s : s + length] for c, s in zip(chrom, start, strict=True)])
        turned = draw.random(count) < 0.5
        codes[turned] = np.where(codes[turned] < 4, 3 - codes[turned], 4)[:, ::-1]
        placed = draw.random(count) < 0.6
        names = np.where(placed, np.array(["a", "b"])[chrom], "")
        return Pieces(codes, names, np.where(placed, start, -1), "made")

    def texts(codes: np.ndarray) -> tuple[str, str]:
        text = "".join("ACGTN"[code] for code in codes)
        return text, text.translate(str.maketrans("ACGT", "TGCA"))[::-1]

    one, two = rows(25), rows(30)
    expected = np.zeros(25, dtype=bool)
    for i, j in itertools.product(range(25), range(30)):
        first, second = texts(one.codes[i]), texts(two.codes[j])
        if one.chrom[i] and two.chrom[j]:
            alike = one.chrom[i] == two.chrom[j] and abs(one.start[i] - two.start[j]) < length
        else:
            mine = {first[0][at : at + k] for at in range(length - k + 1)}
            theirs = {text[at : at + k] for text in second for at in range(length - k + 1)}
            alike = any("N" not in kmer for kmer in mine & theirs)
        expected[i] |= alike or first[0] in second
    assert (are_related([one], [two])[0] == expected).all()
    for first, second, found in overlapping([one, two]):
        parts = (one, two)
        a, b = parts[first], parts[second]
        over = [
            i
            for i in range(len(a.chrom))
            if a.chrom[i]
            and any(
                a.chrom[i] == b.chrom[j] and abs(a.start[i] - b.start[j]) < length
                for j in range(len(b.chrom))
                if (first, i) != (second, j)
            )
        ]
        assert sorted(found) == over
    ids = sequence_ids(one.codes)
    names = [min(texts(codes)) for codes in one.codes]
    assert all((ids[i] == ids[j]) == (names[i] == names[j]) for i in range(25) for j in range(25))
    groups = row_groups(one.codes, np.where(np.arange(25) < 4, np.arange(25) ^ 1, -1))
    assert (groups[0] == groups[1]) and (groups[2] == groups[3])
    assert all(groups[i] == groups[j] for i in range(25) for j in range(25) if names[i] == names[j])


@pytest.mark.parametrize("k", [1, 2, 3])
def test_composition_is_scikit_learns_regression_on_counts(k: int) -> None:
    draw = np.random.default_rng(k)
    codes = draw.choice(5, (60, 30), p=[0.24] * 4 + [0.04]).astype(np.uint8)
    codes[:30] = np.where(draw.random((30, 30)) < 0.2, 2, codes[:30])
    counts = kmer_counts(codes, k).toarray()
    for row, text in zip(counts, ("".join("ACGTN"[c] for c in each) for each in codes), strict=True):
        for place, kmer in enumerate(itertools.product("ACGT", repeat=k)):
            assert row[place] == sum(text.startswith("".join(kmer), at) for at in range(30))
    label = np.arange(60) < 30
    scale = np.maximum(counts.max(axis=0), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = LogisticRegression(C=0.5, max_iter=5000, tol=1e-10).fit(counts / scale, label)
    found = _weights(kmer_counts(codes, k), label, 0.5)
    np.testing.assert_allclose(found, fit.coef_[0] / scale, atol=2e-3)
