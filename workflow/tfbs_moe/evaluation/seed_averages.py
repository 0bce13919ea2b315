"""What averaging over retrainings gives: how much of a model's error is the luck of one training."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tfbs_moe.auroc import auroc
from tfbs_moe.evaluation.scores import Scores

COLUMNS = ("rows", "seeds", "auroc", "auroc_sd", "auroc_averaged", "n")
# One training has neither spread nor average.
LEAST_SEEDS = 2


def seed_averages(scores: Scores, identity: Mapping[str, object], row_sets: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Compare one training with the mean of the logits of all seeds, on one test set.

    Args:
        scores: what every model and seed says of every row.
        identity: the columns that name the dataset and the protocol.
        row_sets: names of row sets and their masks (N,) over the rows in ascending order.

    Returns:
        One row per model of at least two seeds × row set: number of ``seeds``, mean ``auroc`` of one and its standard
        deviation ``auroc_sd`` over them, ``auroc_averaged`` of the mean logits, and ``n`` rows. AUROCs are missing
        where a class is.
    """
    records = []
    for rows, mask in row_sets.items():
        part = scores.rows(mask)
        both = len(np.unique(part.label)) > 1
        for model in part.names():
            logits = np.stack([part.of(model, seed) for seed in part.seeds(model)])
            if len(logits) < LEAST_SEEDS:
                continue
            single = [auroc(part.label, logit) if both else np.nan for logit in logits]
            averaged = auroc(part.label, logits.mean(axis=0)) if both else np.nan
            found = (rows, len(logits), np.mean(single), np.std(single, ddof=1), averaged, len(part.row))
            records.append({**identity, "model": model, **dict(zip(COLUMNS, found, strict=True))})
    return pd.DataFrame(records, columns=[*identity, "model", *COLUMNS])
