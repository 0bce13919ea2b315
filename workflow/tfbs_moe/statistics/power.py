"""How many factors a study needs to detect a given difference at the observed variance between factors."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit
from statsmodels.stats.proportion import proportion_confint

from tfbs_moe.numeric import varies
from tfbs_moe.runtime import rng
from tfbs_moe.statistics.units import UNIT, comparisons, factor_table

EFFECTS = (0.01, 0.02)
GRID = (4, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 70, 100, 150, 200, 300, 500)
TARGET = 0.8
STUDIES = 2000
FEWEST = 3
POWER_COLUMNS = (
    "protocol", "set", "negatives", "rows", "metric", "comparison", "unit", "n_observed", "spread", "effect", "n",
    "power", "lower", "upper", "enough", "sentence",
)  # fmt: skip


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
