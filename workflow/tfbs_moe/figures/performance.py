"""Figures of classification performance, bound against unbound sequences."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.style import (
    GRID,
    INK,
    MUTED,
    TWO_COLUMNS,
    Drawing,
    ModelStyle,
    grid_of_axes,
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


@styled
def auroc_by_factor(metrics: pd.DataFrame, metric: str = AUROC) -> Drawing:
    """Draw a metric with its interval per test set and model, for all and for overlap-free sequences.

    ``metrics`` holds one protocol's rows of ``evaluation/metrics.tsv``, here and below.
    """
    table = aggregate.over_seeds(metrics[metrics["metric"] == metric])
    if table.empty:
        return nothing_to_draw(f"No {metric} was measured.")
    models = ordered_models(table["model"])
    styles = model_styles(models)
    tests = aggregate.ordered_tests(table)
    panels = [rows for rows in aggregate.ROWS if (table["rows"] == rows).any()]
    height = 0.9 + len(tests) * max(0.22, _ROW_HEIGHT * len(models) * 0.8) + 0.14 * len(models) / 4
    figure = new_figure(TWO_COLUMNS, height)
    axes = grid_of_axes(figure, len(panels), len(panels), alike="x")
    for ax, rows in zip(axes, panels, strict=True):
        stripes(ax, len(tests))
        ax.axvline(CHANCE, color=MUTED, linewidth=0.7, linestyle=":")
        for offset, model in zip(row_offsets(len(models), 0.66), models, strict=True):
            part = tests.merge(table[(table["rows"] == rows) & (table["model"] == model)], how="left")
            dots(ax, part, np.arange(len(tests)) + offset, styles[model])
        ax.set(title=aggregate.ROWS[rows], xlabel=metric_label(metric))
    same_limits(axes, x=None)
    name_rows(axes, list(tests["label"]))
    _divide_sets(axes, tests)
    shared_legend(figure, axes[0], columns=4)
    return figure, table


@styled
def set_means(metrics: pd.DataFrame, confidence: float, metric: str = AUROC) -> Drawing:
    """Draw each model's mean of a metric over the factors of each set, with the factor as the unit."""
    chosen = metrics[metrics["metric"] == metric]
    table = aggregate.over_factors(chosen, confidence)
    if table.empty:
        return nothing_to_draw(f"No {metric} was measured.")
    models = ordered_models(table["model"])
    styles = model_styles(models)
    panels = list(table[["set", "negatives", "rows"]].drop_duplicates().itertuples(index=False, name=None))
    panels.sort(key=lambda panel: (list(aggregate.SETS).index(panel[0]), panel[1], panel[2]))
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(TWO_COLUMNS, rows * (0.65 + 0.19 * len(models)))
    axes = grid_of_axes(figure, len(panels), columns, alike="x")
    several = table["negatives"].nunique() > 1
    for ax, (set_name, negatives, row_set) in zip(axes, panels, strict=True):
        here = table[(table["set"] == set_name) & (table["negatives"] == negatives) & (table["rows"] == row_set)]
        stripes(ax, len(models))
        ax.axvline(CHANCE, color=MUTED, linewidth=0.7, linestyle=":")
        for place, model in enumerate(models):
            part = here[here["model"] == model]
            dots(ax, part, np.full(len(part), place), styles[model], size=4.5)
        title = f"{aggregate.SETS[set_name]}\n{aggregate.ROWS[row_set]}"
        ax.set_title(f"{title}\n{negatives.replace('_', ' ')}" if several else title)
        ax.set_xlabel(f"mean {metric_label(metric)}")
    # With few factors an interval can exceed the axis: the figure clips it, the table has it whole.
    same_limits(axes, x=aggregate.range_of(table[["lowest", "highest"]].to_numpy()))
    name_rows(axes, [styles[model].label for model in models])
    return figure, table


@styled
def factor_differences(metrics: pd.DataFrame, model: str, confidence: float, metric: str = AUROC) -> Drawing:
    """Draw one model minus each rival: a mark per test set, and the mean over factors with its paired-t interval."""
    marks = first_kind(aggregate.paired_differences(metrics[metrics["metric"] == metric], model))
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
    figure = new_figure(TWO_COLUMNS, -(-len(panels) // columns) * (0.6 + 0.24 * len(rivals)))
    axes = grid_of_axes(figure, len(panels), columns, alike="x")
    for ax, (name, rows) in zip(axes, panels, strict=True):
        stripes(ax, len(rivals))
        ax.axvline(0, color=INK, linewidth=0.7)
        for place, rival in enumerate(rivals):
            singles, mean = (
                part[(part["set"] == name) & (part["rows"] == rows) & (part["rival"] == rival)]
                for part in (marks, means)
            )
            colour = styles[rival].colour
            ax.plot(singles["difference"], np.full(len(singles), place + 0.2), "|", color=colour, ms=5, alpha=0.8)
            dots(ax, mean, np.full(len(mean), place - 0.12), styles[rival], size=5)
        ax.set(title=f"{aggregate.SETS[name]}, {aggregate.ROWS[rows]}")
    for ax in axes[-columns:]:
        ax.set_xlabel(f"{metric_label(metric)}: {styles[model].label} − rival")
    same_limits(axes, x=None)
    name_rows(axes, [styles[rival].label for rival in rivals])
    marks = marks[[*kept, "negatives", "experiment", "factor", "difference"]]
    return figure, marks.merge(means.rename(columns={"value": "mean"}), on=kept, how="left")


def dots(
    ax: Axes,
    part: pd.DataFrame,
    places: "np.ndarray | pd.Series[float]",
    style: ModelStyle,
    size: float = 3.6,
    filled: bool = True,
    label: str | None = None,
) -> None:
    """Draw ``value`` with a bar from ``lower`` to ``upper`` at the given vertical positions."""
    values = part["value"].to_numpy(dtype=float)
    low = np.clip(values - part["lower"].to_numpy(dtype=float), 0, None)
    high = np.clip(part["upper"].to_numpy(dtype=float) - values, 0, None)
    ax.errorbar(
        values,
        places,
        xerr=np.vstack([low, high]),
        fmt=style.marker,
        color=style.colour,
        markerfacecolor=style.colour if filled else "white",
        markersize=size,
        elinewidth=0.9,
        label=label or style.label,
    )


def name_rows(axes: Sequence[Axes], names: Sequence[str]) -> None:
    """Label the rows of dot plots, the first on top, left of the first panel of each line of a grid."""
    for ax in axes:
        place = ax.get_subplotspec()
        shown = names if place is None or place.is_first_col() else ()
        ax.set_yticks(range(len(shown)), shown)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        # Automatic placement of the label, even if empty, inspects every tick.
        ax.yaxis.set_label_coords(0, 0.5)


def stripes(ax: Axes, rows: int) -> None:
    """Shade every other row of a dot plot."""
    for row in range(0, rows, 2):
        ax.axhspan(row - 0.5, row + 0.5, color=GRID, alpha=0.45, linewidth=0)


def _divide_sets(axes: Sequence[Axes], tests: pd.DataFrame) -> None:
    """Draw a line between the test sets of different sets."""
    for place in np.flatnonzero(tests["set"].to_numpy()[1:] != tests["set"].to_numpy()[:-1]):
        for ax in axes:
            ax.axhline(place + 0.5, color=INK, linewidth=0.8)


def metric_label(metric: str) -> str:
    """Return a metric's name for an axis."""
    return metric.upper() if metric in (AUROC, "auprc") else metric.replace("_", " ")
