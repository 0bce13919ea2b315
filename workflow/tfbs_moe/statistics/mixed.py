"""A linear mixed model of AUROC: models fixed; factors, and trainings of models, random.

A training is one model with one seed, and is met on every factor. Factors × models is a random effect of its own:
it is what makes two models differ on one factor and not on another, and it is the error of their comparison. Every
model has as many trainings as the others, and then mean squares say all that the restricted likelihood would (Searle,
Casella and McCulloch 1992, §4.7).
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from tfbs_moe.errors import InputError
from tfbs_moe.statistics.rounding import settled, varies

FEWEST_FACTORS = 3


@dataclass(frozen=True, eq=False)
class MixedFit:
    """A fitted mixed model of k models.

    Attributes:
        models: names, the reference (the mixture) first.
        factors: number of factors.
        seeds: number of trainings of each model.
        differences: float (k − 1,), the reference minus each other model.
        error: standard error of each difference.
        statistic: F of all differences together.
        df_error: degrees of freedom of a difference and of the denominator of F (Satterthwaite's, from the
            mean squares); the numerator's are k − 1.
        p: of F.
        components: variance of factor, factor × model, training and residual, in the squared unit of the values.
    """

    models: tuple[str, ...]
    factors: int
    seeds: int
    differences: np.ndarray
    error: float
    statistic: float
    df_error: float
    p: float
    components: dict[str, float]


def fit_mixed(values: pd.DataFrame, models: list[str]) -> MixedFit | None:
    """Fit value ~ model + (1 | factor) + (1 | factor : model) + (1 | model : seed), from mean squares.

    The models are the reference and those with as many trainings as it has: others, such as a control that has nothing
    to train, say nothing of how trainings vary, or not as much. What a model has more, and a training that was not met
    on every factor, is left out.
    With one seed per model the last two terms cannot be told from the residual and are left out, and so is a term
    whose variance would be zero or below.

    Args:
        values: columns ``factor``, ``model``, ``seed``, ``value``; one row each, on the factors that
            every model has.
        models: the reference first.

    Returns:
        The fit, or None with fewer than three factors, where no other model has as many trainings, or where nothing is
        left to vary once factors and models are taken out, and there is no error to hold a difference against.

    Raises:
        InputError: a model has no value.
    """
    rows = values[values["model"].isin(models)]
    absent = [model for model in models if model not in set(rows["model"])]
    if absent:
        raise InputError(f"no value of {', '.join(absent)} for the mixed model")
    trained = trained_alike(rows, models)
    if rows["factor"].nunique() < FEWEST_FACTORS or len(trained) < 2:
        return None
    return fit_cells(np.stack(list(trained.values()), axis=1), tuple(trained))


def fit_cells(cells: np.ndarray, models: tuple[str, ...]) -> MixedFit | None:
    """Fit values (factors, models, seeds), three factors or more; None where nothing is left to vary."""
    left = cells - cells.mean(axis=(0, 2), keepdims=True) - cells.mean(axis=(1, 2), keepdims=True)
    if not varies(settled(left.ravel())):
        return None
    components = moments(cells)
    factors, count, seeds = cells.shape
    means, squares = cells.mean(axis=(0, 2)), _mean_squares(components, factors, count, seeds)
    total = sum(square for square, _ in squares)
    df = max(1.0, total**2 / sum(square**2 / degrees for square, degrees in squares))
    variance = total / (factors * seeds)
    statistic = float(means.var(ddof=1)) / variance
    return MixedFit(
        models=models,
        factors=factors,
        seeds=seeds,
        differences=means[0] - means[1:],
        error=math.sqrt(2 * variance),
        statistic=statistic,
        df_error=df,
        p=float(stats.f.sf(statistic, count - 1, df)),
        components={name: max(value, 0.0) for name, value in components.items()},
    )


def trained_alike(values: pd.DataFrame, models: list[str]) -> dict[str, np.ndarray]:
    """Return values, float (factors, seeds), by model, of those with at least as many trainings as the first.

    A control that has nothing to train has a value for each seed, and the same for all: it is left out, but where the
    first model's do not differ either.
    """
    wide = values.pivot_table(index="factor", columns=["model", "seed"], values="value", observed=True)
    every = {model: wide[model].to_numpy() for model in models}
    whole = {model: cells[:, np.isfinite(cells).all(axis=0)] for model, cells in every.items()}
    seeds = whole[models[0]].shape[1]
    alike = {model: cells[:, :seeds] for model, cells in whole.items() if cells.shape[1] >= seeds > 0}
    differ = {model: varies(settled(cells - cells[:, :1]).ravel()) for model, cells in alike.items()}
    return {model: cells for model, cells in alike.items() if differ[model] or not differ[models[0]]}


def _mean_squares(components: dict[str, float], factors: int, models: int, seeds: int) -> list[tuple[float, int]]:
    """Return the mean squares that add up to factors × seeds × variance of a model's mean, each with its degrees."""
    of_interaction, of_training, of_rest = (components[name] for name in ("factor_model", "training", "residual"))
    interaction = (seeds * of_interaction + of_rest, (factors - 1) * (models - 1))
    training = (factors * of_training + of_rest, models * (seeds - 1))
    residual = (-of_rest, (factors - 1) * models * (seeds - 1))
    if of_training > 0:
        return [interaction, training, residual] if of_interaction > 0 else [training]
    if of_interaction > 0:
        return [interaction]
    # Nothing but the residual varies, and all three estimate it.
    degrees = interaction[1] + training[1] + residual[1]
    return [
        ((interaction[0] * interaction[1] + training[0] * training[1] - residual[0] * residual[1]) / degrees, degrees)
    ]


def moments(cells: np.ndarray) -> dict[str, float]:
    """Estimate the variance components from mean squares: where all are positive, they are the REML estimates.

    Args:
        cells: float (factors, models, seeds), complete.

    Returns:
        Components by name; with one seed ``factor_model`` and ``training`` are 0.
    """
    factors, models, seeds = cells.shape
    mean = cells.mean(axis=2)
    by_model, by_factor = mean.mean(axis=0), mean.mean(axis=1)
    left = mean - by_model - by_factor[:, None] + mean.mean()
    of_factor = models * seeds * float(by_factor.var(ddof=1))
    of_interaction = seeds * float((left**2).sum()) / ((factors - 1) * (models - 1))
    found = {"factor": (of_factor - of_interaction) / (models * seeds)}
    if seeds == 1:
        return found | {"factor_model": 0.0, "training": 0.0, "residual": of_interaction}
    by_training = cells.mean(axis=0) - by_model[:, None]
    of_training = factors * float((by_training**2).sum()) / (models * (seeds - 1))
    within = cells - mean[:, :, None] - by_training[None]
    residual = float((within**2).sum()) / ((factors - 1) * models * (seeds - 1))
    return found | {
        "factor_model": (of_interaction - residual) / seeds,
        "training": (of_training - residual) / factors,
        "residual": residual,
    }
