"""Comparison figures: published numbers, strata, kinds of negatives, ranks, F statistics and mixtures."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.performance import AUROC, CHANCE, dot_panels, dots
from tfbs_moe.figures.style import (
    INK,
    MUTED,
    ONE_COLUMN,
    TWO_COLUMNS,
    Drawing,
    grid_of_axes,
    heat_map,
    model_styles,
    new_figure,
    nothing_to_draw,
    ordered_models,
    row_offsets,
    same_limits,
    shared_legend,
    styled,
)
from tfbs_moe.statistics.factors import ALL_SETS
from tfbs_moe.statistics.paper import PUBLISHED
from tfbs_moe.statistics.units import first_kind, over_factors
from tfbs_moe.study import IN_DISTRIBUTION, OTHER_CELL, UNSEEN, Study

_MOST_PANELS_PER_ROW = 4
_MOST_DRAW_PANELS = 3
_SET_COLOURS = {IN_DISTRIBUTION: "#E69F00", OTHER_CELL: "#009E73", UNSEEN: "#0072B2"}


@styled
def published_comparison(metrics: pd.DataFrame, published: pd.DataFrame) -> Drawing:
    """Draw published numbers beside ours, a panel per model, from ``evaluation/metrics.tsv`` of all protocols."""
    comparison = aggregate.beside_published(metrics, published)
    if comparison.empty:
        return nothing_to_draw("No published number belongs to a model and test set of this study.")
    models = ordered_models(comparison["model"])
    styles = model_styles(models)
    protocols = list(dict.fromkeys(comparison["protocol"]))
    names = list(dict.fromkeys(comparison["name"]))
    figure, axes = dot_panels([styles[model].label for model in models], names, 0.9 + 0.2 * len(names))
    for ax, model in zip(axes, models, strict=True):
        part = comparison[comparison["model"] == model]
        places = part["name"].map(names.index)
        ax.plot(part["published"], places, "|", color=INK, markersize=9, markeredgewidth=1.6, label="published")
        for offset, protocol in zip(row_offsets(len(protocols), 0.35), protocols, strict=True):
            ours = part[part["protocol"] == protocol].rename(columns={"lowest": "lower", "highest": "upper"})
            filled = protocol == protocols[0]
            style = styles[model]
            dots(ax, ours, ours["name"].map(names.index) + offset, style, filled=filled, label=f"ours, {protocol}")
        ax.set_xlabel("AUROC")
    same_limits(axes, x=None)
    handles = [Line2D([], [], marker="|", color=INK, linestyle="", markersize=9, markeredgewidth=1.6)]
    for protocol in protocols:
        face = MUTED if protocol == protocols[0] else "white"
        handles.append(Line2D([], [], marker="o", color=MUTED, markerfacecolor=face, linestyle="", markersize=4))
    figure.legend(
        handles, ["published", *(f"ours, protocol {p}" for p in protocols)], loc="outside lower center", ncols=4
    )
    return figure, comparison


@styled
def strata(metrics: pd.DataFrame, confidence: float) -> Drawing:
    """Draw AUROC by stratum from one protocol's ``evaluation/metrics.tsv``: test sets and the mean over factors."""
    chosen = metrics[(metrics["metric"] == AUROC) & (metrics["rows"] == "all")]
    single = aggregate.over_seeds(first_kind(chosen))
    if single.empty:
        return nothing_to_draw(f"No {AUROC} was measured.")
    models = ordered_models(single["model"])
    styles = model_styles(models)
    shown = aggregate.ordered_strata(single)
    means = over_factors(single, ["stratum", "model", "metric"], confidence).drop(columns="metric")
    counts = single.groupby("stratum")["factor"].nunique()
    titles = [f"{stratum.replace('_', ' ')} (n = {counts[stratum]})" for stratum in shown]
    height = 0.7 + 0.2 * len(models) * -(-len(shown) // _MOST_PANELS_PER_ROW)
    columns = min(_MOST_PANELS_PER_ROW, len(shown))
    figure, axes = dot_panels(titles, [styles[model].label for model in models], height, columns, line=CHANCE)
    for ax, stratum in zip(axes, shown, strict=True):
        for place, model in enumerate(models):
            marks = single[(single["stratum"] == stratum) & (single["model"] == model)]
            mean = means[(means["stratum"] == stratum) & (means["model"] == model)]
            ax.plot(marks["value"], np.full(len(marks), place + 0.22), "|", color=styles[model].colour, ms=5, alpha=0.8)
            dots(ax, mean, place - 0.1, styles[model], size=4.5)
        ax.set_xlabel("AUROC")
    # With two factors an interval can exceed the axis: the figure clips it, the table has it whole.
    same_limits(axes, x=aggregate.range_of(single["value"].to_numpy()))
    marks = single[["stratum", "model", "experiment", "factor", "value"]]
    return figure, marks.merge(means.rename(columns={"value": "mean"}), on=["stratum", "model"])


@styled
def negatives_matrix(metrics: pd.DataFrame, study: Study, confidence: float) -> Drawing:
    """Draw the mixtures' mean AUROC as a heat map: protocols (with training negatives) by kind of test negatives.

    ``metrics`` is ``evaluation/metrics.tsv`` of all protocols.
    """
    shown = (metrics["metric"] == AUROC) & (metrics["rows"] == "all") & metrics["model"].str.startswith("moe.")
    chosen = metrics[shown]
    if chosen.empty:
        return nothing_to_draw(f"No mixture has a {AUROC}.")
    trained_on = {name: recipe["training_negatives"] for name, recipe in study.config["protocols"].items()}
    means = aggregate.over_factors(chosen, confidence)
    means["trained_on"] = means["protocol"].map(trained_on)
    means["row"] = means["protocol"] + " · " + means["trained_on"].str.replace("_", " ")
    if means["model"].nunique() > 1:
        means["row"] += " · " + means["model"].str.removeprefix("moe.")
    panels = [name for name in aggregate.SETS if (means["set"] == name).any()]
    rows, columns = means["row"].nunique(), means["negatives"].nunique()
    figure = new_figure(TWO_COLUMNS if columns * len(panels) > 2 else ONE_COLUMN + 1, 1.1 + 0.24 * rows)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, name in zip(axes, panels, strict=True):
        matrix = means[means["set"] == name].pivot_table(index="row", columns="negatives", values="value", sort=False)
        matrix.columns = matrix.columns.str.replace("_", " ")
        # The numbers stand in the cells: a bar of a row's height would not hold its label.
        heat_map(ax, matrix, "", lowest=CHANCE, bar=False)
        ax.set(title=f"AUROC, {aggregate.SETS[name]}", xlabel="tested against")
    kept = ["protocol", "trained_on", "model", "set", "negatives", "value", "lower", "upper", "n_factors", "seeds"]
    return figure, means[kept]


@styled
def critical_difference(ranks: pd.DataFrame) -> Drawing:
    """Draw the critical-difference diagram of Demšar (2006): mean ranks; bars join models not significantly different.

    ``ranks`` holds one protocol's rows of ``statistics/ranks.tsv``, the best model first.
    """
    chosen = (ranks["metric"] == AUROC) & (ranks["set"] == ALL_SETS) & (ranks["rows"] == "all")
    ranks = first_kind(ranks[chosen], "set")
    if len(ranks) < 2:
        return nothing_to_draw("Ranks need at least two models with values on the same two factors.")
    styles = model_styles(ranks["model"])
    width, count = float(ranks["critical_difference"].iloc[0]), len(ranks)
    half = -(-count // 2)
    groups: dict[str, list[float]] = {}
    for rank, joined in zip(ranks["mean_rank"], ranks["groups"].fillna("").astype(str), strict=True):
        for number in filter(None, joined.split(",")):
            groups.setdefault(number.removesuffix(".0"), []).append(rank)
    depth = 0.35 + 0.16 * len(groups)
    figure = new_figure(TWO_COLUMNS, 0.6 + 0.19 * half + 0.09 * len(groups))
    ax = figure.subplots()
    ax.set(xlim=(0.4, count + 0.6), ylim=(-depth - 0.45 * half, 1.1))
    ax.axis("off")
    ax.plot([1, count], [0, 0], color=INK, linewidth=1)
    for tick in range(1, count + 1):
        ax.plot([tick, tick], [0, 0.12], color=INK, linewidth=0.8)
        ax.text(tick, 0.2, str(tick), ha="center", va="bottom")
    right = min(1 + width, count)
    ax.plot([1, right], [0.75, 0.75], color=MUTED, linewidth=2)
    words = f"critical difference {width:.2f}" if np.isfinite(width) else "too few factors for any difference"
    ax.text((1 + right) / 2, 0.85, words, ha="center", va="bottom", color=MUTED)
    for place, (model, rank) in enumerate(zip(ranks["model"], ranks["mean_rank"], strict=True)):
        left = place < half
        level = -depth - 0.45 * (place if left else count - 1 - place)
        edge = 0.9 if left else count + 0.1
        ax.plot([rank, rank, edge], [0, level, level], color=styles[model].colour, linewidth=0.9)
        label = f"{styles[model].label} ({rank:.2f})"
        ax.text(edge - 0.05 if left else edge + 0.05, level, label, ha="right" if left else "left", va="center")
    for place, members in enumerate(groups.values()):
        level = -0.25 - 0.16 * place
        ax.plot([min(members) - 0.04, max(members) + 0.04], [level, level], color=INK, linewidth=2.2)
    ax.set_title(f"Mean rank by AUROC over {ranks['n'].iloc[0]} factors (1 is best)")
    return figure, ranks


@styled
def f_against_draws(draws: pd.DataFrame) -> Drawing:
    """Draw F against the number of bootstrap or dropout draws, with the F of factors, which is independent of it.

    ``draws`` holds rows of ``statistics/draws.tsv``; a panel per ``source`` and ``protocol``.
    """
    table = draws[draws["statistic"].gt(0)]
    counted = table[table["draws"].notna()]
    if counted.empty:
        return nothing_to_draw("There is no F to hold against a number of draws.")
    panels = list(counted[["source", "protocol"]].drop_duplicates().itertuples(index=False, name=None))
    figure = new_figure(TWO_COLUMNS, 2.7 * -(-len(panels) // _MOST_DRAW_PANELS))
    axes = grid_of_axes(figure, len(panels), min(_MOST_DRAW_PANELS, len(panels)), alike="y")
    for ax, (source, protocol) in zip(axes, panels, strict=True):
        here = table[(table["source"] == source) & (table["protocol"] == protocol)]
        for name, colour in _SET_COLOURS.items():
            lines = here[(here["set"] == name) & here["draws"].notna()]
            for place, (_, line) in enumerate(lines.groupby("experiment", sort=False)):
                label = f"{aggregate.SETS[name]}, one line per test set: draws" if place == 0 else None
                ax.plot(line["draws"], line["statistic"], color=colour, linewidth=0.9, alpha=0.8, label=label)
            for level in here.loc[(here["set"] == name) & here["draws"].isna(), "statistic"]:
                label = f"{aggregate.SETS[name]}: factors as the unit"
                ax.axhline(level, color=colour, linewidth=1.6, linestyle=(0, (4, 1.5)), label=label)
        title = "the authors' own draws" if source == PUBLISHED else f"{source}, protocol {protocol}"
        ax.set(xscale="log", yscale="log", xlabel="draws per model", title=title)
    same_limits(axes, y=None)
    axes[0].set_ylabel("F")
    shared_legend(figure, axes[0], columns=2)
    return figure, draws.reset_index(drop=True)


@styled
def ablation(table: pd.DataFrame) -> Drawing:
    """Draw the paired difference of each mixture from the first, a panel per set (``statistics/ablation.tsv``)."""
    shown = first_kind(table[table["rows"] == "all"], "set")
    mixtures = list(dict.fromkeys(zip(shown["protocol"], shown["model"], strict=True)))
    if len(mixtures) < 2:
        return nothing_to_draw("The study has one mixture; there is nothing to compare it with.")
    panels = [name for name in aggregate.SETS if (shown["set"] == name).any()]
    factors = shown.groupby("set")["n"].agg(["min", "max"]).astype(int)
    titles = [
        f"{aggregate.SETS[name]}, {'–'.join(map(str, sorted(set(factors.loc[name]))))} factors" for name in panels
    ]
    names = [f"{protocol}: {model.removeprefix('moe.').replace('_', ' ')}" for protocol, model in mixtures]
    figure, axes = dot_panels(titles, names, 0.8 + 0.2 * len(mixtures), line=0)
    style = model_styles(["moe.softmax"])["moe.softmax"]
    for ax, name in zip(axes, panels, strict=True):
        here = shown[shown["set"] == name].set_index(["protocol", "model"])
        part = here.reindex(mixtures)[["difference", "difference_lower", "difference_upper"]]
        dots(ax, part.set_axis(["value", "lower", "upper"], axis=1), np.arange(len(mixtures)), style, size=4.5)
        ax.set_xlabel("AUROC: mixture − first one")
    same_limits(axes, x=None)
    return figure, shown
