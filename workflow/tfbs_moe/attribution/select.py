"""Choice of the sequences to explain: by a rule on the mixture's logit, never by hand."""

import numpy as np
import pandas as pd

from tfbs_moe.errors import InputError


def select_rows(logit: np.ndarray, label: np.ndarray, *, extremes: int = 1, spread: int = 100) -> pd.DataFrame:
    """Choose positives by logit: ``extremes`` each of best, median and worst, and ``spread`` at even quantiles.

    Returns a line per chosen row, by row, with the first ``rule`` that chose it and its ``quantile``, 0 for the best
    positive and 1 for the worst. Equal logits are ordered by row; of few positives, all are chosen.
    """
    if logit.shape != label.shape or logit.ndim != 1:
        raise InputError(f"one logit and one label per row were expected; there are {logit.shape} and {label.shape}")
    if extremes < 0 or spread < 0 or extremes + spread == 0:
        raise InputError(f"extremes and spread must not be negative, nor both 0; they are {extremes} and {spread}")
    positives = np.flatnonzero(label == 1)
    if not len(positives):
        raise InputError("there is no positive row to explain")
    if not np.isfinite(logit[positives]).all():
        raise InputError(f"row {positives[~np.isfinite(logit[positives])][0]} has no finite logit")
    order = positives[np.argsort(-logit[positives], kind="stable")]
    last = len(order) - 1
    middle = (len(order) - extremes) // 2
    chosen: dict[int, str] = {}
    for rule, places in (
        ("best", range(extremes)),
        ("median", range(middle, middle + extremes)),
        ("worst", range(last, last - extremes, -1)),
        ("spread", np.unique(np.linspace(0, last, spread).round().astype(int)).tolist()),
    ):
        for place in places:
            if 0 <= place <= last:
                chosen.setdefault(place, rule)
    places_chosen = np.array(list(chosen))
    table = pd.DataFrame(
        {
            "row": order[places_chosen],
            "rule": list(chosen.values()),
            "quantile": places_chosen / max(last, 1),
            "logit": logit[order[places_chosen]],
        }
    )
    return table.sort_values("row", ignore_index=True)
