"""Figures of classification performance, bound against unbound: AUROC by factor and set, ROC and other curves."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.style import (
    GRID,
    INK,
    MUTED,
    TWO_COLUMNS,
    Drawing,
    ModelStyle,
    grid_of_axes,
    legend_below,
    model_styles,
    new_figure,
    nothing_to_draw,
    ordered_models,
    row_offsets,
    same_limits,
    shared_legend,
    styled,
)
from tfbs_moe.statistics.units import first_kind, over_factors

AUROC = "auroc"
CHANCE = 0.5
_ROW_HEIGHT = 0.105
"""Inches per mark in a dot plot."""
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
def auroc_by_factor(metrics: pd.DataFrame) -> Drawing:
    """Draw AUROC with its interval per test set and model, for all and for overlap-free sequences.

    ``metrics`` holds one protocol's rows of ``evaluation/metrics.tsv``, here and below.
    """
    table = aggregate.over_seeds(metrics[metrics["metric"] == AUROC])
    if table.empty:
        return nothing_to_draw(f"No {AUROC} was measured.")
    models = ordered_models(table["model"])
    styles = model_styles(models)
    tests = aggregate.ordered_tests(table)
    panels = [rows for rows in aggregate.ROWS if (table["rows"] == rows).any()]
    height = 0.9 + len(tests) * max(0.22, _ROW_HEIGHT * len(models) * 0.8) + 0.14 * len(models) / 4
    figure, axes = dot_panels([aggregate.ROWS[rows] for rows in panels], list(tests["label"]), height, line=CHANCE)
    for ax, rows in zip(axes, panels, strict=True):
        for offset, model in zip(row_offsets(len(models), 0.66), models, strict=True):
            part = tests.merge(table[(table["rows"] == rows) & (table["model"] == model)], how="left")
            dots(ax, part, np.arange(len(tests)) + offset, styles[model])
        ax.set_xlabel("AUROC")
        # A line between the test sets of different sets.
        for place in np.flatnonzero(tests["set"].to_numpy()[1:] != tests["set"].to_numpy()[:-1]):
            ax.axhline(place + 0.5, color=INK, linewidth=0.8)
    same_limits(axes, x=None)
    shared_legend(figure, axes[0], columns=4)
    return figure, table


@styled
def set_means(metrics: pd.DataFrame, confidence: float) -> Drawing:
    """Draw each model's mean AUROC over the factors of each set, with the factor as the unit."""
    table = aggregate.over_factors(metrics[metrics["metric"] == AUROC], confidence)
    if table.empty:
        return nothing_to_draw(f"No {AUROC} was measured.")
    models = ordered_models(table["model"])
    styles = model_styles(models)
    panels = list(table[["set", "negatives", "rows"]].drop_duplicates().itertuples(index=False, name=None))
    panels.sort(key=lambda panel: (list(aggregate.SETS).index(panel[0]), panel[1], panel[2]))
    titles = [f"{aggregate.SETS[set_name]}\n{aggregate.ROWS[rows]}" for set_name, _, rows in panels]
    if table["negatives"].nunique() > 1:
        titles = [f"{title}\n{kind.replace('_', ' ')}" for title, (_, kind, _) in zip(titles, panels, strict=True)]
    columns = min(4, len(panels))
    height = -(-len(panels) // columns) * (0.65 + 0.19 * len(models))
    figure, axes = dot_panels(titles, [styles[model].label for model in models], height, columns, line=CHANCE)
    for ax, (set_name, negatives, rows) in zip(axes, panels, strict=True):
        here = table[(table["set"] == set_name) & (table["negatives"] == negatives) & (table["rows"] == rows)]
        for place, model in enumerate(models):
            dots(ax, here[here["model"] == model], place, styles[model], size=4.5)
        ax.set_xlabel("mean AUROC")
    # With few factors an interval can exceed the axis: the figure clips it, the table has it whole.
    same_limits(axes, x=aggregate.range_of(table[["lowest", "highest"]].to_numpy()))
    return figure, table


@styled
def factor_differences(metrics: pd.DataFrame, model: str, confidence: float) -> Drawing:
    """Draw one model minus each rival: a mark per test set, and the mean over factors with its paired-t interval."""
    marks = first_kind(aggregate.paired_differences(metrics[metrics["metric"] == AUROC], model))
    if marks.empty:
        return nothing_to_draw(f"There is no rival to compare {model} with.")
    kept = ["rival", "set", "rows"]
    means = over_factors(marks, kept, confidence, "difference")
    rivals = ordered_models(marks["rival"])
    styles = model_styles([model, *rivals])
    panels = [
        (name, rows)
        for name in aggregate.SETS
        for rows in aggregate.ROWS
        if ((marks["set"] == name) & (marks["rows"] == rows)).any()
    ]
    columns = min(2, len(panels))
    titles = [f"{aggregate.SETS[name]}, {aggregate.ROWS[rows]}" for name, rows in panels]
    height = -(-len(panels) // columns) * (0.6 + 0.24 * len(rivals))
    figure, axes = dot_panels(titles, [styles[rival].label for rival in rivals], height, columns, line=0)
    for ax, (name, rows) in zip(axes, panels, strict=True):
        for place, rival in enumerate(rivals):
            singles, mean = (
                part[(part["set"] == name) & (part["rows"] == rows) & (part["rival"] == rival)]
                for part in (marks, means)
            )
            colour = styles[rival].colour
            ax.plot(singles["difference"], np.full(len(singles), place + 0.2), "|", color=colour, ms=5, alpha=0.8)
            dots(ax, mean, place - 0.12, styles[rival], size=5)
    for ax in axes[-columns:]:
        ax.set_xlabel(f"AUROC: {styles[model].label} − rival")
    same_limits(axes, x=None)
    marks = marks[[*kept, "negatives", "experiment", "factor", "difference"]]
    return figure, marks.merge(means.rename(columns={"value": "mean"}), on=kept, how="left")


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


def dot_panels(
    titles: Sequence[str],
    names: Sequence[str],
    height: float,
    columns: int | None = None,
    *,
    line: float | None = None,
    alike: str = "x",
) -> tuple[Figure, list[Axes]]:
    """Return a figure with a dot plot per title, each with ``dot_rows``; side by side without a number of columns."""
    figure = new_figure(TWO_COLUMNS, height)
    axes = grid_of_axes(figure, len(titles), columns or len(titles), alike)
    for ax, title in zip(axes, titles, strict=True):
        dot_rows(ax, names, line)
        ax.set_title(title)
    return figure, axes


def dot_rows(ax: Axes, names: Sequence[str], line: float | None = None) -> None:
    """Set up the rows of a dot plot, the first on top, with names in the first column of a grid and shaded in turn.

    ``line`` is where no difference (0) or chance is marked.
    """
    for row in range(0, len(names), 2):
        ax.axhspan(row - 0.5, row + 0.5, color=GRID, alpha=0.45, linewidth=0)
    if line is not None:
        ax.axvline(line, color=MUTED if line else INK, linewidth=0.7, linestyle=":" if line else "-")
    place = ax.get_subplotspec()
    shown = names if place is None or place.is_first_col() else ()
    ax.set_yticks(range(len(shown)), shown)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    # Automatic placement of the label, even if empty, inspects every tick.
    ax.yaxis.set_label_coords(0, 0.5)


def dots(
    ax: Axes,
    part: pd.DataFrame,
    places: "float | np.ndarray | pd.Series[float]",
    style: ModelStyle,
    size: float = 3.6,
    filled: bool = True,
    label: str | None = None,
) -> None:
    """Draw ``value`` with a bar from ``lower`` to ``upper`` at the given vertical positions."""
    values = part["value"].to_numpy(dtype=float)
    bounds = [values - part["lower"].to_numpy(dtype=float), part["upper"].to_numpy(dtype=float) - values]
    ax.errorbar(
        values,
        np.broadcast_to(places, values.shape),
        xerr=np.clip(bounds, 0, None),
        fmt=style.marker,
        color=style.colour,
        markerfacecolor=style.colour if filled else "white",
        markersize=size,
        elinewidth=0.9,
        label=label or style.label,
    )
