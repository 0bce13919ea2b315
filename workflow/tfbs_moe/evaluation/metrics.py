"""Metrics of a binary classifier, for a test set and all its bootstrap resamples at once.

Scores are sorted once; a resample is then a weight per example, and the test set itself the resample of weights one.
"""

from dataclasses import dataclass

import numpy as np

from tfbs_moe.errors import InputError

AUROC = "auroc"
AUPRC = "auprc"
AUPRC_BASELINE = "auprc_baseline"
LOG_LOSS = "log_loss"
BRIER = "brier"
CALIBRATION_ERROR = "calibration_error"
SENSITIVITY = "sensitivity_at_specificity"


@dataclass(frozen=True)
class MetricSettings:
    """Parameters of the metrics; InputError where one is out of range."""

    specificity: float = 0.95  # at which sensitivity is read off the ROC curve
    enrichment_fraction: float = 0.1  # fraction of top-scored examples in which positives are counted
    calibration_bins: int = 10  # of equal width over the predicted probability

    def __post_init__(self) -> None:
        if not 0 < self.specificity < 1:
            raise InputError(f"specificity must lie between 0 and 1; it is {self.specificity}")
        if not 0 < self.enrichment_fraction <= 1:
            raise InputError(f"enrichment_fraction must lie above 0 and be at most 1; it is {self.enrichment_fraction}")
        if self.calibration_bins < 2:
            raise InputError(f"calibration_bins must be at least 2; it is {self.calibration_bins}")

    @property
    def sensitivity_name(self) -> str:
        """Name of the sensitivity at the given specificity."""
        return f"{SENSITIVITY}_{self.specificity:g}"

    @property
    def enrichment_name(self) -> str:
        """Name of the enrichment in the given fraction of examples."""
        return f"enrichment_at_{self.enrichment_fraction:g}"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all metrics, in the order of the results."""
        return (
            AUROC,
            AUPRC,
            AUPRC_BASELINE,
            LOG_LOSS,
            BRIER,
            CALIBRATION_ERROR,
            self.sensitivity_name,
            self.enrichment_name,
        )


class Ranked:
    """Sort one model's finite logits (N,) on a dataset once, from the highest down; ``label`` is bool (N,)."""

    def __init__(self, label: np.ndarray, logit: np.ndarray) -> None:
        self.order = np.argsort(-logit, kind="stable")
        self.label = label[self.order]
        ordered = logit[self.order]
        # Tied examples share a threshold; this marks the last of each tie.
        self.last = np.append(ordered[1:] != ordered[:-1], len(logit) > 0)

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of positives and of negatives at or above each distinct score, int (G,) each."""
        positives = np.cumsum(self.label, dtype=np.int64)
        above = np.arange(1, len(self.label) + 1)
        return positives[self.last], (above - positives)[self.last]


def ranking_metrics(ranked: Ranked, weights: np.ndarray, settings: MetricSettings) -> dict[str, np.ndarray]:
    """Return the rank-based metrics for weights uint8 (B, N), float (B,) each; NaN without the class it needs.

    AUROC: ties count half (Mann and Whitney 1947). AUPRC: average precision, the sum of precision × gain in recall,
    without interpolation. Sensitivity: the highest among thresholds of at least the given specificity. Enrichment: the
    fraction of positives among the top-scored examples over that among all; ties count in proportion.
    """
    # numba takes longer to import than all the rest, and scoring with a trained mixture needs no metrics.
    from tfbs_moe.evaluation.bootstrap_metrics import measure_draws

    by_row = np.ascontiguousarray(weights.T)
    values = measure_draws(
        ranked.order, ranked.label, ranked.last, by_row, settings.specificity, settings.enrichment_fraction
    )
    names = (AUROC, AUPRC, AUPRC_BASELINE, settings.sensitivity_name, settings.enrichment_name)
    return dict(zip(names, values, strict=True))


def row_losses(label: np.ndarray, logit: np.ndarray, probability: np.ndarray, bins: int) -> np.ndarray:
    """Return what the mean metrics sum per example: log loss, squared error, residual by bin; float64 (N, 2 + bins).

    ``probability`` (N,) is the logistic function of ``logit``, or NaN for a model without probabilities.
    """
    target = label.astype(np.float64)
    # log(1 + e^z) − yz, without overflow.
    log_loss = np.logaddexp(0, logit) - target * logit
    residual = probability - target
    columns = np.zeros((len(label), 2 + bins))
    columns[:, 0] = np.where(np.isnan(probability), np.nan, log_loss)
    columns[:, 1] = residual**2
    columns[np.arange(len(label)), 2 + calibration_bin(probability, bins)] = residual
    return columns


def calibration_bin(probability: np.ndarray, bins: int) -> np.ndarray:
    """Return the equal-width bin, 0 to bins − 1, of each probability; NaN goes to bin 0."""
    return np.clip(np.nan_to_num(probability) * bins, 0, bins - 1).astype(np.int64)


def mean_metrics(losses: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return the metrics that are means over examples, (B,) each, from ``row_losses`` and weights uint8 (B, N)."""
    means = weighted_means(losses, weights)
    return {
        LOG_LOSS: means[:, 0],
        BRIER: means[:, 1],
        # Σ_b (n_b / N) |mean probability − mean label| (Naeini et al. 2015) is Σ_b |Σ residuals| / N.
        CALIBRATION_ERROR: np.abs(means[:, 2:]).sum(axis=1),
    }


def weighted_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the means (B, K) of columns (N, K) with the weights uint8 (B, N)."""
    drawn = weights.astype(np.float64)
    return np.asarray(drawn @ values / drawn.sum(axis=1, keepdims=True))
