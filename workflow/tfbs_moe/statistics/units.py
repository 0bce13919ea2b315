"""The observations of every comparison over factors: one number per factor and model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.intervals import bounds
from tfbs_moe.numeric import settled, varies
from tfbs_moe.study import SETS

UNIT = "factor"
DESIGN = "repeated measures: every model on every factor, seeds and cells averaged within the factor"
GROUPS = ("protocol", "set", "negatives", "rows")
# The best expert by the test labels: an upper bound on choosing one, not a model.
ORACLE = "baseline.oracle"
LOWER_IS_BETTER = ("log_loss", "brier", "calibration_error")


@dataclass(frozen=True, eq=False)
class FactorTable:
    """One number per factor and model."""

    values: np.ndarray  # float (n factors, k models)
    factors: tuple[str, ...]
    models: tuple[str, ...]
    note: str = ""  # what was excluded, in words

    def differences(self, other: int) -> np.ndarray:
        """Return the first model minus another one, (n factors,)."""
        return settled(self.values[:, 0] - self.values[:, other])


def factor_table(metrics: pd.DataFrame, models: Sequence[str]) -> FactorTable:
    """Average seeds within an experiment, then experiments within a factor, on the factors that every model has.

    ``metrics`` are rows of one protocol, set, kind of negatives, row set and metric; ``note`` names the excluded
    factors. InputError where a model has no value at all.
    """
    kept = metrics[metrics["model"].isin(models)].dropna(subset=["value"])
    absent = [model for model in models if model not in set(kept["model"])]
    if absent:
        raise InputError(f"no value of {', '.join(absent)} to compare on any factor")
    experiments = kept.groupby(["factor", "experiment", "model"], observed=True)["value"].mean()
    wide = experiments.groupby(["factor", "model"], observed=True).mean().unstack("model").reindex(columns=list(models))
    partial = wide.index[wide.isna().any(axis=1)]
    complete = wide.dropna()
    note = f"left out, for lack of a model: {', '.join(map(str, partial))}" if len(partial) else ""
    return FactorTable(settled(complete.to_numpy()), tuple(map(str, complete.index)), tuple(models), note)


def by_factor(table: pd.DataFrame, keys: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """Average ``values`` over seeds within a test set, then over test sets within a factor, for each of ``keys``."""
    cells = table.groupby([*keys, "factor", "experiment"], sort=False)[list(values)].mean()
    return cells.groupby([*keys, "factor"], sort=False).mean().reset_index()


def first_kind(table: pd.DataFrame, by: str = "experiment") -> pd.DataFrame:
    """Return the rows on the first kind of negatives of each experiment (or ``by``), which sentences report."""
    return table[table["negatives"] == table.groupby(by, sort=False)["negatives"].transform("first")]


def on_shared_tests(table: pd.DataFrame, compared: str) -> pd.DataFrame:
    """Return the non-missing rows of the experiments that have one of everything in the column ``compared``."""
    known = table.dropna(subset=["value"])
    present = known.groupby("experiment")[compared].transform("nunique")
    return known[present == known[compared].nunique()]


def over_factors(table: pd.DataFrame, keys: Sequence[str], level: float, value: str = "value") -> pd.DataFrame:
    """Average a number over factors, seeds and test sets within a factor first, with t intervals over factors.

    One row per ``keys``, in order of first appearance: ``value`` ``lower`` ``upper`` ``n_factors``; missing numbers are
    ignored. Intervals of ``value`` are clipped to the metric's range if ``metric`` is among the keys.
    """
    records = []
    for names, group in by_factor(table, keys, [value]).groupby(list(keys), sort=False):
        found = dict(zip(keys, names, strict=True))
        values = group[value].dropna().to_numpy(dtype=float)
        mean, lower, upper = mean_interval(values, level, str(found.get("metric", "")) if value == "value" else "")
        records.append(found | {"value": mean, "lower": lower, "upper": upper, "n_factors": len(values)})
    return pd.DataFrame(records, columns=[*keys, "value", "lower", "upper", "n_factors"])


def mean_interval(values: np.ndarray, level: float, metric: str = "") -> tuple[float, float, float]:
    """Return a mean and its t interval, which is NaN with one value or without variance.

    The interval of a ``metric`` between 0 and 1 is clipped there, at no loss of coverage; without a metric, as for
    differences, it is not.
    """
    mean = float(np.mean(values)) if len(values) else np.nan
    half = np.nan
    if varies(values):
        half = float(stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values))
    lower, upper = np.clip([mean - half, mean + half], *bounds(metric))
    return mean, float(lower), float(upper)


def apart(values: pd.DataFrame, group: str) -> tuple[pd.DataFrame, str]:
    """Return rows in which no factor is in two groups, for tests of independent groups, and the exclusions in words.

    A factor tested in several groups stays in the first one (its own cell before another one, then the order of the
    rows); ``shared`` pairs those excluded here.
    """
    ordered = values.sort_values("set", key=lambda sets: sets.map(SETS.index), kind="stable")
    first = ordered.groupby("factor", sort=False)[group].transform("first")
    again = ordered[ordered[group] != first]
    words = [
        f"left out of {name}, as they count in another group: {', '.join(dict.fromkeys(map(str, part)))}"
        for name, part in again.groupby(group, sort=False)["factor"]
    ]
    return ordered[ordered[group] == first], "; ".join(words)


def shared(values: pd.DataFrame, group: str) -> Iterator[FactorTable]:
    """Yield for every two groups that share factors these factors' values in both; the groups are the ``models``."""
    ordered = values.sort_values("set", key=lambda sets: sets.map(SETS.index), kind="stable")
    wide = ordered.pivot_table(index="factor", columns=group, values="value", sort=False, observed=True)
    for place, first in enumerate(wide.columns):
        for second in wide.columns[place + 1 :]:
            both = wide[[first, second]].dropna()
            if len(both):
                yield FactorTable(both.to_numpy(), tuple(map(str, both.index)), (str(first), str(second)))


def of_metric(metrics: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the rows of one metric; InputError where a table that has rows lacks it."""
    chosen = metrics[metrics["metric"] == metric]
    if chosen.empty and not metrics.empty:
        raise InputError(f"the metrics have no {metric}; they have {', '.join(sorted(set(metrics['metric'])))}")
    return chosen


def comparisons(
    metrics: pd.DataFrame, mixture: str, rivals: Sequence[str] | None, metric: str
) -> Iterator[tuple[dict[str, object], pd.DataFrame, list[str]]]:
    """Yield each comparison: names of ``GROUPS`` and the metric, its rows, its models (mixture first).

    Models with a value on every factor of the mixture are compared together; a rival that lacks some (a factor's
    matrix, where not all factors have one) follows on its own. ``ORACLE`` is excluded, and groups without the mixture
    or a rival.
    """
    for names, group in of_metric(metrics, metric).groupby(list(GROUPS), sort=False, observed=True):
        present = list(dict.fromkeys(group.dropna(subset=["value"])["model"]))
        others = [model for model in (rivals or present) if model not in (mixture, ORACLE) and model in present]
        if mixture not in present:
            continue
        identity = {**dict(zip(GROUPS, names, strict=True)), "metric": metric}
        whole = complete_models(group, [mixture, *others])
        partial = [model for model in others if model not in whole]
        for models in (whole, *([mixture, model] for model in partial)):
            if len(models) > 1:
                yield identity, group, models


def complete_models(metrics: pd.DataFrame, models: Sequence[str]) -> list[str]:
    """Return the models that have a value on every factor that the first one has."""
    kept = metrics.dropna(subset=["value"])
    factors = {model: set(part) for model, part in kept.groupby("model", observed=True)["factor"]}
    return [model for model in models if factors.get(models[0], set()) <= factors.get(model, set())]


def oriented(values: np.ndarray, metric: str) -> np.ndarray:
    """Return values of a metric, negated where lower is better."""
    return -values if metric in LOWER_IS_BETTER else values
