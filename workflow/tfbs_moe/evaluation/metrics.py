"""Metrics of a binary classifier, for a whole test set and for all its bootstrap draws at once.

A model's scores are sorted once; a draw is then nothing but a weight for each row. The value of the test
set itself is the draw in which every row has weight one, so there is one way to compute a metric.
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

# Few shares are machine numbers; a threshold that meets one exactly must not miss it by a bit.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class MetricSettings:
    """Choices that a metric's name does not make by itself.

    Attributes:
        specificity: where sensitivity is read off the ROC curve.
        enrichment_fraction: the share of top-scored rows in which positives are counted.
        calibration_bins: bins of equal width over the predicted probability.
    """

    specificity: float = 0.95
    enrichment_fraction: float = 0.1
    calibration_bins: int = 10

    def __post_init__(self) -> None:
        """Raise InputError where a setting is out of its range."""
        if not 0 < self.specificity < 1:
            raise InputError(f"specificity must lie between 0 and 1; it is {self.specificity}")
        if not 0 < self.enrichment_fraction <= 1:
            raise InputError(f"enrichment_fraction must lie above 0 and be at most 1; it is {self.enrichment_fraction}")
        if self.calibration_bins < 2:
            raise InputError(f"calibration_bins must be at least 2; it is {self.calibration_bins}")

    @property
    def sensitivity_name(self) -> str:
        """Name of the sensitivity at the given specificity."""
        return f"sensitivity_at_specificity_{self.specificity:g}"

    @property
    def enrichment_name(self) -> str:
        """Name of the enrichment in the given share of rows."""
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


@dataclass(frozen=True, eq=False)
class Curve:
    """Weighted counts at each distinct score, from the highest down: int (B, G) each.

    Attributes:
        positive: weight of the positives with this very score.
        negative: weight of the negatives with this very score.
        true_positive: weight of the positives at or above the score.
        above: weight of all rows at or above the score.
    """

    positive: np.ndarray
    negative: np.ndarray
    true_positive: np.ndarray
    above: np.ndarray

    @property
    def false_positive(self) -> np.ndarray:
        """Weight of the negatives at or above the score."""
        return self.above - self.true_positive

    @property
    def positives(self) -> np.ndarray:
        """Weight of all positives, float (B,); NaN where there is none."""
        return _or_nan(self.true_positive[:, -1])

    @property
    def negatives(self) -> np.ndarray:
        """Weight of all negatives, float (B,); NaN where there is none."""
        return _or_nan(self.above[:, -1] - self.true_positive[:, -1])

    @property
    def total(self) -> np.ndarray:
        """Weight of all rows, float (B,)."""
        return self.above[:, -1].astype(np.float64)


class Ranked:
    """One model's scores on one dataset, sorted once.

    Args:
        label: bool (N,).
        logit: float (N,), finite; higher means bound.
    """

    def __init__(self, label: np.ndarray, logit: np.ndarray) -> None:
        self.order = np.argsort(-logit, kind="stable")
        self.label = label[self.order].astype(np.uint8)
        ordered = logit[self.order]
        ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], len(logit) > 0))
        # Without ties every row ends a group, and there is nothing to pick out.
        self.ends = None if len(ends) == len(logit) else ends

    def curve(self, weights: np.ndarray) -> Curve:
        """Count what lies above each distinct score, for weights uint8 (B, N)."""
        ordered = np.take(weights, self.order, axis=1)
        positive = ordered * self.label
        # int32: five times faster to sum up than floats, and enough for any test set.
        true_positive = np.cumsum(positive, axis=1, dtype=np.int32)
        above = np.cumsum(ordered, axis=1, dtype=np.int32)
        if self.ends is None:
            return Curve(positive, ordered - positive, true_positive, above)
        true_positive, above = true_positive[:, self.ends], above[:, self.ends]
        tied = np.diff(true_positive, axis=1, prepend=0)
        return Curve(tied, np.diff(above, axis=1, prepend=0) - tied, true_positive, above)


def auroc(curve: Curve) -> np.ndarray:
    """Area under the ROC curve, (B,); ties count half (Mann and Whitney 1947)."""
    negative, positive = (counts.astype(np.float64) for counts in (curve.negative, curve.positive))
    pairs = np.vecdot(negative, curve.true_positive.astype(np.float64)) - np.vecdot(negative, positive) / 2
    return np.asarray(pairs / (curve.positives * curve.negatives))


def auprc(curve: Curve) -> np.ndarray:
    """Average precision, (B,): the sum of precision × gain in recall, without interpolation."""
    precision = curve.true_positive / np.maximum(curve.above, 1)
    return np.asarray(np.vecdot(curve.positive.astype(np.float64), precision) / curve.positives)


def sensitivity_at(curve: Curve, specificity: float) -> np.ndarray:
    """Highest sensitivity, (B,), among thresholds that keep at least the given specificity."""
    allowed = (1 - specificity) * curve.negatives * (1 + TOLERANCE)
    group = (curve.false_positive <= allowed[:, None]).sum(axis=1) - 1
    found = _at(curve.true_positive, group) / curve.positives
    return np.where(np.isnan(allowed), np.nan, found)


def enrichment_at(curve: Curve, fraction: float) -> np.ndarray:
    """Share of positives among the top-scored fraction of rows, over their share in all rows: (B,).

    Within a group of tied scores positives are counted in proportion.
    """
    top = fraction * curve.total
    group = (curve.above < top[:, None] * (1 - TOLERANCE)).sum(axis=1)
    low_tp, low = (_at(counts, group - 1) for counts in (curve.true_positive, curve.above))
    high_tp, high = (_at(counts, group) for counts in (curve.true_positive, curve.above))
    found = low_tp + (high_tp - low_tp) * (top - low) / (high - low)
    return np.asarray(found / top * curve.total / curve.positives)


def row_losses(label: np.ndarray, logit: np.ndarray, probability: np.ndarray, bins: int) -> np.ndarray:
    """Return what the mean metrics add up per row: log loss, squared error, residual in each bin.

    Args:
        label: bool (N,).
        logit: float (N,).
        probability: float (N,), the logistic function of ``logit``, or NaN for a model without one.
        bins: number of calibration bins of equal width.

    Returns:
        float64 (N, 2 + bins).
    """
    target = label.astype(np.float64)
    # log(1 + e^z) − yz, without overflow: the log loss of a logit.
    log_loss = np.logaddexp(0, logit) - target * logit
    residual = probability - target
    columns = np.zeros((len(label), 2 + bins))
    columns[:, 0] = np.where(np.isnan(probability), np.nan, log_loss)
    columns[:, 1] = residual**2
    columns[np.arange(len(label)), 2 + calibration_bin(probability, bins)] = residual
    return columns


def calibration_bin(probability: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin of equal width, 0 to bins − 1, of each probability; a missing one goes to bin 0."""
    return np.clip(np.nan_to_num(probability) * bins, 0, bins - 1).astype(np.int64)


def curve_metrics(curve: Curve, settings: MetricSettings) -> dict[str, np.ndarray]:
    """Return the metrics that depend on the order of the scores alone, (B,) each."""
    return {
        AUROC: auroc(curve),
        AUPRC: auprc(curve),
        AUPRC_BASELINE: curve.positives / curve.total,
        settings.sensitivity_name: sensitivity_at(curve, settings.specificity),
        settings.enrichment_name: enrichment_at(curve, settings.enrichment_fraction),
    }


def mean_metrics(losses: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return the metrics that are means over rows, (B,) each.

    Args:
        losses: float (N, 2 + bins) of ``row_losses``.
        weights: uint8 (B, N).
    """
    means = weights.astype(np.float64) @ losses / weights.sum(axis=1, dtype=np.float64)[:, None]
    return {
        LOG_LOSS: means[:, 0],
        BRIER: means[:, 1],
        # Σ_b (n_b / N) |mean probability − mean label| (Naeini et al. 2015) is Σ_b |Σ residuals| / N.
        CALIBRATION_ERROR: np.abs(means[:, 2:]).sum(axis=1),
    }


def _at(counts: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the count (B,) at one group of scores per draw; 0 before the first group."""
    found = counts[np.arange(len(counts)), np.maximum(group, 0)]
    return np.where(group >= 0, found, 0)


def _or_nan(count: np.ndarray) -> np.ndarray:
    return np.where(count > 0, count, np.nan)
