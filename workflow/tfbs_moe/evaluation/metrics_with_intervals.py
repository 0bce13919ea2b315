"""Metrics and their intervals from the predictions of one dataset."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.intervals import (
    auroc_interval,
    draw_counts,
    logit_interval,
    mean_interval_of_draws,
    percentile_interval,
    resampling_units,
)
from tfbs_moe.evaluation.metrics import (
    AUPRC,
    AUPRC_BASELINE,
    AUROC,
    BRIER,
    LOG_LOSS,
    SENSITIVITY,
    MetricSettings,
    Ranked,
    mean_metrics,
    ranking_metrics,
    row_losses,
    weighted_means,
)
from tfbs_moe.evaluation.scores import UNTRAINED, Scores, read_scores
from tfbs_moe.numeric import auroc
from tfbs_moe.runtime import rng

IDENTITY = ("protocol", "experiment", "factor", "cell", "set", "stratum", "negatives")
# What names a model on a test set, in every table of results.
RESULT_KEYS = ("protocol", "model", "seed", *IDENTITY[1:])
METRIC_COLUMNS = (*RESULT_KEYS, "rows", "metric", "value", "lower", "upper", "n", "n_positive", "resampled")
ALL = "all"
OVERLAP_FREE = "overlap_free"
DRAWS = 1000
LEVEL = 0.95
# Examples of each class that an interval needs to hold its nominal coverage.
FEWEST_ROWS = {AUROC: 30, LOG_LOSS: 50, BRIER: 50, SENSITIVITY: 100, AUPRC: 200}


def evaluate(
    predictions: pd.DataFrame | Scores,
    identity: Mapping[str, object],
    row_sets: Mapping[str, np.ndarray] | None = None,
    *,
    seed: int,
    draws: int = DRAWS,
    level: float = LEVEL,
    settings: MetricSettings | None = None,
) -> pd.DataFrame:
    """Evaluate every model and seed on one dataset, with bootstrap intervals (``metric_intervals``).

    All models, seeds and protocols share the resamples of a dataset and row set, which depend on its name and the root
    ``seed``. Returns one row per model × seed × row set × metric, columns ``METRIC_COLUMNS``. ``predictions`` is the
    table of ``docs/files.md``, ``identity`` holds ``IDENTITY``, and ``row_sets`` maps names to masks (N,) over
    the examples in ascending order; None takes all. A metric is missing where a row set is empty or lacks a class it
    needs. Raises InputError where the predictions are invalid, a mask has the wrong length or the identity lacks a
    name.
    """
    lacking = [name for name in IDENTITY if name not in identity]
    if lacking:
        raise InputError(f"the identity of a dataset lacks {', '.join(lacking)}")
    scores = predictions if isinstance(predictions, Scores) else read_scores(predictions, _name(identity))
    settings = settings or MetricSettings()
    records: list[dict[str, object]] = []
    for rows, mask in (row_sets or {ALL: np.ones(len(scores.row), dtype=bool)}).items():
        if len(mask) != len(scores.row):
            raise InputError(f"{_name(identity)}: row set {rows} has {len(mask)} values for {len(scores.row)} rows")
        part = scores.rows(mask)
        units = resampling_units(part.label, part.pair)
        common = {"rows": rows, "n": len(part.row), "n_positive": int(part.label.sum()), "resampled": units.resampled}
        stream = draw_stream(seed, identity, rows)
        for (model, model_seed), values in zip(part.models, _evaluated(part, draws, stream, settings), strict=True):
            ends = metric_intervals(dict(zip(settings.names, values, strict=True)), part.label, level)
            for index, metric in enumerate(settings.names):
                lower, upper = ends[metric]
                value = {"metric": metric, "value": values[index, 0], "lower": lower, "upper": upper}
                records.append({**identity, "model": model, "seed": model_seed, **common, **value})
    return pd.DataFrame(records, columns=list(METRIC_COLUMNS))


def metric_intervals(
    values: Mapping[str, np.ndarray], label: np.ndarray, level: float
) -> dict[str, tuple[float, float]]:
    """Return the interval of every metric, by the method that holds its nominal coverage (``benchmarks/levels.py``).

    AUROC and AUPRC: t on the logit scale with the standard deviation of the resamples, but Newcombe's where an AUROC is
    0 or 1. Log loss and Brier score: t corrected for the skewness of the resamples. Sensitivity: percentiles of the
    resamples. Each needs ``FEWEST_ROWS`` of each class. The others have none: the calibration error is above 0 by
    chance alone, and more so in resamples; the enrichment of a good model is at or near its upper bound.

    ``values`` holds float (1 + draws,) by metric, the observed value first; ``label`` is bool (N,).
    """
    positives = int(label.sum())
    negatives = len(label) - positives
    fewer, found = min(positives, negatives), {}
    for metric, drawn in values.items():
        value, error = drawn[:1], drawn[1:].std(keepdims=True)
        lower, upper = np.array([np.nan]), np.array([np.nan])
        kind = SENSITIVITY if metric.startswith(SENSITIVITY) else metric
        if metric == AUPRC_BASELINE:
            # Resampling keeps the class sizes.
            lower, upper = value, value
        elif fewer < FEWEST_ROWS.get(kind, np.inf):
            pass
        elif metric == AUROC:
            lower, upper = auroc_interval(value, error, positives, negatives, level)
        elif metric in (LOG_LOSS, BRIER):
            lower[0], upper[0] = mean_interval_of_draws(drawn, fewer, level)
        elif metric == AUPRC:
            lower, upper = logit_interval(value, error, fewer, level)
        elif error > 0:
            lower, upper = percentile_interval(drawn[None, 1:], level)
        found[metric] = float(lower[0]), float(upper[0])
    return found


def draw_stream(seed: int, identity: Mapping[str, object], rows: str) -> np.random.Generator:
    """Return the random generator of one dataset's and row set's resamples, the same for all models."""
    return rng(seed, "bootstrap", identity["experiment"], identity["negatives"], rows)


def auroc_draws(scores: Scores, draws: int, stream: np.random.Generator) -> np.ndarray:
    """Return the AUROC of every model in every bootstrap resample, float (K, draws)."""
    ranked = [Ranked(scores.label, logit) for logit in scores.logit]
    settings = MetricSettings()
    blocks = draw_counts(resampling_units(scores.label, scores.pair), draws, stream)
    parts = [[ranking_metrics(model, weights, settings)[AUROC] for model in ranked] for weights in blocks]
    return np.concatenate([np.stack(part) for part in parts], axis=1)


def _evaluated(
    scores: Scores, draws: int, stream: np.random.Generator, settings: MetricSettings
) -> Iterator[np.ndarray]:
    """Yield, per model, float (metrics, 1 + draws): the observed value, then the resamples."""
    if not len(scores.row):
        yield from (np.full((len(settings.names), 1 + draws), np.nan) for _ in scores.models)
        return
    ranked = [Ranked(scores.label, logit) for logit in scores.logit]
    losses = [
        row_losses(scores.label, logit, probability, settings.calibration_bins)
        for logit, probability in zip(scores.logit, scores.probability, strict=True)
    ]
    every_row = np.ones((1, len(scores.row)), dtype=np.uint8)
    values = np.full((len(ranked), len(settings.names), 1 + draws), np.nan)
    for model, loss, found in zip(ranked, losses, values, strict=True):
        metrics = ranking_metrics(model, every_row, settings) | mean_metrics(loss, every_row)
        found[:, 0] = [metrics[name][0] for name in settings.names]
    # One matrix product for all models, without the residuals of the calibration error, which has no interval.
    mean_names, columns = [LOG_LOSS, BRIER], np.concatenate([loss[:, :2] for loss in losses], axis=1)
    place = {name: index for index, name in enumerate(settings.names)}
    done = 1
    for weights in draw_counts(resampling_units(scores.label, scores.pair), draws, stream):
        drawn = slice(done, done + len(weights))
        means = weighted_means(columns, weights).reshape(len(weights), len(ranked), 2)
        for number, (model, found) in enumerate(zip(ranked, values, strict=True)):
            metrics = ranking_metrics(model, weights, settings) | dict(zip(mean_names, means[:, number].T, strict=True))
            for name, value in metrics.items():
                found[place[name], drawn] = value
        done += len(weights)
    yield from values


def _name(identity: Mapping[str, object]) -> str:
    return f"predictions of {identity['experiment']} ({identity['negatives']}, protocol {identity['protocol']})"


SEED_AVERAGE_COLUMNS = ("rows", "seeds", "auroc", "auroc_sd", "auroc_averaged", "n")
# One training has neither a standard deviation nor an average.
LEAST_SEEDS = 2


def seed_averages(scores: Scores, identity: Mapping[str, object], row_sets: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Compare single trainings with the mean of the logits of all seeds on one test set, per model × row set.

    ``auroc`` and ``auroc_sd`` are mean and standard deviation over single seeds, ``auroc_averaged`` is that of the mean
    logits; all are missing where a class is. Models with one seed, or that nobody trains, are skipped.
    """
    records = []
    for rows, mask in row_sets.items():
        part = scores.rows(mask)
        both = len(np.unique(part.label)) > 1
        for model in part.names():
            logits = np.stack([part.of(model, seed) for seed in part.seeds(model)])
            if len(logits) < LEAST_SEEDS or model in UNTRAINED:
                continue
            single = [auroc(part.label, logit) if both else np.nan for logit in logits]
            averaged = auroc(part.label, logits.mean(axis=0)) if both else np.nan
            found = (rows, len(logits), np.mean(single), np.std(single, ddof=1), averaged, len(part.row))
            records.append({**identity, "model": model, **dict(zip(SEED_AVERAGE_COLUMNS, found, strict=True))})
    return pd.DataFrame(records, columns=[*identity, "model", *SEED_AVERAGE_COLUMNS])
