"""How often every test finds what is not there, and how often every interval holds what it should, over made studies.

A simulation makes one study, analyses it by the functions that the workflow calls, and says by name what came out: the
p of a true null hypothesis, or whether an interval holds the true value. NaN, or a None for an interval, is what a
study of this size is not shown.
"""

import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from measuring import parser, write_result
from scipy import integrate, stats
from scipy.special import expit
from statsmodels.stats.libqsturng import psturng, qsturng

from tfbs_moe.attribution.store import FEWEST, summarise
from tfbs_moe.evaluation.curves import reliability
from tfbs_moe.evaluation.gate_weights import gate_weights
from tfbs_moe.evaluation.metrics_with_intervals import IDENTITY, auroc_draws, evaluate
from tfbs_moe.evaluation.ood_score import fit_ood_score
from tfbs_moe.evaluation.scores import WEIGHT, Scores
from tfbs_moe.runtime import rng
from tfbs_moe.statistics.calibration import ood_evidence
from tfbs_moe.statistics.factors import power_table
from tfbs_moe.statistics.generalisation import regress
from tfbs_moe.statistics.hypothesis_tests import between
from tfbs_moe.statistics.hypothesis_tests.assumptions import homogeneity_of_residuals, mauchly, normality_of_residuals
from tfbs_moe.statistics.hypothesis_tests.between import FEWEST_FOR_MEANS, between_groups
from tfbs_moe.statistics.hypothesis_tests.effects import eta_interval
from tfbs_moe.statistics.hypothesis_tests.linear_models import FEWEST_FACTORS, fit_cells, repeated_measures
from tfbs_moe.statistics.hypothesis_tests.ranks import friedman, nemenyi
from tfbs_moe.statistics.pairwise import NEMENYI, PAIRED, margin_results, pairwise_results
from tfbs_moe.statistics.paper import omnibus_of_draws
from tfbs_moe.statistics.units import FactorTable, mean_interval
from tfbs_moe.study import IN_DISTRIBUTION, UNSEEN

ALPHA, LEVEL = 0.05, 0.95
# Of each kind: the standard error of a level of 5 % is .7 % and 1 %.
MANY, FEW = 1000, 500
COUNTS = (2, 3, 6, 13, 27)
# Standard deviations of the AUROC in the made studies.
BETWEEN_FACTORS, WITHIN_FACTOR, BETWEEN_TRAININGS = 0.1, 0.02, 0.01
MARGIN = 0.01
# True differences, in standard deviations of the difference between factors.
EFFECTS = {"none": 0.0, "small": 0.5, "large": 2.0}
DRAWS = 400
# Models on one made test set; they share nothing but its labels and draws.
TOGETHER = 20
_ENOUGH = 50

# What a row is held against.
EXACT = "4–6 %"
DISCRETE = "≤ 6 %, few values"
BOUNDED = "≤ 6 %, by its make"
COVERS = "93–97 %"
COVERS_90 = "88–92 %"
AT_LEAST = "≥ 93 %, few values"
WARNING = "a warning"

Found = dict[tuple[str, str], float | bool | None]
Simulation = Callable[[np.random.Generator], Found]


def held(lower: float, upper: float, truth: float) -> bool | None:
    """Say whether an interval holds the truth; None where there is no interval."""
    return None if np.isnan([lower, upper]).any() else bool(lower <= truth <= upper)


def table_of(values: np.ndarray) -> FactorTable:
    """Return values (factors, models) as a table of factors."""
    names = [f"F{index}" for index in range(len(values))]
    return FactorTable(values, tuple(names), tuple(f"m{index}" for index in range(values.shape[1])))


def differences(stream: np.random.Generator, count: int, effect: float, heavy: bool = False) -> FactorTable:
    """Draw two models whose difference over factors has a mean of ``effect`` standard deviations."""
    noise = stream.standard_t(2, count) if heavy else stream.normal(size=count)
    second = stream.normal(0.8, BETWEEN_FACTORS, count)
    return table_of(np.stack([second + WITHIN_FACTOR * (effect + noise), second], axis=1))


def two_models(stream: np.random.Generator, count: int, size: str) -> Found:
    """Compare two models in all ways."""
    effect = EFFECTS[size]
    mean = effect * WITHIN_FACTOR
    table = differences(stream, count, effect)
    truths = {
        PAIRED: mean,
        "Wilcoxon signed-rank": mean,
        "Hedges' g": effect,
        "common-language effect size": float(stats.norm.cdf(effect)),
    }
    found: Found = {}
    for result in pairwise_results(table, None, "auroc", LEVEL):
        name = result.effect_name if result.test == "effect size" else result.test
        if not effect and result.test != "effect size" and result.test != NEMENYI:
            found[f"{name}", EXACT if result.test == PAIRED else DISCRETE] = result.p
        if not effect and result.headline:
            found["the test that the rule chooses", EXACT] = result.p
        if name in truths:
            asked = COVERS if name in (PAIRED, "Hedges' g") else AT_LEAST
            found[f"interval: {name}, {size} effect", asked] = held(
                result.effect_lower, result.effect_upper, truths[name]
            )
    if count > 1:
        anova = repeated_measures(table.values)
        ends = eta_interval(anova.statistic, anova.df, anova.df_error, 2 * LEVEL - 1)
        # At none the interval ends at its bound, and is then as wide as its test.
        asked = COVERS_90 if effect else COVERS
        found[f"interval: η² of two models (90 %), {size} effect", asked] = held(
            *ends, count * effect**2 / (count * effect**2 + count + 1)
        )
    return found


def heavy_tails(stream: np.random.Generator, count: int) -> Found:
    """Compare two equal models whose differences have heavy tails."""
    results = pairwise_results(differences(stream, count, 0.0, heavy=True), None, "auroc", LEVEL)
    return {("the test that the rule chooses, heavy tails", BOUNDED): next(r.p for r in results if r.headline)}


def margins(stream: np.random.Generator, count: int, spread: float) -> Found:
    """Compare two models that differ by the margin, whose differences spread by so many margins."""
    values = 0.8 + np.stack([stream.normal(-MARGIN, spread * MARGIN, count), np.zeros(count)], axis=1)
    found: Found = {}
    for result in margin_results(table_of(values), "auroc", LEVEL, MARGIN):
        by_make = result.test.startswith("equivalence")
        found[f"{result.test} at its margin, spread {spread:g} margins", BOUNDED if by_make else EXACT] = result.p
    return found


def means(stream: np.random.Generator, count: int) -> Found:
    """Average over factors; strata, negatives, parts of mixtures, experts and calibration all have this interval."""
    normal = stream.normal(0.8, BETWEEN_FACTORS, count)
    # As AUROCs next to 1 are spread: a mean of .93, a standard deviation of .06.
    skewed = stream.beta(15.9, 1.2, count)
    found: Found = {}
    for name, asked, values, truth in (
        ("normal numbers", COVERS, normal, 0.8),
        ("AUROCs next to 1, skewed", WARNING, skewed, 15.9 / 17.1),
    ):
        _, lower, upper = mean_interval(values, LEVEL)
        found[f"interval: t of a mean over factors, {name}", asked] = held(lower, upper, truth)
    return found


def many_models(stream: np.random.Generator, count: int, models: int) -> Found:
    """Compare equal models by ranks, and check what ANOVA assumes of them."""
    values = stream.normal(0.8, BETWEEN_FACTORS, (count, 1)) + stream.normal(0, WITHIN_FACTOR, (count, models))
    first, ranks = np.triu_indices(models, 1), friedman(values)
    what = f", {models} models"
    return {
        (f"Friedman{what}", DISCRETE if ranks.exact else EXACT): ranks.p,
        (f"Nemenyi, any pair{what}", DISCRETE): float(nemenyi(values)[first].min()),
        (f"check: Shapiro–Wilk of residuals{what}", EXACT): normality_of_residuals(values).p,
        (f"check: Mauchly{what}", EXACT): mauchly(values).p,
        (f"check: Brown–Forsythe of residuals{what}", EXACT): homogeneity_of_residuals(values).p,
    }


def analysis_of_variance(stream: np.random.Generator, count: int, models: int, wild: bool) -> Found:
    """Compare equal models of which one may scatter five times as much as the others."""
    values = stream.normal(0.8, BETWEEN_FACTORS, (count, 1)) + stream.normal(0, WITHIN_FACTOR, (count, models))
    values[:, 0] += stream.normal(0, 5 * WITHIN_FACTOR, count) if wild else 0
    found = repeated_measures(values)
    what = f"{models} models{', one more scattered' if wild else ''}"
    return {
        (f"repeated-measures ANOVA, {what}", DISCRETE if count < 13 else EXACT): found.p_signs,
        (f"repeated-measures ANOVA, {what}, p of F", WARNING): found.p,
    }


def mixed(stream: np.random.Generator, count: int, trainings: float, effect: float) -> Found:
    """Fit the mixed model to models of which each was trained three times."""
    shape = (count, 3, 3)
    values = (
        stream.normal(0.8, BETWEEN_FACTORS, (count, 1, 1))
        + stream.normal(0, WITHIN_FACTOR, (count, 3, 1))
        + stream.normal(0, trainings, (1, 3, 3))
        + stream.normal(0, WITHIN_FACTOR / 2, shape)
    )
    values[:, 0] += effect * WITHIN_FACTOR
    fit = fit_cells(values, ("m0", "m1", "m2"))
    what = f"trainings spread {trainings:g}"
    half = stats.t.ppf((1 + LEVEL) / 2, fit.df_error) * fit.error if fit else np.nan
    gap = fit.differences[0] if fit else np.nan
    if effect:
        name = f"interval: mixed model contrast, {what}, difference of {effect:g}"
        return {(name, COVERS): held(gap - half, gap + half, effect * WITHIN_FACTOR)}
    p = float(2 * stats.t.sf(abs(gap) / fit.error, fit.df_error)) if fit else np.nan
    return {(f"mixed model, {what}", EXACT): fit.p if fit else np.nan, (f"mixed model contrast, {what}", EXACT): p}


class TabledRange:
    """The studentised range by statsmodels' table, right to three digits; scipy takes a tenth of a second each time."""

    @staticmethod
    def sf(q: float, groups: int, df: float) -> np.ndarray:
        """Return how probable a range as wide is, (1,)."""
        return np.ravel(psturng(q, groups, df))

    @staticmethod
    def quantile(level: float, groups: int, df: float) -> float:
        """Return the quantile."""
        return float(np.ravel(qsturng(level, groups, df))[0])


def strata(stream: np.random.Generator, sizes: Sequence[int], spreads: Sequence[float], effect: float) -> Found:
    """Compare strata of factors of which the first spreads otherwise, or lies higher."""
    values = [stream.normal(0.7, 0.05 * spread, size) for size, spread in zip(sizes, spreads, strict=True)]
    values[0] += 0.05 * effect
    parts = {f"S{index}": part for index, part in enumerate(values)}
    with mock.patch.object(between, "studentized_range", TabledRange):
        results = between_groups(parts, "auroc", LEVEL)
    same = len(set(spreads)) == 1
    kinds = "alike" if same else "spread 3 : 1"
    found: Found = {}
    if not effect:
        for test in ("Welch's ANOVA", "Games–Howell", "Kruskal–Wallis", "Mann–Whitney"):
            ranked = test in ("Kruskal–Wallis", "Mann–Whitney")
            asked = (DISCRETE if same else WARNING) if ranked else EXACT
            p = [result.p_adjusted for result in results if result.test == test]
            found[f"{test}, {kinds}", asked] = min(p) if p else np.nan
    for test in ("Games–Howell", "Mann–Whitney") if len(sizes) == 2 else ():
        shift = 0.05 * effect
        truth = shift if test == "Games–Howell" else float(stats.norm.cdf(shift / (0.05 * float(np.hypot(*spreads)))))
        asked = COVERS if test == "Games–Howell" or same else WARNING
        ends = [(result.effect_lower, result.effect_upper) for result in results if result.test == test]
        name = f"interval: {test}, {kinds}, shift of {effect:g}"
        found[name, asked] = held(*ends[0], truth) if ends else None
    return found


def slopes(stream: np.random.Generator, count: int, uneven: bool) -> Found:
    """Regress on what makes no difference, and on what does."""
    first, second = stream.normal(size=(2, count))
    noise = stream.normal(0, 0.05, count) * (np.exp(0.5 * first) if uneven else 1)
    frame = pd.DataFrame({"similarity": first, "overlap": second, "value": 0.7 + 0.05 * second + noise})
    frame = frame.assign(protocol="p", negatives="flanks", rows="all", model="m", metric="auroc", set=UNSEEN)
    table = regress(frame.assign(factor=[f"F{index}" for index in range(count)]))
    found: Found = {}
    spread = "spread by similarity" if uneven else "even spread"
    for row in table.to_dict("records"):
        both, of_similarity = " + " in row["comparison"], str(row["effect_name"]).endswith("similarity")
        truth = 0.0 if of_similarity else 0.05
        terms = "two slopes" if both else "one slope"
        if row["effect_name"] and of_similarity and both:
            found[f"regression (HC3), {terms}, {spread}", EXACT] = row["p"]
        if row["effect_name"] and (both or not of_similarity):
            name = f"interval: regression, {terms}, {'no' if of_similarity else 'large'} effect, {spread}"
            found[name, COVERS] = held(row["effect_lower"], row["effect_upper"], truth)
    return found or {("regression (HC3), two slopes, even spread", EXACT): np.nan}


def familiar(stream: np.random.Generator, known: int, unseen: int, effect: float) -> Found:
    """Ask whether unseen factors are unfamiliar, and whether familiarity goes with the AUROC."""
    count = known + unseen
    frame = pd.DataFrame({"set": np.repeat([IN_DISTRIBUTION, UNSEEN], [known, unseen]), "auroc": stream.random(count)})
    frame = frame.assign(
        protocol="p", model="m", negatives="flanks", experiment=[f"E{index}" for index in range(count)]
    )
    shares = stream.normal(0.2, np.repeat([0.03, 0.06], [known, unseen])) + 0.05 * effect * (frame["set"] == UNSEEN)
    frame = frame.assign(factor=frame["experiment"], ood_p_bound=stream.random(count), ood_bound=shares)
    row = ood_evidence(frame).iloc[0]
    name = f"interval: Welch's of familiarity, difference of {effect:g}"
    found: Found = {(name, COVERS): held(row["lower"], row["upper"], 0.05 * effect)}
    if not effect:
        found["Spearman", DISCRETE if count < 13 else EXACT] = row["p"]
    return found


NAMES = dict.fromkeys(IDENTITY, "x") | {"set": UNSEEN}


def made_scores(
    stream: np.random.Generator, gaps: Sequence[float], sizes: tuple[int, int], paired: bool, scale: float = 1.0
) -> Scores:
    """Draw bound rows that lie ``gap`` standard deviations higher, logits that are right where ``scale`` is 1."""
    bound, unbound = sizes
    label = np.arange(bound + unbound) < bound
    noise = stream.normal(size=(len(gaps), len(label)))
    if paired:
        noise = (noise + np.tile(stream.normal(size=(len(gaps), bound)), 2)) / np.sqrt(2)
    gap = np.asarray(gaps)[:, None]
    logit = scale * gap * (noise + gap * (label - 0.5))
    pair = np.tile(np.arange(bound), 2) if paired else np.full(len(label), -1)
    models = tuple((f"m{index}", 0) for index in range(len(gaps)))
    return Scores(np.arange(len(label)), label, pair, models, logit, expit(logit))


def true_metrics(gap: float, scale: float, share: float) -> dict[str, float]:
    """Return the metrics of such logits over endless rows, ``share`` of them bound."""
    z = np.linspace(-12, 12, 40_001)
    density = stats.norm.pdf(z)
    bound, unbound = (scale * gap * (z + side * gap / 2) for side in (1, -1))

    def mean(of_bound: np.ndarray, of_unbound: np.ndarray) -> float:
        values = share * of_bound + (1 - share) * of_unbound
        return float(integrate.trapezoid(values * density, z))

    at = np.linspace(12, -12, 40_001)
    true, false = stats.norm.sf(at - gap / 2), stats.norm.sf(at + gap / 2)
    precision = share * true / np.maximum(share * true + (1 - share) * false, 1e-300)
    return {
        "auroc": float(stats.norm.cdf(gap / np.sqrt(2))),
        "auprc": float(integrate.trapezoid(precision, true)),
        "log_loss": mean(np.logaddexp(0, -bound), np.logaddexp(0, unbound)),
        "brier": mean((1 - expit(bound)) ** 2, expit(unbound) ** 2),
        "sensitivity_at_specificity_0.95": float(stats.norm.sf(stats.norm.isf(0.05) - gap)),
        "auprc_baseline": share,
    }


def metrics(
    stream: np.random.Generator, area: float, sizes: tuple[int, int], paired: bool, scale: float
) -> Iterator[Found]:
    """Evaluate models on one test set, of which each is a study of its own."""
    gap = float(stats.norm.ppf(area) * np.sqrt(2))
    scores = made_scores(stream, [gap] * TOGETHER, sizes, paired, scale)
    named = {**NAMES, "experiment": f"{stream.integers(2**40)}"}
    truth = true_metrics(gap, scale, sizes[0] / sum(sizes))
    how = f"AUROC {area:g}{', pairs' if paired else ''}{', overconfident' if scale > 1 else ''}"
    by_model: dict[str, Found] = defaultdict(dict)
    for row in evaluate(scores, named, seed=0, draws=DRAWS).to_dict("records"):
        if row["metric"] in truth:
            asked = AT_LEAST if row["metric"] == "auprc_baseline" else COVERS
            by_model[row["model"]][f"interval: {row['metric']}, {how}", asked] = held(
                row["lower"], row["upper"], truth[row["metric"]]
            )
        else:
            by_model[row["model"]][f"interval: {row['metric']}", COVERS] = held(row["lower"], row["upper"], np.nan)
    yield from by_model.values()


def observed_shares(stream: np.random.Generator, rows: int) -> Iterator[Found]:
    """Draw the reliability curve of a model whose probabilities are right; each bin is a study."""
    probability = expit(stream.normal(0, 2, rows))
    label = stream.random(rows) < probability
    logit = np.log(probability / (1 - probability))[None]
    scores = Scores(np.arange(rows), label, np.full(rows, -1), (("m", 0),), logit, probability[None])
    for row in reliability(scores, NAMES).to_dict("records"):
        yield {("interval: observed share of a bin", AT_LEAST): held(row["lower"], row["upper"], row["predicted"])}


def weights_of_experts(stream: np.random.Generator, rows: int, shape: float) -> Iterator[Found]:
    """Average the weights of three experts over rows; the more skewed the smaller ``shape``."""
    label = np.arange(2 * rows) < rows
    drawn = stream.dirichlet([shape, 2 * shape, 5 * shape], 2 * rows)
    frame = pd.DataFrame(
        {"row": np.arange(2 * rows), "label": label.astype(int), "pair": -1, "model": "moe.m", "seed": 0}
    )
    frame = frame.assign(**{f"{WEIGHT}E{index}": column for index, column in enumerate(drawn.T)})
    named = {**NAMES, "experiment": f"{stream.integers(2**40)}"}
    truth = {"E0": 1 / 8, "E1": 2 / 8, "E2": 5 / 8}
    for row in gate_weights(frame, named, seed=0, draws=DRAWS).to_dict("records"):
        if row["label"] == "bound":
            name = f"interval: mean weight of an expert, {'skewed' if shape < 1 else 'even'} weights"
            yield {(name, COVERS): held(row["lower"], row["upper"], truth[row["expert"]])}


def explained(stream: np.random.Generator, count: int) -> Found:
    """Average metrics of attributions over the sequences that were explained."""
    laws = {
        "even": (stream.random(count), 0.5),
        "next to 1": (stream.beta(8, 1, count), 8 / 9),
        "hits of 80 %": ((stream.random(count) < 0.8).astype(float), 0.8),
    }
    rows = summarise(pd.DataFrame({f"{law}_share": values for law, (values, _) in laws.items()})).to_dict("records")
    return {
        (f"interval: mean over explained sequences, {law}", AT_LEAST if "hits" in law else COVERS): held(
            row["lower"], row["upper"], truth
        )
        for row, (law, (_, truth)) in zip(rows, laws.items(), strict=True)
    }


def new_row(stream: np.random.Generator, rows: int) -> Found:
    """Ask whether a new row is out of distribution that is of the law of the validation rows."""
    means, classes = stream.normal(0, 3, (4, 3, 8)), np.arange(rows) % 4
    embeddings = means[classes] + stream.normal(size=(rows, 3, 8))
    new = torch.from_numpy((means[:1] + stream.normal(size=(1, 3, 8))).astype(np.float32))
    p = float(fit_ood_score(embeddings, classes).p_value(new))
    return {("out-of-distribution score of a new row of a known law", EXACT): p}


def powers(stream: np.random.Generator) -> Iterator[Found]:
    """Simulate the power of a study whose spread is known; each effect and number of factors is a study."""
    gaps = stats.zscore(stream.normal(size=8), ddof=1) * WITHIN_FACTOR
    frame = pd.DataFrame(
        {"protocol": "p", "set": UNSEEN, "negatives": "flanks", "rows": "all", "metric": "auroc", "seed": 0}
        | {"factor": f"F{index}", "experiment": f"F{index}", "model": model, "value": 0.8 + gap * (model == "m0")}
        for index, gap in enumerate(gaps)
        for model in ("m0", "m1")
    )
    for row in power_table(frame, "m0", seed=int(stream.integers(2**31))).to_dict("records"):
        shift, limit = row["effect"] / row["spread"] * np.sqrt(row["n"]), stats.t.ppf((1 + LEVEL) / 2, row["n"] - 1)
        exact = float(stats.nct.sf(limit, row["n"] - 1, shift) + stats.nct.cdf(-limit, row["n"] - 1, shift))
        if 0.001 < exact < 0.999:
            yield {("interval: simulated power", COVERS): held(row["lower"], row["upper"], exact)}


def as_the_paper_does(stream: np.random.Generator) -> Found:
    """Compare four equally good models by 30 draws of one test set; Tukey's comparisons have the same replicates."""
    scores = made_scores(stream, [1.0] * 4, (150, 150), False)
    drawn = auroc_draws(scores, 30, stream)
    found = omnibus_of_draws(
        {model: draws for (model, _), draws in zip(scores.models, drawn, strict=True)}, "x", "draw"
    )
    return {
        ("paper's ANOVA", WARNING): found.p,
        ("interval: paper's η² (90 %)", WARNING): held(found.effect_lower, found.effect_upper, 0.0),
    }


def plans() -> Iterator[tuple[str, int, Callable[[np.random.Generator], Found | Iterator[Found]]]]:
    """Yield what is simulated: the size of a study, how many results there are to be of each kind, how to make one."""
    for count in COUNTS:
        over = f"{count} factors"
        for size in EFFECTS:
            yield over, FEW, partial(two_models, count=count, size=size)
        yield over, MANY, partial(means, count=count)
        for spread in (0.3, 1.0):
            yield over, FEW, partial(margins, count=count, spread=spread)
        for models in (3, 8):
            yield over, MANY, partial(many_models, count=count, models=models)
        for wild in (False, True):
            yield over, MANY, partial(analysis_of_variance, count=count, models=5, wild=wild)
        for trainings, effect in ((0.0, 0.0), (BETWEEN_TRAININGS, 0.0), (BETWEEN_TRAININGS, 2.0)):
            if count >= FEWEST_FACTORS:
                yield over, MANY, partial(mixed, count=count, trainings=trainings, effect=effect)
        for uneven in (False, True) if count == 13 else (False,):
            yield over, FEW, partial(slopes, count=count, uneven=uneven)
    for count in (6, 13):
        yield f"{count} factors", FEW, partial(heavy_tails, count=count)
    for sizes in ((2, 2), (3, 6), (6, 6), (6, 27), (10, 7, 6)):
        for spreads in ((1.0,) * len(sizes), (3.0,) + (1.0,) * (len(sizes) - 1))[: 1 if min(sizes) < 4 else 2]:
            for effect in (0.0, 2.0) if min(sizes) >= FEWEST_FOR_MEANS and len(sizes) == 2 else (0.0,):
                over = f"{' + '.join(map(str, sizes))} factors"
                yield over, FEW, partial(strata, sizes=sizes, spreads=spreads, effect=effect)
    for known, unseen in ((3, 3), (6, 7), (6, 23)):
        for effect in (0.0, 2.0) if known >= FEWEST_FOR_MEANS else (0.0,):
            yield f"{known} + {unseen} factors", FEW, partial(familiar, known=known, unseen=unseen, effect=effect)
    for sizes in ((15, 15), (30, 30), (50, 50), (100, 100), (200, 200), (50, 500)):
        even = sizes[0] == sizes[1]
        kinds = ((False, 1.0), (True, 1.0), (False, 2.5)) if sizes[1] <= 50 else ((even, 1.0),)
        for area in (0.65, 0.85, 0.97):
            for paired, scale in kinds:
                over = f"{sizes[0]} + {sizes[1]} rows"
                yield over, MANY, partial(metrics, area=area, sizes=sizes, paired=paired, scale=scale)
    for rows in (20, 100, 1000):
        yield f"{rows} rows", MANY, partial(observed_shares, rows=rows)
    for rows in (15, 30, 100):
        for shape in (0.3, 3.0):
            yield f"{rows} rows", FEW, partial(weights_of_experts, rows=rows, shape=shape)
    for count in (FEWEST, 48, 200):
        yield f"{count} sequences", MANY, partial(explained, count=count)
    for rows in (60, 600):
        yield f"{rows} validation rows", MANY, partial(new_row, rows=rows)
    yield "4 to 500 factors", MANY, powers
    yield "150 + 150 rows", FEW, as_the_paper_does


def simulate(seed: int, share: float = 1.0) -> list[dict[str, Any]]:
    """Make all studies, or a share of them.

    Returns:
        One row per test or interval and size of a study: how many ``studies`` had one, the ``share`` of them that
        rejected or held the truth (missing where none is shown) and its ``error`` by simulation; ``asked``.
    """
    outcomes: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for number, (over, count, simulation) in enumerate(plans()):
        stream = rng(seed, "levels", number)
        made: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        wanted = max(2, round(share * count))
        while not made or max(map(len, made.values())) < wanted:
            found = simulation(stream)
            for one in [found] if isinstance(found, dict) else found:
                for (name, asked), outcome in one.items():
                    made[name, asked, over].append(_as_share(outcome))
            if max(map(len, made.values())) >= _ENOUGH and np.isnan(np.concatenate(list(made.values()))).all():
                # A study of this size is shown nothing of it.
                break
        for key, values in made.items():
            outcomes[key] += values
    records = []
    for (name, asked, over), values in outcomes.items():
        shown = np.array(values)[np.isfinite(values)]
        # What is shown of hardly any study (all of them equal, or alike) is not what a table of levels is about.
        enough = len(shown) > len(values) / 100
        rate = float(shown.mean()) if enough else None
        error = float(np.sqrt(max(rate * (1 - rate), ALPHA / len(shown)) / len(shown))) if rate is not None else None
        records.append(
            {"what": name, "over": over, "asked": asked, "studies": len(values), "shown": len(shown) / len(values)}
            | {"share": rate, "error": error}
        )
    return records


def _as_share(outcome: float | bool | None) -> float:
    """Return 1 where a test rejects or an interval holds the truth, 0 where not, NaN where nothing is shown."""
    if outcome is None or np.isnan(outcome):
        return np.nan
    return float(outcome) if isinstance(outcome, bool) else float(outcome < ALPHA)


def main() -> None:
    """Simulate and write the result."""
    arguments = parser(__doc__, "levels.json")
    arguments.add_argument("--share", type=float, default=1.0, help="of the studies")
    given = arguments.parse_args()
    start = time.process_time()
    # Of studies without spread and test sets that are told apart whole, which are few here.
    warnings.simplefilter("ignore", RuntimeWarning)
    rows = simulate(given.seed, given.share)
    seconds = time.process_time() - start
    write_result(given.output, ["numpy", "scipy", "statsmodels"], processor_seconds=seconds, levels=rows)


if __name__ == "__main__":
    main()
