"""Probabilities that can be taken at their word: logits set right on validation rows, for each kind of negatives.

Platt (1999): the logit is multiplied by one number (one over the temperature of Guo et al. 2017) and moved by another,
which maximise the likelihood of validation rows; the first is never below 0, so the order of sequences is not turned
round. Validation rows are half
bound, half unbound, so that is what a calibrated probability assumes; ``Calibration.probability`` takes another share.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.metrics import BRIER, CALIBRATION_ERROR, LOG_LOSS, mean_metrics, row_losses
from tfbs_moe.tables import read_json

log = logging.getLogger(__name__)

BINS = 10
FILE = "calibration.json"


@dataclass(frozen=True)
class Calibration:
    """How logits become probabilities against one kind of negatives.

    Attributes:
        negatives: the kind.
        scale: that a logit is multiplied by.
        shift: that is added then.
        rows: validation rows it was fitted to.
        share: of them that are bound.
        before: ``log_loss``, ``brier`` and ``calibration_error`` on these rows as the model came.
        after: the same, calibrated.
    """

    negatives: str
    scale: float
    shift: float
    rows: int
    share: float
    before: Mapping[str, float]
    after: Mapping[str, float]

    def logit(self, logits: np.ndarray) -> np.ndarray:
        """Return calibrated logits, float64 (N,)."""
        return self.scale * np.asarray(logits, dtype=np.float64) + self.shift

    def probability(self, logits: np.ndarray, share: float | None = None) -> np.ndarray:
        """Return calibrated probabilities, float32 (N,).

        Args:
            logits: of the model, (N,).
            share: of bound sequences among those that are scored; that of the validation rows where not given.

        Raises:
            InputError: a share that is not between 0 and 1.
        """
        moved = self.logit(logits)
        if share is not None:
            if not 0 < share < 1:
                raise InputError(f"the share of bound sequences is {share}; a number between 0 and 1 was expected")
            # Bayes: another prior moves the log-odds by the difference of the priors' log-odds.
            moved = moved + scipy.special.logit(share) - scipy.special.logit(self.share)
        return scipy.special.expit(moved).astype(np.float32)

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> "Calibration":
        """Read what ``as_json`` gave; InputError where a number is missing or odd."""
        try:
            found = cls(**given)
            odd = not (np.isfinite([found.scale, found.shift]).all() and 0 < found.share < 1)
        except TypeError:
            odd = True
        if odd:
            raise InputError(f"{FILE} is damaged: {dict(given)} is no calibration. Make it again.")
        return found


def read_calibrations(folder: str | Path) -> dict[str, Calibration]:
    """Return the calibrations of a bundle, by kind of negatives; none where it has none."""
    path = Path(folder) / FILE
    given = read_json(path) if path.is_file() else {}
    try:
        return {one["negatives"]: Calibration.from_json(one) for one in given.get("calibrations", [])}
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{path} is damaged: it holds no list of calibrations. Make it again.") from None


def calibrate(label: np.ndarray, logits: np.ndarray, negatives: str) -> Calibration:
    """Fit a calibration to validation rows.

    Args:
        label: (N,), 1 bound, 0 unbound.
        logits: float (N,).
        negatives: the kind of the unbound rows.

    Returns:
        The calibration; one that leaves logits as they are where a class is missing. Where bound rows have the lower
        logits its scale is 0, and every sequence is as probable as a validation row.
    """
    # Whoever scores sequences with a calibration does not wait for what fits one.
    from sklearn.linear_model import LogisticRegression

    label, logits = np.asarray(label).astype(int), np.asarray(logits, dtype=np.float64)
    scale, shift, share = 1.0, 0.0, 0.5
    if len(np.unique(label)) == 2:
        fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(logits[:, None], label)
        scale, shift, share = float(fitted.coef_[0, 0]), float(fitted.intercept_[0]), float(label.mean())
        if scale < 0:
            # The likelihood is concave: of scales that turn nothing round, 0 is the most likely one.
            scale, shift = 0.0, float(scipy.special.logit(share))
            log.warning("negatives %s: validation rows that are bound have the lower logits", negatives)
    else:
        log.warning("negatives %s: no calibration, for %d validation rows lack a class", negatives, len(label))
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
    """Return how good the probabilities of logits (N,) are: log loss, Brier score, expected calibration error."""
    logits = np.asarray(logits, dtype=np.float64)
    if not len(logits):
        return dict.fromkeys((LOG_LOSS, BRIER, CALIBRATION_ERROR), np.nan)
    losses = row_losses(np.asarray(label), logits, scipy.special.expit(logits), bins)
    return {name: float(value[0]) for name, value in mean_metrics(losses, np.ones((1, len(losses)), np.uint8)).items()}
