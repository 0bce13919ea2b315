"""ROC, precision-recall and reliability curves."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.style import (
    MUTED,
    TWO_COLUMNS,
    Drawing,
    grid_of_axes,
    legend_below,
    model_styles,
    new_figure,
    nothing_to_draw,
    styled,
)
from tfbs_moe.statistics.units import first_kind

ROC = "roc"
PRECISION_RECALL = "precision_recall"
_AXES = {ROC: ("false-positive rate", "true-positive rate"), PRECISION_RECALL: ("recall", "precision")}
_PANELS_PER_ROW = 3
_MANY_PANELS = 12
_PANELS_PER_ROW_OF_MANY = 5
_LEGEND_HEIGHT = 0.3
_TICKS = (0, 0.5, 1)
_EVERY = 3
"""Every third grid point of ``evaluation/curves.tsv`` is drawn: 0.015 of an axis is about a line's width."""


@styled
def curve_panels(curves: pd.DataFrame, curve: str) -> Drawing:
    """Draw ROC or precision-recall curves from one protocol's ``evaluation/curves.tsv``, a panel per test set.

    Lines are means over seeds, bands their range.
    """
    table = first_kind(curves[curves["curve"] == curve])
    if table.empty:
        return nothing_to_draw("No test set holds both bound and unbound rows.")
    keys = ["experiment", "model"]
    place = table.groupby(keys, sort=False).cumcount()
    last = table.groupby(keys, sort=False)["x"].transform("max")
    table = table[(place % _EVERY == 0) | (table["x"] == last)]
    figure, axes, tests = _panels(table)
    styles = model_styles(table["model"])
    lines = dict(iter(table.groupby(keys, sort=False)))
    for ax, experiment in zip(axes, tests["experiment"], strict=True):
        if curve == ROC:
            ax.plot([0, 1], [0, 1], color=MUTED, linewidth=0.7, linestyle=":")
        for model, style in styles.items():
            if (line := lines.get((experiment, model))) is not None:
                # With one seed the band has no width.
                if (line["lower"] < line["upper"]).any():
                    ax.fill_between(line["x"], line["lower"], line["upper"], color=style.colour, alpha=0.15, lw=0)
                ax.plot(line["x"], line["y"], color=style.colour, linestyle=style.line)
    _label(axes, *_AXES[curve])
    marks = [Line2D([], [], color=style.colour, linestyle=style.line, label=style.label) for style in styles.values()]
    legend_below(figure, marks)
    kept = ["experiment", "factor", "negatives", "model", "curve", "x", "y", "lower", "upper", "seeds"]
    return figure, table[kept]


@styled
def reliability_panels(reliability: pd.DataFrame, model: str) -> Drawing:
    """Draw a model's observed fraction bound against predicted probability, a panel per test set and a line per seed.

    ``reliability`` is from ``evaluation.calibration.reliability``, of one protocol.
    """
    table = first_kind(reliability[reliability["model"] == model])
    if table.empty:
        return nothing_to_draw(f"{model} gives no probabilities.")
    figure, axes, tests = _panels(table)
    style = model_styles([model])[model]
    for ax, experiment in zip(axes, tests["experiment"], strict=True):
        ax.plot([0, 1], [0, 1], color=MUTED, linewidth=0.7, linestyle=":")
        for _, line in table[table["experiment"] == experiment].groupby("seed"):
            error = np.vstack([line["observed"] - line["lower"], line["upper"] - line["observed"]]).clip(0)
            ax.errorbar(
                line["predicted"], line["observed"], yerr=error, color=style.colour, marker=style.marker,
                markersize=2.5, elinewidth=0.6, linewidth=0.8, alpha=0.8,
            )  # fmt: skip
    _label(axes, "predicted probability", "observed share bound")
    return figure, table


def _panels(table: pd.DataFrame) -> tuple[Figure, list[Axes], pd.DataFrame]:
    """Return a figure with one square panel per test set, titled."""
    tests = aggregate.ordered_tests(table)
    count = len(tests)
    columns = min(_PANELS_PER_ROW if count <= _MANY_PANELS else _PANELS_PER_ROW_OF_MANY, count)
    figure = new_figure(TWO_COLUMNS, -(-count // columns) * TWO_COLUMNS / columns + _LEGEND_HEIGHT)
    axes = grid_of_axes(figure, count, columns, alike="xy")
    for ax, title in zip(axes, tests["label"], strict=True):
        ax.set(title=title, xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=_TICKS, yticks=_TICKS)
    return figure, axes, tests


def _label(axes: list[Axes], x: str, y: str) -> None:
    """Label the outer panels only."""
    for ax in axes:
        place = ax.get_subplotspec()
        if place is None:
            continue
        ax.set_ylabel(y if place.is_first_col() else "")
        below = place.rowspan.stop * place.get_gridspec().ncols + place.colspan.start
        ax.set_xlabel(x if below >= len(axes) else "")
