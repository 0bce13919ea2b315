"""A linear mixed model of AUROC: models fixed; factors, and trainings of models, random.

A training is one model with one seed, and is met on every factor. Factors × models is a random effect of its own:
it is what makes two models differ on one factor and not on another, and it is the error of their comparison.
"""

import logging
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams
from statsmodels.tools.sm_exceptions import ConvergenceWarning, SingularMatrixWarning

from tfbs_moe.errors import InputError
from tfbs_moe.statistics.rounding import settled, varies

log = logging.getLogger(__name__)

FEWEST_FACTORS = 3
COMPONENTS = ("factor", "factor_model", "training", "residual")
FORMULAS = {
    "factor": "0 + C(factor)",
    "factor_model": "0 + C(factor):C(model)",
    "training": "0 + C(model):C(seed)",
}
ALWAYS = ("factor", "residual")
# Where the factor's component is put at or below zero, it starts this far above, as a share of the residual.
LEAST_SHARE = 1e-4


@dataclass(frozen=True, eq=False)
class MixedFit:
    """A fitted mixed model of k models.

    Attributes:
        models: names, the reference (the mixture) first.
        factors: number of factors.
        differences: float (k − 1,), the reference minus each other model.
        errors: float (k − 1,), their standard errors.
        statistic: F of all differences together.
        df_error: degrees of freedom of a difference and of the denominator of F (Satterthwaite's, from the
            variance components); the numerator's are k − 1.
        p: of F.
        components: variance of factor, factor × model, training and residual, in the squared unit of the values.
        converged: whether the optimiser found a maximum of the restricted likelihood.
    """

    models: tuple[str, ...]
    factors: int
    differences: np.ndarray
    errors: np.ndarray
    statistic: float
    df_error: float
    p: float
    components: dict[str, float]
    converged: bool


def fit_mixed(values: pd.DataFrame, models: list[str]) -> MixedFit | None:
    """Fit value ~ model + (1 | factor) + (1 | factor : model) + (1 | model : seed) by restricted likelihood.

    With one seed per model the last two terms cannot be told from the residual and are left out, and so they are where
    one model alone has several, whose mean is taken then. Left out is also a term whose variance the mean squares put
    at zero or below, where the likelihood has its maximum at zero; where models have one seed or several, it is the
    mean squares of those with several that say so.

    Args:
        values: columns ``factor``, ``model``, ``seed``, ``value``; one row each, on the factors that
            every model has.
        models: the reference first.

    Returns:
        The fit, or None with fewer than three factors or where nothing is left to vary once factors and models are
        taken out, and there is no error to hold a difference against.

    Raises:
        InputError: a model has no value.
    """
    rows = values[values["model"].isin(models)]
    absent = [model for model in models if model not in set(rows["model"])]
    if absent:
        raise InputError(f"no value of {', '.join(absent)} for the mixed model")
    factors = rows["factor"].nunique()
    if factors < FEWEST_FACTORS:
        return None
    seeds = rows.groupby("model", observed=True)["seed"].nunique().reindex(models)
    several = [model for model in models if seeds[model] > 1]
    if len(several) < 2:
        rows = rows.groupby(["factor", "model"], observed=True)["value"].mean().reset_index().assign(seed=0)
        seeds[:], several = 1, models
    spread, cells = float(rows["value"].std()), _cells(rows, models)
    left = cells - cells.mean(axis=(0, 2), keepdims=True) - cells.mean(axis=(1, 2), keepdims=True)
    if not varies(settled(left.ravel())):
        return None
    # In units of their own spread the likelihood is well scaled.
    estimates = moments(_cells(rows[rows["model"].isin(several)], several))
    start = {name: value / spread**2 for name, value in estimates.items() if name in ALWAYS or value > 0}
    with warnings.catch_warnings():
        # What the warnings say is in ``converged``, which is told on.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", SingularMatrixWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            fit = _fit(rows.assign(value=rows["value"] / spread), models, start)
        except np.linalg.LinAlgError as error:
            log.warning("the mixed model of %s cannot be fitted (%s)", ", ".join(models), error)
            return None
    if not fit.converged:
        log.warning("the mixed model of %s did not converge; take its numbers with caution", ", ".join(models))
    # statsmodels orders variance components by name, and so does ``_terms``.
    found = dict(zip(_terms(start), np.asarray(fit.vcomp), strict=True)) | {"residual": float(fit.scale)}
    components = {name: float(found.get(name, 0.0)) * spread**2 for name in COMPONENTS}
    covariance = np.asarray(fit.cov_params())[1 : len(models), 1 : len(models)] * spread**2
    differences = -np.asarray(fit.fe_params)[1:] * spread
    df = _satterthwaite(components, factors, seeds.to_numpy(dtype=float))
    statistic = float(differences @ np.linalg.solve(covariance, differences)) / len(differences)
    return MixedFit(
        models=tuple(models),
        factors=factors,
        differences=differences,
        errors=np.sqrt(np.diag(covariance).clip(0)),
        statistic=statistic,
        df_error=df,
        p=float(stats.f.sf(statistic, len(differences), df)),
        components=components,
        converged=bool(fit.converged),
    )


def moments(cells: np.ndarray) -> dict[str, float]:
    """Estimate the variance components from mean squares: where all are positive, they are the REML estimates.

    Args:
        cells: float (factors, models, seeds), complete.

    Returns:
        Components by name; without ``factor_model`` and ``training`` where there is one seed.
    """
    factors, models, seeds = cells.shape
    mean = cells.mean(axis=2)
    by_model, by_factor = mean.mean(axis=0), mean.mean(axis=1)
    left = mean - by_model - by_factor[:, None] + mean.mean()
    of_factor = models * seeds * by_factor.var(ddof=1)
    of_interaction = seeds * float((left**2).sum()) / ((factors - 1) * (models - 1))
    if seeds == 1:
        return {"factor": (of_factor - of_interaction) / models, "residual": of_interaction}
    by_training = cells.mean(axis=0) - by_model[:, None]
    of_training = factors * float((by_training**2).sum()) / (models * (seeds - 1))
    within = cells - mean[:, :, None] - by_training[None]
    residual = float((within**2).sum()) / ((factors - 1) * models * (seeds - 1))
    return {
        "factor": (of_factor - of_interaction) / (models * seeds),
        "factor_model": (of_interaction - residual) / seeds,
        "training": (of_training - residual) / factors,
        "residual": residual,
    }


def _cells(rows: pd.DataFrame, models: list[str]) -> np.ndarray:
    """Return values as factors × models × seeds; what is missing takes the mean of its factor and model.

    It serves to find starting values and degrees of freedom; the likelihood sees the rows themselves.
    """
    wide = rows.pivot_table(index=["factor", "model"], columns="seed", values="value")
    filled = wide.apply(lambda row: row.fillna(row.mean()), axis=1).reindex(
        pd.MultiIndex.from_product([wide.index.unique("factor"), models])
    )
    return filled.to_numpy().reshape(-1, len(models), filled.shape[1])


def _terms(start: dict[str, float]) -> list[str]:
    return sorted(name for name in start if name != "residual")


def _fit(rows: pd.DataFrame, models: list[str], start: dict[str, float]) -> Any:
    """Fit by restricted likelihood; one group holds all rows, because factors and trainings cross."""
    data = rows[["value"]].assign(group=1, **rows[["factor", "model", "seed"]].astype(str))
    columns = [f"x{index}" for index in range(1, len(models))]
    for column, model in zip(columns, models[1:], strict=True):
        data[column] = (rows["model"] == model).astype(float)
    variances = {name: FORMULAS[name] for name in _terms(start)}
    mixed = MixedLM.from_formula("value ~ " + " + ".join(columns), groups="group", vc_formula=variances, data=data)
    floor = LEAST_SHARE * max(start["residual"], np.finfo(float).tiny)
    ratios = np.array([max(start[name], floor) / max(start["residual"], floor) for name in variances])
    guess = MixedLMParams.from_components(fe_params=np.zeros(len(models)), cov_re=np.zeros((0, 0)), vcomp=ratios)
    return mixed.fit(reml=True, start_params=guess)


def _satterthwaite(components: dict[str, float], factors: int, seeds: np.ndarray) -> float:
    """Return the degrees of freedom of a difference of two models with ``seeds`` (k,), from its mean squares."""
    residual, models, each = components["residual"], len(seeds), float(stats.hmean(seeds))
    interaction = residual + each * components["factor_model"]
    training = residual + factors * components["training"]
    df_interaction = (factors - 1) * (models - 1)
    df_training = float((seeds - 1).sum())
    if df_training <= 0 or components["training"] == 0:
        return float(df_interaction)
    df_residual = (factors - 1) * df_training
    combined = interaction + training - residual
    spread = interaction**2 / df_interaction + training**2 / df_training + residual**2 / df_residual
    return max(1.0, combined**2 / spread) if spread > 0 else math.inf
