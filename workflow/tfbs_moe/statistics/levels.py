"""How often each test rejects a true null hypothesis, by simulation of whole studies.

A test that holds its level of 5 % rejects in 5 % of studies in which no model is better. The one that takes
draws of one trained model for replicates does not.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

from tfbs_moe.evaluation.delong import delong
from tfbs_moe.evaluation.scores import UNPAIRED
from tfbs_moe.runtime import rng
from tfbs_moe.statistics.anova import one_way, repeated_measures
from tfbs_moe.statistics.assumptions import ALPHA, normality, ranks_are_reported
from tfbs_moe.statistics.equivalence import non_inferiority
from tfbs_moe.statistics.mixed import fit_mixed
from tfbs_moe.statistics.ranks import friedman, nemenyi

STUDIES = 2000
FACTORS = 23
MODELS = 5
SEEDS = 3
MARGIN = 0.01
# Standard deviations of the AUROC in the made studies.
BETWEEN_FACTORS = 0.1
WITHIN_FACTOR = 0.02
BETWEEN_TRAININGS = 0.01
STRATA = (10, 7, 6)
PAIRS = 150
DRAWS = 30
MIXED = "mixed model"
PAPER = "paper's ANOVA"
SLOW = (MIXED, PAPER)
COLUMNS = ("test", "unit", "proper", "studies", "alpha", "rejected", "lower", "upper", "sentence")

Simulation = Callable[[np.random.Generator], float]


def level_table(seed: int, studies: int = STUDIES, slow_studies: int | None = None) -> pd.DataFrame:
    """Simulate studies without any difference and count how often each test finds one.

    Args:
        seed: what the studies are drawn from.
        studies: how many for each test.
        slow_studies: how many for those that take longest, ``SLOW``; ``studies`` where not given.

    Returns:
        One row per test, columns ``COLUMNS``: the share of studies rejected at α = 0.05, with Clopper and
        Pearson's 95 % interval. ``proper`` is False for what is shown as a warning.
    """
    records = []
    for test, (unit, proper, simulate) in SIMULATIONS.items():
        count = slow_studies if slow_studies and test in SLOW else studies
        stream = rng(seed, "levels", test)
        rejected = sum(simulate(stream) < ALPHA for _ in range(count))
        interval = stats.binomtest(rejected, count).proportion_ci()
        share = rejected / count
        sentence = (
            f"With the {unit} as replicate, {test} finds a difference in {share:.1%} "
            f"[{interval.low:.1%}, {interval.high:.1%}] of {count} studies in which there is none."
        )
        records.append((test, unit, proper, count, ALPHA, share, float(interval.low), float(interval.high), sentence))
    return pd.DataFrame(records, columns=list(COLUMNS))


def _study(stream: np.random.Generator, models: int = MODELS) -> np.ndarray:
    """Draw a study in which factors differ and models differ on each by chance alone: (factors, models)."""
    factors = stream.normal(0.8, BETWEEN_FACTORS, (FACTORS, 1))
    return np.asarray(factors + stream.normal(0, WITHIN_FACTOR, (FACTORS, models)))


def _anova(stream: np.random.Generator) -> float:
    return repeated_measures(_study(stream)).p_corrected


def _anova_without_sphericity(stream: np.random.Generator, corrected: bool) -> float:
    """Let one model scatter five times as much as the others."""
    values = _study(stream)
    values[:, 0] += stream.normal(0, 5 * WITHIN_FACTOR, FACTORS)
    found = repeated_measures(values)
    return found.p_corrected if corrected else found.p


def _friedman(stream: np.random.Generator) -> float:
    return friedman(_study(stream)).p


def _nemenyi(stream: np.random.Generator) -> float:
    return float(nemenyi(_study(stream))[np.triu_indices(MODELS, 1)].min())


def _differences(stream: np.random.Generator) -> np.ndarray:
    values = _study(stream, models=2)
    return np.asarray(values[:, 0] - values[:, 1])


def _paired_t(stream: np.random.Generator) -> float:
    return float(stats.ttest_1samp(_differences(stream), 0).pvalue)


def _wilcoxon(stream: np.random.Generator) -> float:
    return float(stats.wilcoxon(_differences(stream)).pvalue)


def _by_the_rule(stream: np.random.Generator, heavy: bool) -> float:
    """Apply the rule of ``assumptions`` to differences that are normal, or symmetric with heavy tails."""
    differences = stream.standard_t(2, FACTORS) if heavy else _differences(stream)
    by_ranks = ranks_are_reported(normality(differences, "differences"), FACTORS)
    test = stats.wilcoxon(differences) if by_ranks else stats.ttest_1samp(differences, 0)
    return float(test.pvalue)


def _non_inferiority(stream: np.random.Generator) -> float:
    return non_inferiority(_differences(stream) - MARGIN, MARGIN, ALPHA).p


def _strata(stream: np.random.Generator) -> list[np.ndarray]:
    return [stream.normal(0.8, BETWEEN_FACTORS, size) for size in STRATA]


def _welch(stream: np.random.Generator) -> float:
    return float(anova_oneway(_strata(stream), use_var="unequal", welch_correction=True).pvalue)


def _kruskal(stream: np.random.Generator) -> float:
    return float(stats.kruskal(*_strata(stream)).pvalue)


def _mixed(stream: np.random.Generator) -> float:
    shape = (FACTORS, MODELS, SEEDS)
    values = (
        stream.normal(0.8, BETWEEN_FACTORS, (FACTORS, 1, 1))
        + stream.normal(0, WITHIN_FACTOR, (FACTORS, MODELS, 1))
        + stream.normal(0, BETWEEN_TRAININGS, (1, MODELS, SEEDS))
        + stream.normal(0, WITHIN_FACTOR / 2, shape)
    )
    factor, model, seed = np.indices(shape).reshape(3, -1)
    names = [f"model{number}" for number in range(MODELS)]
    frame = {"factor": factor, "model": np.array(names)[model], "seed": seed, "value": values.ravel()}
    fit = fit_mixed(pd.DataFrame(frame), names)
    return fit.p if fit else 1.0


def _delong(stream: np.random.Generator, paired: bool) -> float:
    """Compare two models that are equally good on pairs whose two scores go together."""
    label, pair = np.repeat([True, False], PAIRS), np.tile(np.arange(PAIRS), 2)
    logit = np.tile(stream.normal(size=(2, PAIRS)), 2) + stream.normal(size=(2, 2 * PAIRS)) + label
    found = delong(label, logit, pair if paired else np.full(2 * PAIRS, UNPAIRED))
    effect, error = found.contrast(np.array([1.0, -1.0]))
    return float(2 * stats.norm.sf(abs(effect) / error))


def _paper(stream: np.random.Generator) -> float:
    """Repeat the paper's design: equally good models, one test set, 30 bootstrap draws each as replicates."""
    groups = []
    for _ in range(4):
        positive, negative = stream.normal(1, 1, PAIRS), stream.normal(0, 1, PAIRS)
        rows = stream.integers(0, PAIRS, (DRAWS, PAIRS))
        ranks = stats.rankdata(np.concatenate([positive[rows], negative[rows]], axis=1), axis=1)
        groups.append((ranks[:, :PAIRS].sum(axis=1) - PAIRS * (PAIRS + 1) / 2) / PAIRS**2)
    return one_way(groups).p


_FACTOR = "factor"
SIMULATIONS: dict[str, tuple[str, bool, Simulation]] = {
    "repeated-measures ANOVA": (_FACTOR, True, _anova),
    "repeated-measures ANOVA, one model more scattered": (
        _FACTOR,
        True,
        partial(_anova_without_sphericity, corrected=True),
    ),
    "repeated-measures ANOVA, one model more scattered, uncorrected": (
        _FACTOR,
        False,
        partial(_anova_without_sphericity, corrected=False),
    ),
    "Friedman (Iman–Davenport)": (_FACTOR, True, _friedman),
    "Nemenyi, any pair": (_FACTOR, True, _nemenyi),
    MIXED: (_FACTOR, True, _mixed),
    "paired t": (_FACTOR, True, _paired_t),
    "Wilcoxon signed-rank": (_FACTOR, True, _wilcoxon),
    "the test that the rule chooses": (_FACTOR, True, partial(_by_the_rule, heavy=False)),
    "the test that the rule chooses, heavy tails": (_FACTOR, True, partial(_by_the_rule, heavy=True)),
    "non-inferiority at its margin": (_FACTOR, True, _non_inferiority),
    "Welch's ANOVA": (_FACTOR, True, _welch),
    "Kruskal–Wallis": (_FACTOR, True, _kruskal),
    "DeLong, pairs kept": ("pair of test rows", True, partial(_delong, paired=True)),
    "DeLong, pairs ignored": ("test row", False, partial(_delong, paired=False)),
    PAPER: ("bootstrap draw", False, _paper),
}
