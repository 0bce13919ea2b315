"""Calibration and out-of-distribution scores of mixtures on a test set."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tfbs_moe.auroc import auroc
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.calibrated import Calibration, quality

FAMILIARITY = "familiarity"
# Familiarity (a conformal p-value) below which a sequence counts as out of distribution.
UNFAMILIAR = 0.05
_QUALITIES = ("log_loss", "brier", "calibration_error")
COLUMNS = (
    "calibrated_on",
    *_QUALITIES,
    *(f"{name}_calibrated" for name in _QUALITIES),
    "auroc",
    "familiarity_bound",
    "familiarity_unbound",
    "unfamiliar_bound",
    "unfamiliar_unbound",
    "n",
)


def trust(
    predictions: pd.DataFrame,
    calibrations: Mapping[tuple[str, int], Mapping[str, Calibration]],
    identity: Mapping[str, object],
) -> pd.DataFrame:
    """Evaluate the mixtures' probabilities on one test set, one row per mixture × seed; other models are skipped.

    Probabilities are measured uncalibrated and calibrated, the latter fitted to validation examples with the same kind
    of negatives if there are any, else to the first kind (``calibrated_on``). Adds the mean familiarity of bound and
    unbound examples and the fraction of each that is out of distribution. ``calibrations`` are by model and seed, then
    by kind of negatives.
    """
    records = []
    for (model, seed), group in predictions.groupby(["model", "seed"], sort=False, observed=True):
        known = calibrations.get((str(model), int(str(seed))))
        if known is None:
            continue
        if FAMILIARITY not in group:
            raise InputError("the predictions lack the column familiarity; predict again")
        kind = str(identity["negatives"])
        calibration = known.get(kind) or next(iter(known.values()))
        label, logit = group["label"].to_numpy(), group["logit"].to_numpy(dtype=np.float64)
        familiar = group[FAMILIARITY].to_numpy(dtype=np.float64)
        after = quality(label, calibration.logit(logit))
        found: dict[str, object] = {"calibrated_on": calibration.negatives, **quality(label, logit)}
        found |= {f"{name}_calibrated": value for name, value in after.items()}
        found["auroc"] = auroc(label, logit) if len(np.unique(label)) > 1 else np.nan
        for name, rows in (("bound", label == 1), ("unbound", label == 0)):
            found[f"familiarity_{name}"] = float(familiar[rows].mean()) if rows.any() else np.nan
            found[f"unfamiliar_{name}"] = float((familiar[rows] < UNFAMILIAR).mean()) if rows.any() else np.nan
        records.append({**identity, "model": model, "seed": seed, **found, "n": len(group)})
    return pd.DataFrame(records, columns=[*identity, "model", "seed", *COLUMNS])
