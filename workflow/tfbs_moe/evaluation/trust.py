"""How good calibrated probabilities are on a test set, and how familiar its sequences are to the experts."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tfbs_moe.auroc import auroc
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.calibrated import Calibration, quality

FAMILIARITY = "familiarity"
# A sequence is called unfamiliar where fewer validation rows than this share are as far from what the experts know.
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
    """Judge the mixtures on one test set.

    Args:
        predictions: of the test set; rows of other models are passed over.
        calibrations: by model and seed, and then by kind of negatives.
        identity: the columns that name the dataset and the protocol, ``negatives`` among them.

    Returns:
        One row per mixture × seed: the quality of its probabilities as they came and calibrated, on validation rows
        with the same kind of negatives where there are any, else on the kind it was trained with (``calibrated_on``);
        mean familiarity of bound and unbound rows, and the share of each that is unfamiliar.
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
