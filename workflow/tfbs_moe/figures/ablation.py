"""The ablation figure: each mixture of a study against the first."""

import numpy as np
import pandas as pd

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.performance import dots, name_rows, stripes
from tfbs_moe.figures.style import (
    INK,
    TWO_COLUMNS,
    Drawing,
    grid_of_axes,
    model_styles,
    new_figure,
    nothing_to_draw,
    same_limits,
    styled,
)
from tfbs_moe.statistics.units import first_kind

FEWEST = 2


@styled
def ablation(table: pd.DataFrame) -> Drawing:
    """Draw the paired difference of each mixture from the first, a panel per set (``statistics/ablation.tsv``)."""
    shown = first_kind(table[table["rows"] == "all"], "set")
    mixtures = list(dict.fromkeys(zip(shown["protocol"], shown["model"], strict=True)))
    if len(mixtures) < FEWEST:
        return nothing_to_draw("The study has one mixture; there is nothing to compare it with.")
    panels = [name for name in aggregate.SETS if (shown["set"] == name).any()]
    figure = new_figure(TWO_COLUMNS, 0.8 + 0.2 * len(mixtures))
    axes = grid_of_axes(figure, len(panels), len(panels), alike="x")
    style = model_styles(["moe.softmax"])["moe.softmax"]
    for ax, name in zip(axes, panels, strict=True):
        stripes(ax, len(mixtures))
        ax.axvline(0, color=INK, linewidth=0.7)
        here = shown[shown["set"] == name].set_index(["protocol", "model"])
        part = here.reindex(mixtures)[["difference", "difference_lower", "difference_upper"]]
        dots(ax, part.set_axis(["value", "lower", "upper"], axis=1), np.arange(len(mixtures)), style, size=4.5)
        counts = "–".join(str(int(count)) for count in sorted({here["n"].min(), here["n"].max()}))
        ax.set(title=f"{aggregate.SETS[name]}, {counts} factors", xlabel="AUROC: mixture − first one")
    same_limits(axes, x=None)
    name_rows(axes, [f"{protocol}: {model.removeprefix('moe.').replace('_', ' ')}" for protocol, model in mixtures])
    return figure, shown
