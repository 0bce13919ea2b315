"""Quality of ShiftSmooth by its number of shifts, and the cost of every method."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from tfbs_moe.attribution.methods.registry import attribute, settings_of
from tfbs_moe.attribution.methods.scorer import Scorer

Evaluation = Callable[[np.ndarray], pd.DataFrame]

SUBSTITUTIONS_PER_POSITION = 3


def shift_curve(
    model: nn.Module | Scorer,
    X: np.ndarray,
    evaluated: Evaluation,
    *,
    method: str = "shiftsmooth",
    shifts: Sequence[int],
    **options: Any,
) -> pd.DataFrame:
    """Evaluate ShiftSmooth on X (N, 4, L) at each number of shifts n; 0 is the base method itself.

    ``evaluated`` turns an attribution into metrics per sequence (``evaluate_attribution``); its rows are returned for
    every n, with ``n`` and ``passes`` prepended.
    """
    tables = []
    for n in shifts:
        table = evaluated(attribute(model, X, method, n=n, **options))
        table.insert(0, "n", n)
        table.insert(1, "passes", passes(method, X.shape[2], n=n))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def passes(method: str, length: int, **settings: Any) -> int:
    """Return how many modified copies of each sequence a method sends through the network: its cost."""
    values = settings_of(method, **settings)
    shuffles = values.get("shuffles", 1) if values.get("reference") == "dinucleotide_shuffle" else 1
    if method.startswith("shiftsmooth"):
        inner = passes(values["base"], length, **(values["base_settings"] or {}))
        return (2 * int(values["n"]) + 1) * inner
    if method.startswith("ism"):
        return SUBSTITUTIONS_PER_POSITION * length
    if method.startswith("random"):
        return 0
    if method.startswith("deeplift"):
        return 2 * int(shuffles)
    return int(values.get("draws", values.get("steps", 1))) * int(shuffles)
