"""Comparison of models with the factor as the unit: the analysis to draw conclusions from.

A study asks whether a model does better on factors, those it saw and those it did not. One factor is
one observation; seeds, cells and test rows within it make that observation more exact and add none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tfbs_moe.errors import InputError
from tfbs_moe.statistics.anova import repeated_measures
from tfbs_moe.statistics.results import Result, as_table, difference_sentence, p_words

LEVEL = 0.95
UNIT = "factor"
DESIGN = "repeated measures: every model on every factor, seeds and cells averaged within the factor"
GROUPS = ("protocol", "set", "negatives", "rows")
SMALLEST = 2


@dataclass(frozen=True, eq=False)
class FactorTable:
    """One number per factor and model.

    Attributes:
        values: float (n factors, k models).
        factors: names of the rows.
        models: names of the columns.
        note: what was left out, in words; empty where nothing was.
    """

    values: np.ndarray
    factors: tuple[str, ...]
    models: tuple[str, ...]
    note: str


def factor_table(metrics: pd.DataFrame, models: Sequence[str]) -> FactorTable:
    """Average seeds within an experiment, then experiments within a factor.

    Args:
        metrics: rows of one protocol, set, kind of negatives, row set and metric.
        models: which models, and in which order.

    Returns:
        The factors on which every model has a value; ``note`` names the others.

    Raises:
        InputError: a model has no value at all.
    """
    kept = metrics[metrics["model"].isin(models)].dropna(subset=["value"])
    absent = [model for model in models if model not in set(kept["model"])]
    if absent:
        raise InputError(f"no value of {', '.join(absent)} to compare on any factor")
    experiments = kept.groupby(["factor", "experiment", "model"], observed=True)["value"].mean()
    wide = experiments.groupby(["factor", "model"], observed=True).mean().unstack("model").reindex(columns=list(models))
    partial = wide.index[wide.isna().any(axis=1)]
    complete = wide.dropna()
    note = f"left out, for want of a model: {', '.join(map(str, partial))}" if len(partial) else ""
    return FactorTable(complete.to_numpy(), tuple(map(str, complete.index)), tuple(models), note)


def compare_models(
    metrics: pd.DataFrame, mixture: str, rivals: Sequence[str] | None = None, metric: str = "auroc"
) -> pd.DataFrame:
    """Compare models over factors, for each protocol, set, kind of negatives and row set.

    Args:
        metrics: the table of metrics (``docs/architecture.md``).
        mixture: the model of interest.
        rivals: the models to compare it with; all others of the group where none are named.
        metric: which metric.

    Returns:
        Per group: the repeated-measures ANOVA over all models, then for each rival the paired t test
        and the Wilcoxon test of mixture − rival, Holm-adjusted over the rivals.

    Raises:
        InputError: the metric is not in the table.
    """
    chosen = metrics[metrics["metric"] == metric]
    if chosen.empty:
        raise InputError(f"the metrics have no {metric}; they have {', '.join(sorted(set(metrics['metric'])))}")
    tables = []
    for names, group in chosen.groupby(list(GROUPS), sort=False, observed=True):
        present = list(dict.fromkeys(group["model"]))
        others = [model for model in (rivals or present) if model != mixture and model in present]
        if mixture not in present or not others:
            continue
        table = factor_table(group, [mixture, *others])
        results = [omnibus(table, metric), *pairwise(table, metric)]
        tables.append(as_table(results, dict(zip(GROUPS, names, strict=True)) | {"metric": metric}))
    return pd.concat(tables, ignore_index=True) if tables else as_table([], {})


def omnibus(table: FactorTable, metric: str) -> Result:
    """Test whether the models differ at all, with the factor as the unit."""
    count, models = table.values.shape
    common = Result(
        test="repeated-measures ANOVA",
        comparison=" / ".join(table.models),
        design=DESIGN,
        unit=UNIT,
        n=count,
        check=table.note,
    )
    if count < SMALLEST:
        return replace(common, sentence=f"With {count} factor(s) models cannot be compared over factors.")
    anova = repeated_measures(table.values)
    df = f"{anova.df * anova.epsilon:.3g}, {anova.df_error * anova.epsilon:.3g}"
    verdict = "differ" if anova.p_corrected < 1 - LEVEL else "are not shown to differ"
    check = f"Greenhouse–Geisser ε = {anova.epsilon:.3f}" if models > 2 else "two models: sphericity holds"
    return replace(
        common,
        statistic_name="F",
        statistic=anova.statistic,
        df=df,
        p=anova.p_corrected,
        p_adjusted=anova.p_corrected,
        effect_name="partial eta squared",
        effect=anova.eta_squared,
        check="; ".join(filter(None, [check, table.note])),
        sentence=(
            f"Over {count} factors the {models} models {verdict} in {metric}: F({df}) = {anova.statistic:.2f}, "
            f"{p_words(anova.p_corrected)}."
        ),
    )


def pairwise(table: FactorTable, metric: str) -> list[Result]:
    """Compare the first model with each other one, per factor."""
    parametric = [_paired_t(table, other, metric) for other in range(1, len(table.models))]
    ranks = [_wilcoxon(table, other, metric) for other in range(1, len(table.models))]
    return [*_holm(parametric), *_holm(ranks)]


def _differences(table: FactorTable, other: int) -> np.ndarray:
    return table.values[:, 0] - table.values[:, other]


def _paired_t(table: FactorTable, other: int, metric: str) -> Result:
    differences = _differences(table, other)
    first, second = table.models[0], table.models[other]
    common = _common("paired t", table, other)
    if len(differences) < SMALLEST:
        nan = float("nan")
        sentence = difference_sentence(first, second, metric, nan, nan, nan)
        effect = float(differences.mean()) if len(differences) else nan
        return replace(common, effect_name="mean difference", effect=effect, sentence=sentence)
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    df = len(differences) - 1
    error = spread / np.sqrt(len(differences))
    half = float(stats.t.ppf((1 + LEVEL) / 2, df)) * error
    statistic = mean / error if error > 0 else float("nan")
    p = float(2 * stats.t.sf(abs(statistic), df)) if error > 0 else float("nan")
    return replace(
        common,
        statistic_name="t",
        statistic=statistic,
        df=f"{df}",
        p=p,
        effect_name="mean difference",
        effect=mean,
        effect_lower=mean - half,
        effect_upper=mean + half,
        sentence=difference_sentence(first, second, metric, mean, mean - half, mean + half),
    )


def _wilcoxon(table: FactorTable, other: int, metric: str) -> Result:
    differences = _differences(table, other)
    common = _common("Wilcoxon signed-rank", table, other)
    first, second = table.models[0], table.models[other]
    nonzero = differences[differences != 0]
    if not len(nonzero):
        return replace(common, sentence=f"{first} and {second} are equal on every factor.")
    # Pratt's treatment keeps factors on which the models are equal in the ranking.
    test = stats.wilcoxon(differences, zero_method="pratt")
    median = float(np.median(differences))
    better = int((differences > 0).sum())
    return replace(
        common,
        statistic_name="W",
        statistic=float(test.statistic),
        p=float(test.pvalue),
        effect_name="median difference",
        effect=median,
        sentence=f"{first} has the higher {metric} on {better} of {len(differences)} factors against {second}.",
    )


def _common(test: str, table: FactorTable, other: int) -> Result:
    return Result(
        test=test,
        comparison=f"{table.models[0]} − {table.models[other]}",
        design=DESIGN,
        unit=UNIT,
        n=len(table.values),
        check=table.note,
    )


def _holm(results: list[Result]) -> list[Result]:
    """Adjust the p values of comparisons made together (Holm 1979); an undefined one is left out."""
    defined = [index for index, result in enumerate(results) if not np.isnan(result.p)]
    if not defined:
        return results
    adjusted = multipletests([results[index].p for index in defined], method="holm")[1]
    name = f"Holm over {len(defined)}"
    for index, value in zip(defined, adjusted, strict=True):
        results[index] = replace(results[index], p_adjusted=float(value), adjustment=name)
    return results
