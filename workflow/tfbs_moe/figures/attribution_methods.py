"""Figures of attribution methods: quality by number of shifts, profiles around sites, quality against cost."""

from collections.abc import Mapping

import pandas as pd

from tfbs_moe.attribution.names import METHOD_LABELS, METRIC_LABELS
from tfbs_moe.figures.style import (
    INK,
    MUTED,
    TWO_COLUMNS,
    Drawing,
    grid_of_axes,
    new_figure,
    nothing_to_draw,
    same_limits,
    shared_legend,
    styled,
)
from tfbs_moe.statistics.units import over_factors

_QUALITY = ("ism_rank_correlation", "site_average_precision", "matrix_average_precision")
CURVE_METRICS = {"gradient_rank_correlation": "rank correlation with no shift"} | {
    name: METRIC_LABELS[name] for name in _QUALITY
}
COST_METRICS = {name: METRIC_LABELS[name] for name in (*_QUALITY, "infidelity")}
# Okabe and Ito's colours; a method keeps its colour and marker in every panel.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5A5A5A")
_MARKERS = "os^vD<>pXdh"
PROFILE_METHODS = ("gradient_corrected", "shiftsmooth_corrected", "ism_corrected", "gradient", "shiftsmooth")
"""The first three of these methods that the run has are drawn around sites."""
_PROFILE_LINES = 3
_PANELS_PER_ROW = 3
_PANEL_HEIGHT = 1.9
_LEGEND_HEIGHT = 0.55


@styled
def shift_curves(shifts: pd.DataFrame, confidence: float, metrics: Mapping[str, str] = CURVE_METRICS) -> Drawing:
    """Draw the quality of the mixtures' ShiftSmooth by largest shift, from one protocol's ``attributions/shifts.tsv``.

    ``metrics`` maps metrics to panel titles; those without a value are omitted.
    """
    table, panels = _of_mixtures(shifts, metrics)
    if table.empty:
        return nothing_to_draw("No attribution was judged at several numbers of shifts.")
    figure = new_figure(TWO_COLUMNS, _PANEL_HEIGHT)
    rows = []
    for ax, metric in zip(grid_of_axes(figure, len(panels), len(panels)), panels, strict=True):
        here = table[table["metric"] == metric]
        for _, line in here.groupby(["model", "experiment"], sort=False):
            ax.plot(line["shifts"], line["value"], color=MUTED, linewidth=0.5, alpha=0.7)
        points = over_factors(here.sort_values("shifts"), ["metric", "model", "shifts"], confidence)
        for _, line in points.groupby("model", sort=False):
            ax.fill_between(line["shifts"], line["lower"], line["upper"], color=INK, alpha=0.12, lw=0)
            ax.plot(line["shifts"], line["value"], "o-", color=INK, markersize=3)
        ax.set(title=metrics[metric], xlabel="largest shift, bases", xticks=sorted(here["shifts"].unique()))
        rows.append(points)
    return figure, pd.concat(rows, ignore_index=True)


@styled
def site_profiles(profiles: pd.DataFrame) -> Drawing:
    """Draw the mixtures' aggregate profiles around known sites, from one protocol's ``site_profiles.tsv``."""
    table = profiles[profiles["model"].str.startswith("moe.")] if len(profiles) else profiles
    if table.empty:
        return nothing_to_draw("No site is known in the explained sequences, so there is nothing to look around.")
    present = set(table["method"])
    drawn = [method for method in PROFILE_METHODS if method in present][:_PROFILE_LINES]
    table = table[table["method"].isin(drawn)]
    experiments = list(dict.fromkeys(table["experiment"]))
    columns = min(_PANELS_PER_ROW, len(experiments))
    figure = new_figure(TWO_COLUMNS, -(-len(experiments) // columns) * _PANEL_HEIGHT + _LEGEND_HEIGHT)
    axes = grid_of_axes(figure, len(experiments), columns, alike="x")
    for place, (ax, experiment) in enumerate(zip(axes, experiments, strict=True)):
        here = table[table["experiment"] == experiment]
        first = here[here["method"] == drawn[0]]
        share = ax.twinx()
        share.fill_between(first["offset"], first["site_share"], color=MUTED, alpha=0.2, lw=0)
        share.set(ylim=(0, 1), yticks=[])
        for colour, method in zip(_COLOURS, drawn, strict=False):
            line = here[here["method"] == method]
            ax.plot(line["offset"], line["value"], color=colour, label=METHOD_LABELS.get(method, method))
        ax.axhline(1, color=MUTED, linewidth=0.7, linestyle=":")
        ax.set(title=f"{experiment} ({first['n'].max()} sites)", xlabel="bases from the middle of the site")
        ax.set_ylabel("strength, mean is 1" if place % columns == 0 else "")
    same_limits(axes, x=None)
    shared_legend(figure, axes[0], columns=_PROFILE_LINES)
    return figure, table[["protocol", "model", "experiment", "method", "offset", "value", "sd", "n", "site_share"]]


@styled
def cost_against_quality(
    summary: pd.DataFrame, confidence: float, metrics: Mapping[str, str] = COST_METRICS
) -> Drawing:
    """Draw the quality of the mixtures' attributions by method against passes through the network per sequence.

    ``summary`` holds one protocol's rows of ``attributions/summary.tsv``; ``metrics`` maps metrics to panel titles,
    those without a value are omitted.
    """
    table, panels = _of_mixtures(summary, metrics)
    table = table[table["passes"] > 0] if len(table) else table
    if table.empty:
        return nothing_to_draw("No attribution was judged.")
    methods = list(dict.fromkeys(table["method"]))
    figure = new_figure(TWO_COLUMNS, _PANEL_HEIGHT + _LEGEND_HEIGHT)
    axes = grid_of_axes(figure, len(panels), len(panels))
    # The agreement of mutagenesis with itself says nothing.
    itself = table["metric"].str.startswith("ism_") & table["method"].str.startswith("ism")
    table = table.assign(value=table["value"].mask(itself))
    rows = []
    for ax, metric in zip(axes, panels, strict=True):
        means = over_factors(table[table["metric"] == metric], ["metric", "method"], confidence).set_index("method")
        means = means.reindex(methods)
        for place, method in enumerate(methods):
            mean = means.loc[method]
            passes = int(table.loc[table["method"] == method, "passes"].iloc[0])
            color, marker = _COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)]
            label = METHOD_LABELS.get(method, method)
            ax.plot([passes] * 2, [mean["lower"], mean["upper"]], color=color, linewidth=0.8)
            ax.plot(passes, mean["value"], linestyle="none", markersize=4, label=label, color=color, marker=marker)
            rows.append({"metric": metric, "method": method, "passes": passes} | dict(mean.drop("metric")))
        ax.set(title=metrics[metric], xscale="log", xlabel="passes through the network per sequence")
    shared_legend(figure, axes[0], columns=3)
    return figure, pd.DataFrame(rows)


def _of_mixtures(table: pd.DataFrame, metrics: Mapping[str, str]) -> tuple[pd.DataFrame, list[str]]:
    """Return the mixtures' rows of the given metrics, without missing values, and the metrics present."""
    if table.empty:
        return table, []
    kept = table[table["metric"].isin(metrics) & table["model"].str.startswith("moe.")].dropna(subset=["value"])
    present = set(kept["metric"])
    return kept, [metric for metric in metrics if metric in present]
