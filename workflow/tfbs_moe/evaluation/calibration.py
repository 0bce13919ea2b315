"""Calibrated probabilities, for each kind of negatives, by Platt scaling (1999) on validation rows, and their quality.

The logit is scaled (by one over the temperature of Guo et al. 2017) and shifted to maximise the likelihood; the scale
is never negative, so the ranking never reverses. Validation examples are half bound, half unbound, and calibrated
probabilities assume that; ``Calibration.probability`` accepts another fraction.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.metrics import BRIER, CALIBRATION_ERROR, LOG_LOSS, mean_metrics, row_losses
from tfbs_moe.numeric import auroc
from tfbs_moe.tables import read_json

log = logging.getLogger(__name__)

BINS = 10
FILE = "calibration.json"
QUALITIES = (LOG_LOSS, BRIER, CALIBRATION_ERROR)
_MEASURED = ("before", "after")
_SHOWN = 200


@dataclass(frozen=True)
class Calibration:
    """Maps logits to probabilities against one kind of negatives."""

    negatives: str
    scale: float  # multiplies the logit
    shift: float  # added to the scaled logit
    rows: int  # validation examples it was fitted to
    share: float  # fraction of them that are bound
    before: Mapping[str, float]  # log_loss, brier and calibration_error on them, uncalibrated; NaN without rows
    after: Mapping[str, float]  # the same, calibrated

    def logit(self, logits: np.ndarray) -> np.ndarray:
        """Return calibrated logits, float64 (N,)."""
        return self.scale * np.asarray(logits, dtype=np.float64) + self.shift

    def probability(self, logits: np.ndarray, share: float | None = None) -> np.ndarray:
        """Return calibrated probabilities, float32 (N,), of logits (N,).

        ``share`` is the fraction of bound sequences among those scored; None takes that of the validation examples.
        InputError unless it is between 0 and 1.
        """
        moved = self.logit(logits)
        if share is not None:
            if not 0 < share < 1:
                raise InputError(f"the share of bound sequences is {share}; a number between 0 and 1 was expected")
            # Bayes: another prior shifts the log-odds by the difference of the priors' log-odds.
            moved = moved + scipy.special.logit(share) - scipy.special.logit(self.share)
        return scipy.special.expit(moved).astype(np.float32)

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object, which has no NaN: None stands for it."""
        qualities = {name: {key: _or_none(value) for key, value in getattr(self, name).items()} for name in _MEASURED}
        return asdict(self) | qualities

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> "Calibration":
        """Read the output of ``as_json``; InputError where a number is missing or out of range."""
        try:
            qualities = {
                name: {key: np.nan if given[name][key] is None else float(given[name][key]) for key in QUALITIES}
                for name in _MEASURED
            }
            numbers = {name: float(given[name]) for name in ("scale", "shift", "share")}
            found = cls(**{**given, **qualities, **numbers, "rows": int(given["rows"])})
            odd = not (np.isfinite([found.scale, found.shift]).all() and 0 < found.share < 1)
        except (KeyError, TypeError, ValueError, OverflowError):
            odd = True
        if odd or not isinstance(found.negatives, str):
            raise InputError(f"{FILE} is damaged: {str(given)[:_SHOWN]} is not a calibration. Rebuild it.")
        return found


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value


def read_calibrations(folder: str | Path) -> dict[str, Calibration]:
    """Return a bundle's calibrations by kind of negatives; empty where it has none."""
    path = Path(folder) / FILE
    given = read_json(path) if path.is_file() else {}
    try:
        return {one["negatives"]: Calibration.from_json(one) for one in given.get("calibrations", [])}
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{path} is damaged: it holds no list of calibrations. Rebuild it.") from None


def calibrate(label: np.ndarray, logits: np.ndarray, negatives: str) -> Calibration:
    """Fit a calibration to validation examples: ``label`` (N,), 1 bound, 0 unbound, and ``logits`` (N,).

    Without both classes it is the identity. Where bound examples have the lower logits its scale is 0, which gives
    every sequence the fraction of bound validation examples.
    """
    # A slow import that scoring does not need.
    from sklearn.linear_model import LogisticRegression

    label, logits = np.asarray(label).astype(int), np.asarray(logits, dtype=np.float64)
    scale, shift, share = 1.0, 0.0, 0.5
    if len(np.unique(label)) == 2:
        fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(logits[:, None], label)
        scale, shift, share = float(fitted.coef_[0, 0]), float(fitted.intercept_[0]), float(label.mean())
        if scale < 0:
            # The likelihood is concave: of the scales that do not reverse the ranking, 0 is the most likely.
            scale, shift = 0.0, float(scipy.special.logit(share))
            log.warning("negatives %s: bound validation rows have lower logits than unbound ones", negatives)
    else:
        log.warning("negatives %s: no calibration, as %d validation rows lack a class", negatives, len(label))
    return Calibration(
        negatives,
        scale,
        shift,
        rows=len(label),
        share=share,
        before=quality(label, logits),
        after=quality(label, scale * logits + shift),
    )


def quality(label: np.ndarray, logits: np.ndarray, bins: int = BINS) -> dict[str, float]:
    """Return log loss, Brier score and expected calibration error of the probabilities of logits (N,)."""
    logits = np.asarray(logits, dtype=np.float64)
    if not len(logits):
        return dict.fromkeys(QUALITIES, np.nan)
    losses = row_losses(np.asarray(label), logits, scipy.special.expit(logits), bins)
    return {name: float(value[0]) for name, value in mean_metrics(losses, np.ones((1, len(losses)), np.uint8)).items()}


OOD_P = "ood_p"
# Conformal p-value below which a sequence counts as out of distribution.
OOD_LEVEL = 0.05
QUALITY_COLUMNS = (
    "calibrated_on", *QUALITIES, *(f"{name}_calibrated" for name in QUALITIES), "auroc", "ood_p_bound",
    "ood_p_unbound", "ood_bound", "ood_unbound", "n",
)  # fmt: skip


def calibration_quality(
    predictions: pd.DataFrame,
    calibrations: Mapping[tuple[str, int], Mapping[str, Calibration]],
    identity: Mapping[str, object],
) -> pd.DataFrame:
    """Evaluate the mixtures' probabilities on one test set, one row per mixture × seed; other models are skipped.

    Probabilities are measured uncalibrated and calibrated, the latter fitted to validation examples with the same kind
    of negatives if there are any, else to the first kind (``calibrated_on``). Adds the mean ``ood_p`` of bound and
    unbound examples and the fraction of each that is out of distribution. ``calibrations`` are by model and seed, then
    by kind of negatives.
    """
    records = []
    for (model, seed), group in predictions.groupby(["model", "seed"], sort=False, observed=True):
        known = calibrations.get((str(model), int(str(seed))))
        if known is None:
            continue
        if OOD_P not in group:
            raise InputError("the predictions lack the column ood_p; predict again")
        kind = str(identity["negatives"])
        calibration = known.get(kind) or next(iter(known.values()))
        label, logit = group["label"].to_numpy(), group["logit"].to_numpy(dtype=np.float64)
        ood_p = group[OOD_P].to_numpy(dtype=np.float64)
        after = quality(label, calibration.logit(logit))
        found: dict[str, object] = {"calibrated_on": calibration.negatives, **quality(label, logit)}
        found |= {f"{name}_calibrated": value for name, value in after.items()}
        found["auroc"] = auroc(label, logit) if len(np.unique(label)) > 1 else np.nan
        for name, rows in (("bound", label == 1), ("unbound", label == 0)):
            found[f"ood_p_{name}"] = float(ood_p[rows].mean()) if rows.any() else np.nan
            # A missing score is not below the level, which does not place its sequence in the distribution.
            known_p = rows.any() and not np.isnan(ood_p[rows]).any()
            found[f"ood_{name}"] = float((ood_p[rows] < OOD_LEVEL).mean()) if known_p else np.nan
        records.append({**identity, "model": model, "seed": seed, **found, "n": len(group)})
    return pd.DataFrame(records, columns=[*identity, "model", "seed", *QUALITY_COLUMNS])
