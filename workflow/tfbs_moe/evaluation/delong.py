"""The variance of an AUROC, and the covariance of several, from ranks alone.

DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837, computed from midranks as in Sun and Xu (2014), IEEE Signal
Process. Lett. 21:1389. A positive and the negatives made from it form a cluster, as in Obuchowski (1997), Biometrics
53:567; without clusters the two are the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.bootstrap import resampling_units
from tfbs_moe.evaluation.evaluate import ALL, FEWEST_ROWS, IDENTITY, LEVEL
from tfbs_moe.evaluation.intervals import auroc_interval
from tfbs_moe.evaluation.metrics import AUROC
from tfbs_moe.evaluation.scores import Scores

DELONG_COLUMNS = (
    "protocol",
    "model",
    "seed",
    "experiment",
    "factor",
    "cell",
    "set",
    "stratum",
    "negatives",
    "rows",
    "auroc",
    "standard_error",
    "lower",
    "upper",
    "n",
    "n_positive",
    "clusters",
)

_DIGITS = 12
_NOISE = 1e-12


@dataclass(frozen=True, eq=False)
class Aurocs:
    """AUROCs of K models on the same examples."""

    value: np.ndarray  # float (K,)
    covariance: np.ndarray  # float (K, K), over new test sets of this size; the models stay fixed
    clusters: str  # the units of ``resampling_units``, in words

    def contrast(self, weights: np.ndarray) -> tuple[float, float]:
        """Return a weighted sum of the AUROCs, weights (K,), and its standard error."""
        variance = float(weights @ self.covariance @ weights)
        # For equal models the difference and its error are zero but for rounding.
        least = _NOISE * float(np.abs(weights) @ np.abs(self.covariance) @ np.abs(weights))
        difference = round(float(weights @ self.value), _DIGITS)
        return difference, float(np.sqrt(variance)) if variance > least else 0.0


def delong(label: np.ndarray, logit: np.ndarray, pair: np.ndarray) -> Aurocs:
    """Return the AUROCs, and their covariance, of logits (K, N) of K models on examples ``label`` (N,), bool.

    ``pair`` (N,) is as in ``resampling_units``. Raises InputError with fewer than two positives or two negatives.
    """
    positives, negatives = int(label.sum()), int((~label).sum())
    if min(positives, negatives) < 2:
        raise InputError(
            f"DeLong's variance needs two bound and two unbound rows; there are {positives} and {negatives}"
        )
    every = stats.rankdata(logit, axis=1)
    # Fraction of negatives below each positive, and of positives above each negative; ties count half.
    above = (every[:, label] - stats.rankdata(logit[:, label], axis=1)) / negatives
    below = 1 - (every[:, ~label] - stats.rankdata(logit[:, ~label], axis=1)) / positives
    value = above.mean(axis=1)
    units = resampling_units(label, pair)
    count = sum(units.sizes)
    of_positives = _cluster_sums((above - value[:, None]) / positives, units.unit[label], count)
    of_negatives = _cluster_sums((below - value[:, None]) / negatives, units.unit[~label], count)
    mixed = of_positives @ of_negatives.T
    covariance = (
        _small_sample(len(np.unique(units.unit[label]))) * of_positives @ of_positives.T
        + _small_sample(len(np.unique(units.unit[~label]))) * of_negatives @ of_negatives.T
        + _small_sample(count) * (mixed + mixed.T)
    )
    return Aurocs(value, covariance, units.resampled)


def delong_table(
    scores: Scores,
    identity: Mapping[str, object],
    row_sets: Mapping[str, np.ndarray] | None = None,
    *,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Return AUROC, standard error and interval of every model × seed × row set, columns ``DELONG_COLUMNS``.

    ``row_sets`` maps names to masks (N,); None takes all examples. Values are missing where a row set has fewer than
    two examples of a class, intervals where it has fewer than ``FEWEST_ROWS``.
    """
    records: list[dict[str, object]] = []
    for rows, mask in (row_sets or {ALL: np.ones(len(scores.row), dtype=bool)}).items():
        part = scores.rows(mask)
        counts = {"n": len(part.row), "n_positive": int(part.label.sum())}
        enough = min(counts["n_positive"], counts["n"] - counts["n_positive"]) >= 2
        found = delong(part.label, part.logit, part.pair) if enough else None
        if found is not None:
            errors = np.sqrt(np.diag(found.covariance).clip(0))
            classes = (counts["n_positive"], counts["n"] - counts["n_positive"])
            ends = auroc_interval(found.value, errors, *classes, level)
            lower, upper = ends if min(classes) >= FEWEST_ROWS[AUROC] else np.full_like(ends, np.nan)
        for index, (model, seed) in enumerate(part.models):
            record = {name: identity[name] for name in IDENTITY} | {"model": model, "seed": seed, "rows": rows} | counts
            if found is not None:
                record |= {"auroc": found.value[index], "standard_error": errors[index], "clusters": found.clusters}
                record |= {"lower": lower[index], "upper": upper[index]}
            records.append(record)
    return pd.DataFrame(records, columns=list(DELONG_COLUMNS))


def _cluster_sums(values: np.ndarray, unit: np.ndarray, count: int) -> np.ndarray:
    """Sum values (K, M) within clusters: (K, count)."""
    return np.stack([np.bincount(unit, weights=row, minlength=count) for row in values])


def _small_sample(clusters: int) -> float:
    return clusters / (clusters - 1) if clusters > 1 else 1.0
