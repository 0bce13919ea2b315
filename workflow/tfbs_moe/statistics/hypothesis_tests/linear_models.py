"""Analysis of variance, one-way and with repeated measures, and a linear mixed model of AUROC.

In the mixed model models are fixed; factors, and trainings of models, random. A training is one model with one seed,
evaluated on every factor. Factor × model is a random effect of its own: how much two models differ from factor to
factor, which is the error of their comparison. Every model has equally many trainings, so that mean squares hold all
that the restricted likelihood uses (Searle, Casella and McCulloch 1992, §4.7).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from tfbs_moe.errors import InputError
from tfbs_moe.numeric import NOISE, settled, varies

# All sign flips of up to 12 units; of more units as many random ones.
MOST_SIGNS = 2**12
FEWEST_FACTORS = 3  # of a mixed model


@dataclass(frozen=True)
class Anova:
    """An F test and its components."""

    statistic: float  # F; NaN without error variance
    df: float  # numerator
    df_error: float  # denominator
    p: float  # of the F distribution; NaN where F is
    sum_between: float  # sum of squares of the effect
    sum_error: float  # sum of squares of the error
    epsilon: float = 1.0  # Greenhouse–Geisser; 1 in a one-way design
    p_signs: float = math.nan  # of repeated measures: p over sign flips of units (``_sign_p``)

    @property
    def eta_squared(self) -> float:
        """η² = effect / (effect + error); partial η² under repeated measures."""
        total = self.sum_between + self.sum_error
        return self.sum_between / total if total > 0 else math.nan


def one_way(groups: Sequence[np.ndarray]) -> Anova:
    """One-way analysis of variance of two groups or more; InputError without replicates."""
    values = [np.asarray(group, dtype=np.float64) for group in groups]
    count = sum(map(len, values))
    if len(values) < 2 or min(map(len, values)) < 1 or count <= len(values):
        raise InputError(f"a one-way ANOVA needs two groups and replicates in them; got {[len(v) for v in values]}")
    grand = np.concatenate(values).mean()
    between = float(sum(len(v) * (v.mean() - grand) ** 2 for v in values))
    within = float(sum(((v - v.mean()) ** 2).sum() for v in values))
    return _anova(between, within, len(values) - 1, count - len(values), np.concatenate(values))


def repeated_measures(values: np.ndarray) -> Anova:
    """Repeated-measures ANOVA of values (n units, k treatments); InputError where n or k is below 2.

    ε is Greenhouse and Geisser's (1959). ``p_signs`` needs neither sphericity nor normality: with two treatments it is
    that of F, with more that of sign flips.
    """
    units, treatments = values.shape
    if units < 2 or treatments < 2:
        raise InputError(f"repeated measures need two units and two treatments; got {units} and {treatments}")
    centred = values - values.mean(axis=1, keepdims=True)
    effect = centred.mean(axis=0)
    between = float(units * (effect**2).sum())
    error = float(((centred - effect) ** 2).sum())
    found = _anova(between, error, treatments - 1, (units - 1) * (treatments - 1), values, sphericity(values))
    if treatments == 2 or math.isnan(found.statistic):
        return replace(found, p_signs=found.p)
    return replace(found, p_signs=_sign_p(centred))


def _sign_p(centred: np.ndarray) -> float:
    """Return p over sign flips of whole units of centred values (n units, k treatments), each unit's mean removed.

    Exact for differences with symmetric distributions, whatever their variances and correlations (Fisher 1935, §21); F
    with Greenhouse and Geisser's degrees of freedom rejects in 0 to 3 % of studies of few units
    (``benchmarks/levels.py``).
    """

    def between(signs: np.ndarray, axis: int) -> np.ndarray:
        """Return a statistic that F increases with, since the total sum of squares is fixed; ``axis`` is the last."""
        return np.asarray(((signs @ centred) ** 2).sum(axis=-1))

    test = stats.permutation_test(
        (np.ones(len(centred)),),
        between,
        permutation_type="samples",
        vectorized=True,
        n_resamples=MOST_SIGNS,
        alternative="greater",
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


def sphericity(values: np.ndarray) -> float:
    """Return Greenhouse and Geisser's ε of values (units, treatments): 1 under sphericity, at least 1 / (k − 1)."""
    treatments = values.shape[1]
    if treatments == 2:
        return 1.0
    covariance = np.atleast_2d(np.cov(values, rowvar=False))
    centre = np.eye(treatments) - 1 / treatments
    centred = centre @ covariance @ centre
    squared = float((centred**2).sum())
    trace = float(np.trace(centred))
    if not trace > NOISE * float((values**2).sum()):
        return 1.0
    # Rounding may exceed the bounds.
    return min(max(trace**2 / ((treatments - 1) * squared), 1 / (treatments - 1)), 1.0)


def _anova(between: float, error: float, df: int, df_error: int, values: np.ndarray, epsilon: float = 1.0) -> Anova:
    noise = NOISE * float((values**2).sum())
    between, error = (total if total > noise else 0.0 for total in (between, error))
    statistic = (between / df) / (error / df_error) if error > 0 else math.nan
    p = float(stats.f.sf(statistic, df, df_error))
    return Anova(statistic, df, df_error, p, between, error, epsilon)


@dataclass(frozen=True, eq=False)
class MixedFit:
    """A fitted mixed model of k models."""

    models: tuple[str, ...]  # the reference (the mixture) first
    factors: int  # how many
    seeds: int  # trainings per model
    differences: np.ndarray  # (k − 1,), reference minus each other model
    error: float  # standard error of each difference
    statistic: float  # F of all differences
    df_error: float  # Satterthwaite's, from the mean squares; the numerator has k − 1
    p: float  # of F
    components: dict[str, float]  # variance of factor, factor × model, training and residual


def fit_mixed(values: pd.DataFrame, models: list[str]) -> MixedFit | None:
    """Fit value ~ model + (1 | factor) + (1 | factor : model) + (1 | model : seed), from mean squares.

    Only the reference (the first of ``models``) and models with as many trainings take part: others, such as a baseline
    that has nothing to train, do not inform the variance of trainings. Surplus trainings and those not evaluated on
    every factor are dropped. With one seed the last two terms cannot be separated from the residual and are dropped,
    and so is a term whose variance would be zero or below. None with fewer than three factors, where no other model has
    as many trainings, or without residual variance; InputError where a model has no value.

    ``values`` has the columns ``factor``, ``model``, ``seed`` and ``value``, on the factors that every model has.
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
    """Fit values (factors, models, seeds) of three factors or more; None without residual variance."""
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
    """Return values (factors, seeds) by model, of those with at least as many trainings as the first.

    A baseline that has nothing to train has the same value for every seed: it is excluded, unless the first model's
    seeds do not differ either.
    """
    wide = values.pivot_table(index="factor", columns=["model", "seed"], values="value", observed=True)
    every = {model: wide[model].to_numpy() for model in models}
    whole = {model: cells[:, np.isfinite(cells).all(axis=0)] for model, cells in every.items()}
    seeds = whole[models[0]].shape[1]
    alike = {model: cells[:, :seeds] for model, cells in whole.items() if cells.shape[1] >= seeds > 0}
    differ = {model: varies(settled(cells - cells[:, :1]).ravel()) for model, cells in alike.items()}
    return {model: cells for model, cells in alike.items() if differ[model] or not differ[models[0]]}


def _mean_squares(components: dict[str, float], factors: int, models: int, seeds: int) -> list[tuple[float, int]]:
    """Return mean squares (with degrees of freedom) that sum to factors × seeds × variance of a model's mean."""
    of_interaction, of_training, of_rest = (components[name] for name in ("factor_model", "training", "residual"))
    interaction = (seeds * of_interaction + of_rest, (factors - 1) * (models - 1))
    training = (factors * of_training + of_rest, models * (seeds - 1))
    residual = (-of_rest, (factors - 1) * models * (seeds - 1))
    if of_training > 0:
        return [interaction, training, residual] if of_interaction > 0 else [training]
    if of_interaction > 0:
        return [interaction]
    # Only the residual varies, and all three estimate it.
    degrees = interaction[1] + training[1] + residual[1]
    return [
        ((interaction[0] * interaction[1] + training[0] * training[1] - residual[0] * residual[1]) / degrees, degrees)
    ]


def moments(cells: np.ndarray) -> dict[str, float]:
    """Estimate variance components from mean squares of cells (factors, models, seeds): REML where all are positive.

    With one seed ``factor_model`` and ``training`` are 0.
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
