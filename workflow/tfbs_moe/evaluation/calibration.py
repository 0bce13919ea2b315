"""Reliability curves: the observed fraction of bound examples against the predicted probability."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from tfbs_moe.evaluation.evaluate import IDENTITY, LEVEL
from tfbs_moe.evaluation.metrics import calibration_bin
from tfbs_moe.evaluation.scores import Scores

BINS = 10
RELIABILITY_COLUMNS = (
    "protocol",
    "model",
    "seed",
    "experiment",
    "factor",
    "cell",
    "set",
    "stratum",
    "negatives",
    "bin",
    "bin_lower",
    "bin_upper",
    "predicted",
    "observed",
    "lower",
    "upper",
    "n",
)


def reliability(
    scores: Scores, identity: Mapping[str, object], *, bins: int = BINS, level: float = LEVEL
) -> pd.DataFrame:
    """Return the reliability curve of every model and seed on one dataset, one row per model × seed × non-empty bin.

    Bins have equal width over the predicted probability. A row holds the mean predicted probability and the observed
    fraction of bound examples with its exact, conservative interval (Clopper and Pearson 1934). A model without
    probabilities has no rows.
    """
    records: list[dict[str, object]] = []
    for (model, seed), probability in zip(scores.models, scores.probability, strict=True):
        if np.isnan(probability).any():
            continue
        place = calibration_bin(probability, bins)
        for index in np.unique(place):
            rows = place == index
            bound, count = int(scores.label[rows].sum()), int(rows.sum())
            interval = stats.binomtest(bound, count).proportion_ci(level, method="exact")
            records.append(
                {name: identity[name] for name in IDENTITY}
                | {"model": model, "seed": seed, "bin": int(index), "n": count}
                | {"bin_lower": index / bins, "bin_upper": (index + 1) / bins}
                | {"predicted": float(probability[rows].mean()), "observed": bound / count}
                | {"lower": interval.low, "upper": interval.high}
            )
    return pd.DataFrame(records, columns=list(RELIABILITY_COLUMNS))
