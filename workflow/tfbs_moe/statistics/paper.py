"""The paper's ANOVA, under its own name, and how its F grows with the number of draws, which are its replicates.

arXiv 2507.09754 compares four models on each test set by a one-way ANOVA with Tukey's test, over 30 passes of one
trained model each. Such passes replicate neither training nor test sets: their number is the analyst's choice, and F
grows with it. The analysis is kept for comparison with the paper's numbers; ``tfbs_moe.statistics.factors`` is the one
to draw conclusions from.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.metrics_with_intervals import auroc_draws
from tfbs_moe.evaluation.scores import Scores
from tfbs_moe.numeric import varies
from tfbs_moe.runtime import rng
from tfbs_moe.statistics.hypothesis_tests import studentized_range
from tfbs_moe.statistics.hypothesis_tests.effects import eta_interval
from tfbs_moe.statistics.hypothesis_tests.linear_models import one_way
from tfbs_moe.statistics.hypothesis_tests.results import BETWEEN, RESULT_COLUMNS, Result, as_table, p_words, signed
from tfbs_moe.statistics.omnibus import SMALLEST, anova_result
from tfbs_moe.statistics.units import factor_table
from tfbs_moe.study import SUPPLIED
from tfbs_moe.tables import read_tsv

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
COUNTS = (5, 10, 20, 30, 100, 300, 1000)
OURS, PUBLISHED = "this study", "published"
METRIC = "auroc"
_DRAW = "draw"
DRAWS_COLUMNS = ("source", "experiment", "factor", "draws", *RESULT_COLUMNS)
# Each published test set adds to the 500 supplied negatives a shuffle of each of the 1,000 sequences.
PUBLISHED_IDENTITY = {"protocol": PUBLISHED, "negatives": "supplied_and_shuffled", "rows": "all", "metric": METRIC}


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
    names = ("experiment", "factor", "protocol", "set", "negatives")
    named = {name: identity[name] for name in names} | {"rows": rows, "metric": METRIC}
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
    beyond = studentized_range.quantile(level, len(groups), df_error)
    results = []
    for other in range(1, len(models)):
        difference = float(groups[0].mean() - groups[other].mean())
        scale = float(np.sqrt(error / 2 * (1 / len(groups[0]) + 1 / len(groups[other]))))
        adjusted = float(studentized_range.sf(abs(difference) / scale, len(groups), df_error)[0])
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


def _groups(values: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return each model's draws, without those that lack a class, in which no model has an AUROC."""
    drawn = np.asarray(list(values.values()), dtype=np.float64)
    return list(drawn[:, np.isfinite(drawn).all(axis=0)])


def _result(models: Sequence[str], unit: str, count: int, sentence: str) -> Result:
    design = DESIGN.format(unit=unit.split(",")[0])
    return Result(PAPER_ANOVA, " / ".join(models), design, unit, count, check=CAUTION, sentence=sentence)


def _value(statistic: float) -> str:
    return "is not defined, as draws of a model do not differ" if np.isnan(statistic) else f"= {statistic:.1f}"


def read_published_draws(path: str | Path) -> pd.DataFrame:
    """Read the authors' AUROCs: ``model`` ``our_model`` ``set`` ``factor`` ``draw`` ``value``, one row per draw.

    ``resources/published_draws.tsv`` holds them as the authors published them (github.com/lab-rasool/TFBS,
    ``results/evaluation_summary.csv`` at commit 6565f59): 30 passes with dropout left on, of one trained model each.
    InputError where a column or a draw is missing.
    """
    wide = read_tsv(path, columns=("model", "our_model", "set", "factor"))
    columns = [name for name in wide.columns if name.startswith(_DRAW)]
    if len(columns) < 2 or wide[columns].isna().any(axis=None):
        raise InputError(f"{path}: every row needs the same two or more draws, in columns {_DRAW}1, {_DRAW}2, …")
    long = wide.melt(["model", "our_model", "set", "factor"], columns, var_name=_DRAW)
    return long.assign(draw=long["draw"].str.removeprefix(_DRAW).astype(int))


def _published_sets(published: pd.DataFrame) -> list[tuple[dict[str, object], dict[str, np.ndarray]]]:
    """Return the identity of each of the authors' test sets and its AUROCs, (draws,) by model, in the order drawn."""
    sets = []
    for (its_set, factor), group in published.groupby(["set", "factor"], sort=False):
        ordered = group.sort_values("draw", kind="stable")
        values = {str(model): rows["value"].to_numpy() for model, rows in ordered.groupby("our_model", sort=False)}
        sets.append(({"experiment": factor, "factor": factor, "set": its_set, **PUBLISHED_IDENTITY}, values))
    return sets


def published_anova(published: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
    """Run the paper's ANOVA and Tukey tests on its own draws, in the form of ``paper_anova``."""
    tables = [
        as_table(anova_of_draws(values, str(identity["factor"]), DROPOUT, level), identity)
        for identity, values in _published_sets(published)
    ]
    return pd.concat(tables, ignore_index=True) if tables else as_table([], {"experiment": "", "factor": ""})


def published_growth(published: pd.DataFrame, counts: Sequence[int] = COUNTS, level: float = LEVEL) -> pd.DataFrame:
    """Return ``growth`` of the published draws: F of the first draws of each test set, and F over factors."""
    return growth(_published_sets(published), PUBLISHED, DROPOUT, counts, level)


def draws_of(
    scores: Scores,
    identity: Mapping[str, object],
    models: Sequence[str],
    *,
    seed: int,
    model_seed: int = 0,
    draws: int = max(COUNTS),
) -> dict[str, np.ndarray]:
    """Return bootstrap AUROCs of one training of each predicted model, (draws,) by model."""
    models = present_models(scores, models, model_seed)
    stream = rng(seed, "growth", identity["experiment"], identity["negatives"])
    values = auroc_draws(one_training(scores, models, model_seed), draws, stream)
    return dict(zip(models, values, strict=True))


def growth(
    sets: Sequence[tuple[Mapping[str, object], Mapping[str, np.ndarray]]],
    source: str,
    unit: str,
    counts: Sequence[int] = COUNTS,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Return F against the number of draws, columns ``DRAWS_COLUMNS``; ``counts`` above what there is are skipped.

    Per test set and number of ``draws``: the one-way F with draws as replicates. Per set: the repeated-measures F of
    the factors' means over draws, which does not depend on how many there are (``draws`` is missing).

    ``sets`` holds the identity of each test set and its AUROCs, (draws,) by model; all of one protocol and kind of
    negatives. ``unit`` says what a draw is.
    """
    tables = [as_table([], dict.fromkeys(DRAWS_COLUMNS))]
    for identity, values in sets:
        most = min(map(len, values.values()))
        for count in (count for count in counts if count <= most):
            first = {model: drawn[:count] for model, drawn in values.items()}
            result = omnibus_of_draws(first, str(identity["experiment"]), unit, level)
            tables.append(as_table([result], _identity(identity, source) | {"draws": count}))
    for its_set in dict.fromkeys(str(identity["set"]) for identity, _ in sets):
        own = [(identity, values) for identity, values in sets if identity["set"] == its_set]
        means = pd.DataFrame(
            {"factor": identity["factor"], "experiment": identity["experiment"], "model": model}
            | {"value": np.nanmean(drawn)}
            for identity, values in own
            for model, drawn in values.items()
        )
        factors = factor_table(means, list(own[0][1]))
        if len(factors.values) >= SMALLEST:
            result = anova_result(factors, METRIC, level)
            named = _identity(own[0][0], source) | {"experiment": "", "factor": "", "draws": None}
            tables.append(as_table([result], named))
    filled = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(filled, ignore_index=True).reindex(columns=list(DRAWS_COLUMNS))


def _identity(identity: Mapping[str, object], source: str) -> dict[str, object]:
    names = ("experiment", "factor", "protocol", "set", "negatives")
    return {"source": source, "rows": "all", "metric": METRIC} | {name: identity[name] for name in names}


def paper_tables(
    sets: Iterable[tuple[Mapping[str, object], Scores]],
    models: Mapping[str, Sequence[str]],
    published: pd.DataFrame,
    *,
    seed: int,
    model_seed: int = 0,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> dict[str, pd.DataFrame]:
    """Build the tables of a study with draws as replicates: ``anova``, ``tukey``, ``published`` and ``draws``.

    ``draws`` is on the first kind of negatives of each experiment; ``published`` covers only the factors that the study
    tests on the authors' files.

    ``sets`` holds the identity (see ``paper_anova``) and predictions of each test set, read one at a time; ``models``
    are by protocol, and the first is compared with each other one that has predictions. ``draws`` are the replicates
    per model of ``anova``, and ``model_seed`` selects one training of each model.
    """
    tests, drawn, same_files = [], {}, set()
    for identity, scores in sets:
        own, protocol = models[str(identity["protocol"])], str(identity["protocol"])
        tests.append(paper_anova(scores, identity, own, seed=seed, model_seed=model_seed, draws=draws, level=level))
        if identity["negatives"] == SUPPLIED:
            same_files.add(identity["factor"])
        comparable = not not_comparable(scores, own, model_seed)
        if comparable and (protocol, identity["experiment"]) not in drawn:
            values = draws_of(scores, identity, own, seed=seed, model_seed=model_seed)
            drawn[protocol, identity["experiment"]] = (identity, values)
    table = pd.concat(tests, ignore_index=True)
    theirs = published[published["factor"].isin(same_files)]
    kinds = dict.fromkeys((identity["protocol"], identity["negatives"]) for identity, _ in drawn.values())
    curves = [published_growth(theirs, level=level)] if len(theirs) else []
    for kind in kinds:
        of_kind = [item for item in drawn.values() if (item[0]["protocol"], item[0]["negatives"]) == kind]
        curves.append(growth(of_kind, OURS, BOOTSTRAP, level=level))
    is_omnibus = table["test"] == PAPER_ANOVA
    return {
        "anova": table[is_omnibus],
        "tukey": table[~is_omnibus],
        "published": published_anova(theirs, level),
        "draws": pd.concat(curves or [growth([], OURS, BOOTSTRAP)], ignore_index=True),
    }
