"""Models compared with the factor as the unit: the analysis to draw conclusions from.

One factor is one observation; seeds, cells and test sequences within it make that observation more precise and add
none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit
from statsmodels.stats.proportion import proportion_confint

from tfbs_moe.errors import InputError
from tfbs_moe.numeric import varies
from tfbs_moe.runtime import rng
from tfbs_moe.statistics.hypothesis_tests.assumptions import assumption_results
from tfbs_moe.statistics.hypothesis_tests.ranks import rank_table
from tfbs_moe.statistics.hypothesis_tests.results import Result, as_table
from tfbs_moe.statistics.mixtures import background_shares
from tfbs_moe.statistics.omnibus import omnibus_results
from tfbs_moe.statistics.pairwise import NEMENYI, adjusted, margin_results, pairwise_results
from tfbs_moe.statistics.units import (
    GROUPS,
    ORACLE,
    UNIT,
    comparisons,
    complete_models,
    factor_table,
    of_metric,
    oriented,
)

SMALLEST = 2
ALL_SETS = "all"  # set of the ranks over all test factors
EFFECTS = (0.01, 0.02)
GRID = (4, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 70, 100, 150, 200, 300, 500)
TARGET = 0.8
STUDIES = 2000
FEWEST = 3
POWER_COLUMNS = (
    "protocol", "set", "negatives", "rows", "metric", "comparison", "unit", "n_observed", "spread", "effect", "n",
    "power", "lower", "upper", "enough", "sentence",
)  # fmt: skip


@dataclass(frozen=True)
class ComparisonSettings:
    """How models are compared over factors; InputError where a setting is out of range."""

    level: float = 0.95  # of every interval
    # Largest negligible difference (equivalence, non-inferiority), set before results are seen
    margin: float = 0.01
    effects: Sequence[float] = EFFECTS  # true differences whose power is simulated
    target: float = TARGET  # power that counts as enough

    def __post_init__(self) -> None:
        if not 0.5 < self.level < 1:
            raise InputError(f"the level of intervals must lie between 0.5 and 1; it is {self.level}")
        if not self.margin > 0:
            raise InputError(f"the margin must be above 0; it is {self.margin}")
        if not 0 < self.target < 1:
            raise InputError(f"the power to reach must lie between 0 and 1; it is {self.target}")


def factor_tables(
    metrics: pd.DataFrame, mixtures: Mapping[str, Sequence[str]], settings: ComparisonSettings, seed: int
) -> dict[str, pd.DataFrame]:
    """Build the tables that compare models over factors.

    They are ``factors``, ``assumptions``, ``ranks``, ``power`` and ``background``.

    ``mixtures`` are the models of interest, by protocol; InputError where a protocol has no metrics.
    """
    found: dict[str, list[pd.DataFrame]] = {"factors": [], "assumptions": [], "power": []}
    for protocol, models in mixtures.items():
        own = metrics[metrics["protocol"] == protocol]
        for mixture in models:
            found["factors"].append(compare_models(own, mixture, settings=settings))
            found["assumptions"].append(check_assumptions(own, mixture))
            found["power"].append(
                power_table(
                    own, mixture, seed=seed, level=settings.level, effects=settings.effects, target=settings.target
                )
            )
    tables = {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}
    tables["background"] = background_shares(metrics, mixtures)
    return tables | {"ranks": rank_models(metrics, level=settings.level)}


def compare_models(
    metrics: pd.DataFrame,
    mixture: str,
    rivals: Sequence[str] | None = None,
    metric: str = "auroc",
    settings: ComparisonSettings | None = None,
) -> pd.DataFrame:
    """Compare models over factors, for each protocol, set, kind of negatives and row set.

    Per group: three omnibus tests (repeated-measures ANOVA, Friedman, mixed model); for each rival the paired t test,
    the Wilcoxon test and the mixed-model contrast of mixture − rival, Holm-adjusted over all rivals, including those
    that lack some factors; Nemenyi's test; effect sizes; equivalence and non-inferiority.
    ``headline`` marks the omnibus and the pairwise test that the rule of ``assumptions`` chose.

    ``mixture`` is the model of interest; ``rivals`` None means all other models of the group.
    """
    settings = settings or ComparisonSettings()
    families: dict[tuple[object, ...], tuple[dict[str, object], list[Result]]] = {}
    for identity, group, models in comparisons(metrics, mixture, rivals, metric):
        table = factor_table(group, models)
        _, family = families.setdefault(tuple(identity.values()), (identity, []))
        whole, mixed = omnibus_results(table, group, metric, settings.level)
        results = [*whole, *pairwise_results(table, mixed, metric, settings.level)]
        results += margin_results(table, metric, settings.level, settings.margin)
        # A rival compared on its own is ranked among no others.
        family += [result for result in results if not family or result.test != NEMENYI]
    tables = [as_table(adjusted(results, metric, settings.level), identity) for identity, results in families.values()]
    return pd.concat(tables, ignore_index=True) if tables else as_table([], {})


def check_assumptions(
    metrics: pd.DataFrame, mixture: str, rivals: Sequence[str] | None = None, metric: str = "auroc"
) -> pd.DataFrame:
    """Check what ``compare_models`` assumes; see ``tfbs_moe.statistics.hypothesis_tests.assumptions``."""
    tables = [
        as_table(assumption_results(factor_table(group, models), metric), identity)
        for identity, group, models in comparisons(metrics, mixture, rivals, metric)
    ]
    return pd.concat(tables, ignore_index=True) if tables else as_table([], {})


def rank_models(
    metrics: pd.DataFrame, models: Sequence[str] | None = None, metric: str = "auroc", level: float = 0.95
) -> pd.DataFrame:
    """Return the ``rank_table`` of each group (protocol × set × negatives × row set), and of all sets together.

    Where a lower metric is better, rank 1 is the lowest; ``level`` is 1 − the family-wise error of Nemenyi's test. A
    group with fewer than two models or factors has no row.
    """
    columns = [*GROUPS, "metric", "model", "mean_rank", "n", "critical_difference", "groups"]
    tables = [pd.DataFrame(columns=columns)]
    chosen = of_metric(metrics, metric)
    everything = pd.concat([chosen, chosen.assign(set=ALL_SETS)], ignore_index=True)
    for names, group in everything.groupby(list(GROUPS), sort=False, observed=True):
        present = [str(name) for name in dict.fromkeys(group.dropna(subset=["value"])["model"])]
        ranked = [name for name in (models or present) if name in present and name != ORACLE]
        # A model that lacks factors of the most complete one is not ranked.
        widest = group.dropna(subset=["value"]).groupby("model", sort=False)["factor"].nunique().reindex(ranked)
        ranked = complete_models(group, [str(widest.idxmax()), *ranked])[1:] if ranked else []
        table = factor_table(group, ranked) if ranked else None
        if table is None or min(table.values.shape) < SMALLEST:
            continue
        ranks = rank_table(oriented(table.values, metric), table.models, level)
        named = pd.DataFrame([names] * len(ranks), columns=list(GROUPS)).assign(metric=metric)
        tables.append(pd.concat([named, ranks], axis=1))
    return pd.concat(tables[1:] or tables, ignore_index=True)


def simulated_power(
    effect: float, spread: float, count: int, level: float, stream: np.random.Generator, studies: int = STUDIES
) -> float:
    """Return the fraction of simulated studies in which the paired t test detects a mean difference ``effect``.

    ``spread`` is the standard deviation of the difference over factors, ``count`` the number of factors of a study.
    """
    # Mean and variance of normal differences are independent: a study takes two random numbers, whatever its size.
    mean = stream.normal(effect, spread / np.sqrt(count), studies)
    error = spread * np.sqrt(stream.chisquare(count - 1, studies) / (count - 1) / count)
    statistic = mean / error
    return float((np.abs(statistic) > stdtrit(count - 1, (1 + level) / 2)).mean())


def power_table(
    metrics: pd.DataFrame,
    mixture: str,
    rivals: Sequence[str] | None = None,
    metric: str = "auroc",
    *,
    seed: int,
    level: float = 0.95,
    effects: Sequence[float] = EFFECTS,
    grid: Sequence[int] = GRID,
    target: float = TARGET,
) -> pd.DataFrame:
    """Simulate the power of larger studies, for each comparison of the mixture with a rival.

    One row per comparison × effect × number of factors in ``grid``: power with its Monte Carlo interval; ``enough``
    marks the smallest number that reaches ``target``. Comparisons on fewer than three factors, or without variance,
    have no row.
    """
    records = []
    for identity, group, models in comparisons(metrics, mixture, rivals, metric):
        table = factor_table(group, models)
        for other in range(1, len(models)):
            differences = table.differences(other)
            if len(differences) < FEWEST or not varies(differences):
                continue
            spread = float(differences.std(ddof=1))
            named = {**identity, "comparison": f"{mixture} − {models[other]}", "unit": UNIT}
            named |= {"n_observed": len(differences), "spread": spread}
            for effect in effects:
                stream = rng(seed, "power", *identity.values(), mixture, models[other], effect)
                records += _curve(named, effect, spread, level, grid, target, stream)
    return pd.DataFrame(records, columns=list(POWER_COLUMNS))


def _curve(
    named: dict[str, object],
    effect: float,
    spread: float,
    level: float,
    grid: Sequence[int],
    target: float,
    stream: np.random.Generator,
) -> list[dict[str, object]]:
    powers = [simulated_power(effect, spread, count, level, stream) for count in grid]
    needed = next((count for count, power in zip(grid, powers, strict=True) if power >= target), None)
    wanted = f"more than {grid[-1]}"
    if needed:
        wanted = f"at most {needed}" if needed == grid[0] else f"about {needed}"
    sentence = (
        f"To see a true difference of {effect:g} in {named['metric']} ({named['comparison']}) with probability "
        f"{target:g}, at the observed spread of {spread:.2g} between factors, a study needs {wanted} factors."
    )
    detected = np.round(np.array(powers) * STUDIES)
    lowest, highest = proportion_confint(detected, STUDIES, 1 - level, method="wilson")
    # Rounding misses 0 and 1.
    lowest, highest = np.where(detected == 0, 0.0, lowest), np.where(detected == STUDIES, 1.0, highest)
    records = []
    for count, power, lower, upper in zip(grid, powers, lowest, highest, strict=True):
        found = {"effect": effect, "n": count, "power": power, "lower": lower, "upper": upper}
        records.append({**named, **found, "enough": count == needed, "sentence": sentence})
    return records
