"""How many shifts help, and what quality costs."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from tfbs_moe.attribution.methods import attribute, settings_of

Judge = Callable[[np.ndarray], pd.DataFrame]

SUBSTITUTIONS_PER_POSITION = 3


def shift_curve(
    model: nn.Module,
    X: np.ndarray,
    judged: Judge,
    *,
    method: str = "shiftsmooth",
    shifts: Sequence[int],
    **options: Any,
) -> pd.DataFrame:
    """Judge ShiftSmooth over its number of shifts.

    Args:
        model: gives one logit per sequence.
        X: (N, 4, L).
        judged: attribution → metrics per sequence, see ``judge.judge``.
        method: a ShiftSmooth method.
        shifts: values of n; 0 is the base method itself.
        options: of ``methods.attribute``.

    Returns:
        The rows of ``judged`` for every n, with ``n`` and ``passes`` (see ``passes``) before them.
    """
    tables = []
    for n in shifts:
        table = judged(attribute(model, X, method, n=n, **options))
        table.insert(0, "n", n)
        table.insert(1, "passes", passes(method, X.shape[2], n=n))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def passes(method: str, length: int, **settings: Any) -> int:
    """Return how many times a method shows the network a changed copy of each sequence: its cost.

    Args:
        method: a name of ``methods.METHODS``.
        length: bases L.
        settings: of the method.
    """
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
