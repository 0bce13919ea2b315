"""The paper's ANOVA, under its own name: per test set, models as groups, draws as replicates.

arXiv 2507.09754 compares four models on each test set by a one-way ANOVA with Tukey's test, over 30 passes of one
trained model each. Such passes replicate neither training nor test sets: their number is the analyst's choice, and F
grows with it. The analysis is kept for comparison with the paper's numbers; ``tfbs_moe.statistics.factors`` is the one
to draw conclusions from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
from scipy import stats

from tfbs_moe.evaluation.metrics_with_intervals import auroc_draws
from tfbs_moe.evaluation.scores import Scores
from tfbs_moe.numeric import varies
from tfbs_moe.runtime import rng
from tfbs_moe.statistics.hypothesis_tests.anova import one_way
from tfbs_moe.statistics.hypothesis_tests.effects import eta_interval
from tfbs_moe.statistics.hypothesis_tests.results import BETWEEN, Result, as_table, p_words, signed

PAPER_ANOVA = "paper's ANOVA"
DRAWS = 30
_FEWEST_DRAWS = 2
_FEWEST_MODELS = 2
LEVEL = 0.95
BOOTSTRAP = "bootstrap draw of the test set, one trained model each"
DROPOUT = "dropout mask at prediction, one trained model each"
DESIGN = "one-way, {unit}s as replicates"
CAUTION = (
    "the replicates are not independent observations; F grows with their number, so p and the intervals say nothing "
    "of other trainings, test sets or factors"
)


def paper_anova(
    scores: Scores,
    identity: Mapping[str, object],
    models: Sequence[str],
    *,
    seed: int,
    model_seed: int = 0,
    draws: int = DRAWS,
    rows: str = "all",
    level: float = LEVEL,
) -> pd.DataFrame:
    """Run the paper's analysis on one test set: the ANOVA, and Tukey's comparisons of the first model with the others.

    A test set on which models cannot be compared (see ``not_comparable``) has one row without numbers, whose sentence
    says why. ``identity`` holds ``protocol``, ``experiment``, ``factor``, ``set`` and ``negatives``; ``rows`` names the
    subset of the test set that ``scores`` are of. ``model_seed`` selects one training of each model; the paper has 30
    ``draws``.
    """
    named = {
        "experiment": identity["experiment"],
        "factor": identity["factor"],
        "protocol": identity["protocol"],
        "set": identity["set"],
        "negatives": identity["negatives"],
        "rows": rows,
        "metric": "auroc",
    }
    reason = not_comparable(scores, models, model_seed)
    if reason:
        sentence = f"{identity['experiment']}: models cannot be compared on it, since {reason}."
        return as_table([_result(models, BOOTSTRAP, 0, sentence)], named)
    stream = rng(seed, "paper", identity["experiment"], identity["negatives"], rows)
    models = present_models(scores, models, model_seed)
    values = auroc_draws(one_training(scores, models, model_seed), draws, stream)
    results = anova_of_draws(dict(zip(models, values, strict=True)), str(identity["experiment"]), BOOTSTRAP, level)
    return as_table(results, named)


def not_comparable(scores: Scores, models: Sequence[str], model_seed: int) -> str:
    """Return why models cannot be compared on a test set; empty where they can."""
    present = present_models(scores, models, model_seed)
    absent = [model for model in models if model not in present]
    if not len(scores.row):
        return "it has no rows"
    if scores.label.all() or not scores.label.any():
        return f"an AUROC needs bound and unbound rows, and all its {len(scores.row)} rows are of one class"
    enough = len(present) >= _FEWEST_MODELS and present[0] == models[0]
    return "" if enough else f"there are no predictions of {', '.join(absent)} with seed {model_seed}"


def present_models(scores: Scores, models: Sequence[str], model_seed: int) -> list[str]:
    """Return the models that were predicted; an expert that could not be trained was not."""
    return [model for model in models if (model, model_seed) in scores.models]


def one_training(scores: Scores, models: Sequence[str], model_seed: int) -> Scores:
    """Return the predictions of one training of each model, in their order."""
    places = [scores.models.index((model, model_seed)) for model in models]
    return replace(
        scores,
        models=tuple(scores.models[place] for place in places),
        logit=scores.logit[places],
        probability=scores.probability[places],
    )


def anova_of_draws(values: Mapping[str, np.ndarray], dataset: str, unit: str, level: float = LEVEL) -> list[Result]:
    """Return the one-way ANOVA of AUROCs (draws,) by model, and Tukey's comparisons of the first with the others."""
    return [omnibus_of_draws(values, dataset, unit, level), *_tukey(values, dataset, unit, level)]


def omnibus_of_draws(values: Mapping[str, np.ndarray], dataset: str, unit: str, level: float = LEVEL) -> Result:
    """Return the one-way ANOVA of draws alone."""
    groups = _groups(values)
    if not groups or len(groups[0]) < _FEWEST_DRAWS:
        sentence = f"{dataset}: too few draws have both classes for an AUROC of each model."
        return _result(list(values), unit, 0, sentence)
    anova = one_way(groups)
    total = sum(map(len, groups))
    bounds = eta_interval(anova.statistic, anova.df, anova.df_error, 2 * level - 1)
    df = f"{anova.df:g}, {anova.df_error:g}"
    sentence = (
        f"{dataset}: F({df}) {_value(anova.statistic)}, {p_words(anova.p)}, over {len(groups[0])} draws of one "
        f"trained model each. This is the paper's analysis; draws are not replicates."
    )
    return _result(list(values), unit, total, sentence).completed(
        ("F", anova.statistic, df), anova.p, ("eta squared", anova.eta_squared, *bounds)
    )


def _tukey(values: Mapping[str, np.ndarray], dataset: str, unit: str, level: float) -> list[Result]:
    """Compare the first model with each other one by Tukey's honestly significant difference."""
    models, groups = list(values), _groups(values)
    if not any(map(varies, groups)):
        return []
    df_error = sum(map(len, groups)) - len(groups)
    error = sum(((group - group.mean()) ** 2).sum() for group in groups) / df_error
    # scipy's tukey_hsd would compare every pair.
    beyond = _studentized_range(level, len(groups), df_error)
    results = []
    for other in range(1, len(models)):
        difference = float(groups[0].mean() - groups[other].mean())
        scale = float(np.sqrt(error / 2 * (1 / len(groups[0]) + 1 / len(groups[other]))))
        adjusted = float(stats.studentized_range.sf(abs(difference) / scale, len(groups), df_error))
        sentence = (
            f"{dataset}: {models[0]} − {models[other]} = {signed(difference, 4)} over draws of one trained "
            f"model each ({p_words(adjusted)}). This is the paper's analysis; draws are not replicates."
        )
        count = len(groups[0]) + len(groups[other])
        results.append(
            _result([models[0], models[other]], unit, count, sentence).completed(
                ("q", abs(difference) / scale, f"{len(models)}, {df_error:g}"),
                adjusted,
                ("difference of means", difference, difference - beyond * scale, difference + beyond * scale),
                test="paper's Tukey HSD",
                comparison=f"{models[0]}{BETWEEN}{models[other]}",
                adjustment=f"Tukey HSD over all pairs of {len(models)} models",
            )
        )
    return results


@cache
def _studentized_range(level: float, groups: int, df_error: int) -> float:
    return float(stats.studentized_range.ppf(level, groups, df_error))


def _groups(values: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return each model's draws, without those that lack a class, in which no model has an AUROC."""
    drawn = np.asarray(list(values.values()), dtype=np.float64)
    return list(drawn[:, np.isfinite(drawn).all(axis=0)])


def _result(models: Sequence[str], unit: str, count: int, sentence: str) -> Result:
    design = DESIGN.format(unit=unit.split(",")[0])
    return Result(PAPER_ANOVA, " / ".join(models), design, unit, count, check=CAUTION, sentence=sentence)


def _value(statistic: float) -> str:
    return "is not defined, as draws of a model do not differ" if np.isnan(statistic) else f"= {statistic:.1f}"
