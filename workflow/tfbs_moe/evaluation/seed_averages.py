"""How much of a model's error is random variation between trainings, measured by averaging over seeds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tfbs_moe.auroc import auroc
from tfbs_moe.evaluation.scores import Scores
from tfbs_moe.study import UNTRAINED

COLUMNS = ("rows", "seeds", "auroc", "auroc_sd", "auroc_averaged", "n")
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
            records.append({**identity, "model": model, **dict(zip(COLUMNS, found, strict=True))})
    return pd.DataFrame(records, columns=[*identity, "model", *COLUMNS])
