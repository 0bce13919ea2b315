"""Figures of attribution methods: where known sites are, agreement, number of shifts, profiles, cost."""

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.ticker import NullFormatter

from tfbs_moe.attribution.names import METHOD_LABELS, METRIC_LABELS
from tfbs_moe.figures import aggregate
from tfbs_moe.figures.performance import dot_panels
from tfbs_moe.figures.style import (
    INK,
    MUTED,
    TWO_COLUMNS,
    Drawing,
    grid_of_axes,
    heat_map,
    new_figure,
    nothing_to_draw,
    same_limits,
    shared_legend,
    styled,
)
from tfbs_moe.statistics.units import over_factors

SITE_METRICS = {
    "site_average_precision": "average precision over positions",
    "site_auroc": "AUROC over positions",
    "site_peak_hit": "strongest position in a site",
}
# Used if no site is known for certain: matches of a known matrix, with a column-shuffled matrix as the control.
MATRIX_METRICS = {
    "matrix_average_precision": "average precision at matrix matches",
    "shuffled_matrix_average_precision": "the same, shuffled matrix (control)",
    "matrix_peak_hit": "strongest position in a match",
}
GRID_METRICS = {
    name: METRIC_LABELS[name]
    for name in (
        "ism_rank_correlation",
        "ism_top_overlap",
        "stability",
        "site_average_precision",
        "matrix_average_precision",
    )
}
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
_MANY_TEST_SETS = 6
_NARROW_TITLE = 32
"""Characters per line of a title, where two panels with their names stand side by side."""


@styled
def localisation(summary: pd.DataFrame, confidence: float) -> Drawing:
    """Draw how well each method finds known sites: a mark per test set, and the mean over factors with its interval.

    Of the models in ``attributions/summary.tsv`` the mixtures are drawn.
    """
    metrics = SITE_METRICS
    table = _of_mixtures(summary, metrics)
    if table.empty:
        metrics = MATRIX_METRICS
        table = _of_mixtures(summary, metrics)
    if table.empty:
        return nothing_to_draw("No site is known in the sequences of this study, so there is no truth to compare with.")
    methods = list(dict.fromkeys(table["method"]))
    order, groups = list(metrics), table.groupby(["metric", "protocol", "model"], sort=False)
    panels = sorted(((tuple(map(str, key)), part) for key, part in groups), key=lambda panel: order.index(panel[0][0]))
    columns = min(len(metrics), len(panels))
    titles = [f"{metrics[metric]}\n{protocol}, {model}" for (metric, protocol, model), _ in panels]
    height = -(-len(panels) // columns) * (0.75 + 0.2 * len(methods))
    figure, axes = dot_panels(titles, [METHOD_LABELS.get(name, name) for name in methods], height, columns, alike="")
    rows = []
    for ax, (_, part) in zip(axes, panels, strict=True):
        means = over_factors(part, ["metric", "protocol", "model", "method"], confidence)
        rows.append(means)
        for chance in means.loc[means["method"] == "random", "value"]:
            ax.axvline(chance, color=MUTED, linewidth=0.7, linestyle=":")
        for place, method in enumerate(methods):
            values = part.loc[part["method"] == method, "value"]
            mean = means[means["method"] == method]
            ax.plot(values, np.full(len(values), place + 0.2), "|", color=MUTED, markersize=5)
            ax.plot(mean[["lower", "upper"]].T, [place - 0.1] * 2, color=INK, linewidth=0.9)
            ax.plot(mean["value"], [place - 0.1] * len(mean), "o", color=INK, markersize=4)
        ax.set_xlim(0, 1)
    return figure, pd.concat(rows, ignore_index=True)


@styled
def agreement_grid(summary: pd.DataFrame) -> Drawing:
    """Draw a heat map per metric, methods by test sets, of the mixtures.

    ``summary`` holds one protocol's rows of ``attributions/summary.tsv``, here and in ``cost_against_quality``.
    """
    table = _of_mixtures(summary, GRID_METRICS)
    if table.empty:
        return nothing_to_draw("No attribution was judged.")
    table = table[~_of_itself(table)]
    order = aggregate.ordered_tests(table)
    panels = list(table[["metric", "model"]].drop_duplicates().itertuples(index=False, name=None))
    panels.sort(key=lambda panel: list(GRID_METRICS).index(panel[0]))
    methods, experiments = table["method"].nunique(), table["experiment"].nunique()
    columns = 2 if experiments <= _MANY_TEST_SETS and len(panels) > 1 else 1
    figure = new_figure(TWO_COLUMNS, -(-len(panels) // columns) * (1.15 + 0.2 * methods))
    axes = grid_of_axes(figure, len(panels), columns)
    for ax, (metric, model) in zip(axes, panels, strict=True):
        here = table[(table["metric"] == metric) & (table["model"] == model)]
        matrix = here.pivot_table(index="method", columns="experiment", values="value", sort=False)
        matrix = matrix.reindex(columns=order["experiment"]).set_axis(order["label"], axis=1)
        matrix.index = matrix.index.map(lambda method: METHOD_LABELS.get(method, method))
        heat_map(ax, matrix, "mean over sequences", bar=False)
        title = GRID_METRICS[metric] + (f", {model}" if table["model"].nunique() > 1 else "")
        # The layout does not make room for a title wider than its panel.
        ax.set_title(textwrap.fill(title, _NARROW_TITLE) if columns > 1 else title)
    kept = ["protocol", "model", "experiment", "method", "metric", "value", "lower", "upper", "n"]
    return figure, table[kept].reset_index(drop=True)


@styled
def shift_curves(shifts: pd.DataFrame, confidence: float) -> Drawing:
    """Draw the quality of the mixtures' ShiftSmooth by largest shift (one protocol's ``attributions/shifts.tsv``)."""
    table = _of_mixtures(shifts, CURVE_METRICS)
    if table.empty:
        return nothing_to_draw("No attribution was judged at several numbers of shifts.")
    panels = _present(table, CURVE_METRICS)
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
        ax.set(title=CURVE_METRICS[metric], xlabel="largest shift, bases", xticks=sorted(here["shifts"].unique()))
        rows.append(points)
    return figure, pd.concat(rows, ignore_index=True)


@styled
def site_profiles(profiles: pd.DataFrame) -> Drawing:
    """Draw the mixtures' aggregate profiles around known sites, from one protocol's ``site_profiles.tsv``."""
    table = profiles[profiles["model"].astype(str).str.startswith("moe.")]
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
def cost_against_quality(summary: pd.DataFrame, confidence: float) -> Drawing:
    """Draw the quality of the mixtures' attributions by method against passes through the network per sequence."""
    judged = _of_mixtures(summary, COST_METRICS)
    table = judged[judged["passes"] > 0]
    if table.empty:
        return nothing_to_draw("No attribution was judged.")
    panels = _present(judged, COST_METRICS)
    methods = list(dict.fromkeys(table["method"]))
    figure = new_figure(TWO_COLUMNS, _PANEL_HEIGHT + _LEGEND_HEIGHT)
    axes = grid_of_axes(figure, len(panels), len(panels))
    table = table.assign(value=table["value"].mask(_of_itself(table)))
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
        ax.set(title=COST_METRICS[metric], xscale="log", xlabel="passes through the network per sequence")
        # One range for all panels; within a decade matplotlib's labels between powers of ten overlap.
        ax.set_xlim(0.7 * table["passes"].min(), table["passes"].max() / 0.7)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
    shared_legend(figure, axes[0], columns=3)
    return figure, pd.DataFrame(rows)


def _of_mixtures(summary: pd.DataFrame, metrics: Mapping[str, str]) -> pd.DataFrame:
    """Return the mixtures' rows of the given metrics, without missing values."""
    mixtures = summary["model"].astype(str).str.startswith("moe.")
    return summary[summary["metric"].isin(metrics) & mixtures].dropna(subset=["value"])


def _present(table: pd.DataFrame, metrics: Mapping[str, str]) -> list[str]:
    """Return the metrics of which the table has a value, each of which has a panel."""
    return [metric for metric in metrics if (table["metric"] == metric).any()]


def _of_itself(table: pd.DataFrame) -> "pd.Series[bool]":
    """Mark the agreement of mutagenesis with itself, which says nothing."""
    return table["metric"].str.startswith("ism_") & table["method"].str.startswith("ism")
