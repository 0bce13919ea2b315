"""How a mixture's gate distributes its weight over the experts of a dataset, and whether it collapsed onto one."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tfbs_moe.evaluation.intervals import draw_counts, mean_interval_of_draws, resampling_units
from tfbs_moe.evaluation.metrics_with_intervals import ALL, DRAWS, LEVEL, RESULT_KEYS, draw_stream
from tfbs_moe.evaluation.scores import MIXTURE, WEIGHT, experts_of

# Examples that an interval of a mean weight needs.
FEWEST = 30
LABELS = {"all": (0, 1), "bound": (1,), "unbound": (0,)}
GATE_COLUMNS = (*RESULT_KEYS, "label", "expert", "value", "lower", "upper", "n")


def gate_weights(
    predictions: pd.DataFrame, identity: Mapping[str, object], *, seed: int, draws: int = DRAWS, level: float = LEVEL
) -> pd.DataFrame:
    """Return the mean weight of each expert over all, bound and unbound examples of one dataset.

    Columns ``GATE_COLUMNS``, one row per mixture × seed × label × expert; predictions without weights (no mixture) are
    skipped. Intervals are those of ``mean_interval_of_draws`` on the resamples of ``evaluate``, missing with fewer than
    ``FEWEST`` independent examples.
    """
    experts = experts_of([str(column) for column in predictions.columns])
    weighted = predictions.dropna(subset=[WEIGHT + expert for expert in experts], how="all") if experts else None
    if weighted is None or weighted.empty:
        return pd.DataFrame(columns=list(GATE_COLUMNS))
    mixtures, parts = [], []
    for (model, model_seed), group in weighted.groupby(["model", "seed"], sort=False, observed=True):
        rows = group.sort_values("row", kind="stable")
        own = rows[[WEIGHT + expert for expert in experts]].to_numpy(dtype=np.float64)
        weighed = ~np.isnan(own).any(axis=0)
        mixtures.append((model, model_seed, np.array(experts)[weighed].tolist()))
        parts.append(own[:, weighed])
    # All mixtures share rows and resamples, which are drawn once.
    label, weights = rows["label"].to_numpy(), np.concatenate(parts, axis=1)
    units = resampling_units(label == 1, rows["pair"].to_numpy())
    masks = {name: mask for name, labels in LABELS.items() if (mask := np.isin(label, labels)).any()}
    drawn = {name: [weights[mask].mean(axis=0, keepdims=True)] for name, mask in masks.items()}
    for counts in draw_counts(units, draws, draw_stream(seed, identity, ALL)):
        for name, mask in masks.items():
            drawn[name].append(_weighted_means(counts.T[mask].T, weights[mask]))
    every = {name: np.concatenate(blocks) for name, blocks in drawn.items()}
    records: list[dict[str, object]] = []
    column = 0
    for model, model_seed, present in mixtures:
        for name, mask in masks.items():
            # A pair counts once where positives are resampled with their negatives.
            count, alone = int(mask.sum()), len(np.unique(units.unit[mask]))
            for place, expert in enumerate(present, start=column):
                means = every[name][:, place]
                ends = (np.nan, np.nan) if alone < FEWEST else mean_interval_of_draws(means, alone, level)
                lower, upper = np.clip(ends, 0, 1)
                found = {"value": means[0], "lower": lower, "upper": upper, "n": count}
                who = {"model": model, "seed": model_seed, "label": name, "expert": expert}
                records.append({**identity, **who, **found})
        column += len(present)
    return pd.DataFrame(records, columns=list(GATE_COLUMNS))


def _weighted_means(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean weights (B, K) of examples drawn ``counts`` (B, N) times."""
    drawn = counts.astype(np.float64)
    total = drawn.sum(axis=1, keepdims=True)
    # A resample without such examples has no mean.
    return np.asarray(drawn @ weights / np.where(total > 0, total, np.nan))


# Mean weight of one expert above which a gate has collapsed onto it.
COLLAPSED = 0.95

USE_COLUMNS = ("entropy", "effective_experts", "most_used", "largest_share", "collapsed", "n")


def gate_use(predictions: pd.DataFrame, identity: Mapping[str, object]) -> pd.DataFrame:
    """Measure how evenly each mixture × seed spreads its gate's weight over one dataset, columns ``USE_COLUMNS``.

    ``entropy`` is the mean over examples, relative to uniform weights; ``effective_experts`` is e to the power of the
    mean entropy in nats; ``largest_share`` is the mean weight of the ``most_used`` expert. Models other than mixtures
    are skipped.
    """
    experts = experts_of([str(column) for column in predictions.columns])
    records = []
    for (model, seed), group in predictions.groupby(["model", "seed"], sort=False, observed=True):
        mixture = str(model).startswith(MIXTURE)
        present = [expert for expert in experts if mixture and group[WEIGHT + expert].notna().all()]
        if not present:
            continue
        weights = group[[WEIGHT + expert for expert in present]].to_numpy(dtype=np.float64)
        nats = -(weights * np.log(np.where(weights > 0, weights, 1.0))).sum(axis=1).mean()
        means = weights.mean(axis=0)
        found = {
            "entropy": float(nats / np.log(len(present))) if len(present) > 1 else 0.0,
            "effective_experts": float(np.exp(nats)),
            "most_used": present[int(means.argmax())],
            "largest_share": float(means.max()),
            "collapsed": bool(len(present) > 1 and means.max() > COLLAPSED),
            "n": len(group),
        }
        records.append({**identity, "model": model, "seed": seed, **found})
    return pd.DataFrame(records, columns=[*identity, "model", "seed", *USE_COLUMNS])
