"""Attribution methods compared, with the factor as the unit."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
import pandas as pd

from tfbs_moe.attribution.names import CORRECTED, METRIC_LABELS, in_words
from tfbs_moe.errors import InputError
from tfbs_moe.numeric import settled
from tfbs_moe.statistics.hypothesis_tests.ranks import wilcoxon
from tfbs_moe.statistics.hypothesis_tests.results import holm, interval_words, signed, significant
from tfbs_moe.statistics.units import by_factor, mean_interval

SMALLEST = 3
# Lower is better.
LESS_IS_MORE = frozenset({"site_distance", "matrix_distance", "deletion", "infidelity", "sensitivity"})
# Distance from the gradient and the fraction of a sequence that is a site are no merits of a method.
NO_MERIT = ("gradient_rank_correlation", "gradient_same", "site_share", "matrix_share", "shuffled_matrix_")
NEEDED = ("protocol", "model", "experiment", "factor", "method", "metric", "value")


@dataclass(frozen=True)
class Comparison:
    """One method against the reference, by one metric."""

    protocol: str  # the training recipe
    models: str  # ``mixtures``, or the experts of one architecture, such as ``convnet experts``
    metric: str
    method: str
    reference: str
    difference: float  # mean over factors of method − reference
    lower: float  # paired t interval; NaN with fewer than three factors or where all differ alike
    upper: float
    n_factors: int  # that have both
    p: float  # of Wilcoxon's signed-rank test
    p_adjusted: float = np.nan  # Holm, over the methods of one metric
    sentence: str = ""


def compare_methods(
    summary: pd.DataFrame, *, reference: str = "gradient", metrics: Sequence[str] | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Compare every attribution method with ``reference`` over factors, for mixtures and experts by architecture.

    Corrected methods are also compared with the corrected reference, which separates the gain of shifts from that of
    the correction. Models, seeds and experiments of a factor are averaged first, so that more models make no more
    factors. The interval is that of a paired t test; p is Wilcoxon's, Holm-adjusted over the methods of one metric and
    reference. With fewer than three factors there is a difference but no test. InputError where a column or the
    reference is missing.

    ``summary`` is ``attributions/summary.tsv`` with the ``factor`` of each experiment; ``metrics`` None means all by
    which a method can be better or worse; 1 − ``level`` is the family-wise error of what sentences claim.
    """
    missing = [column for column in NEEDED if column not in summary.columns]
    if missing:
        raise InputError(f"the summary of attributions lacks the column(s) {', '.join(missing)}")
    if len(summary) and reference not in set(summary["method"]):
        raise InputError(f"the summary of attributions has no method {reference!r} to compare with")
    table = summary.dropna(subset=["value"])
    wanted = table["metric"].isin(metrics) if metrics is not None else ~table["metric"].str.startswith(NO_MERIT)
    kind = table["model"].str.split(".").str[0]
    kind = kind.where(kind != "moe", "mixtures").where(kind == "moe", kind + " experts")
    found: list[Comparison] = []
    for names, group in table.assign(models=kind)[wanted].groupby(["protocol", "models", "metric"], sort=False):
        found += _compared(group, reference, level, *map(str, names))
        corrected = group[group["method"].str.endswith(CORRECTED)]
        found += _compared(corrected, reference + CORRECTED, level, *map(str, names))
    return pd.DataFrame([asdict(each) for each in found], columns=[field.name for field in fields(Comparison)])


def _compared(
    group: pd.DataFrame, reference: str, level: float, protocol: str, models: str, metric: str
) -> list[Comparison]:
    wide = by_factor(group, ["method"], ["value"]).pivot(index="factor", columns="method", values="value")
    if reference not in wide:
        return []
    found = [
        Comparison(protocol, models, metric, method, reference, *_tested(wide[method] - wide[reference], level))
        for method in dict.fromkeys(group["method"])
        if method != reference
    ]
    adjusted = holm([each.p for each in found])
    found = [replace(each, p_adjusted=float(p)) for each, p in zip(found, adjusted, strict=True)]
    return [replace(each, sentence=_sentence(each, level)) for each in found]


def _tested(difference: pd.Series, level: float) -> tuple[float, float, float, int, float]:
    """Return mean, interval, number and Wilcoxon's p of the differences of the factors that have both."""
    values = settled(difference.dropna().to_numpy(dtype=float))
    mean, lower, upper = mean_interval(values, level)
    if len(values) < SMALLEST:
        return mean, np.nan, np.nan, len(values), np.nan
    return mean, lower, upper, len(values), wilcoxon(values)[1] if np.any(values) else 1.0


def _sentence(found: Comparison, level: float) -> str:
    method, reference = in_words(found.method), in_words(found.reference)
    what = f"({found.models}, {METRIC_LABELS.get(found.metric, found.metric)})"
    both = f"{method} and {reference} {what}"
    first, together = method[:1].upper() + method[1:], both[:1].upper() + both[1:]
    if not found.n_factors:
        return f"No factor has both {both}."
    worth = found.difference * (-1 if found.metric in LESS_IS_MORE else 1)
    verdict = "better" if worth > 0 else "worse"
    comes = f"{first} comes out {verdict} than {reference} {what}" if worth else f"{together} come out equal"
    if found.n_factors < SMALLEST:
        return f"{comes}: {signed(found.difference)}; with {found.n_factors} factor(s) no difference can be shown."
    alike = f"{signed(found.difference)} on each of"
    numbers = f"{interval_words(found.difference, found.lower, found.upper)} over"
    interval = f"{alike if np.isnan(found.lower) else numbers} {found.n_factors} factors"
    if not (found.lower > 0 or found.upper < 0):
        return f"{comes}, but they are not shown to differ: {interval}."
    if not significant(found.p_adjusted, level):
        return (
            f"{first} comes out {verdict} than {reference} {what}: {interval}; adjusted for "
            f"every method compared, this is not shown (Wilcoxon's p by Holm {found.p_adjusted:.2g})."
        )
    return f"{first} is {verdict} than {reference} {what}: {interval}."
