"""Figures of mixtures: each beside the first, and with experts removed."""

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
    row_offsets,
    same_limits,
    shared_legend,
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


@styled
def gate_subsets(losses: pd.DataFrame, numbers: pd.DataFrame, model: str) -> Drawing:
    """Draw a mixture's loss of AUROC without each expert, and its mean AUROC by the number of experts present.

    From the rows of one protocol in ``statistics/gate_losses.tsv`` and ``statistics/gate_numbers.tsv``.
    """
    losses, numbers = (first_kind(table[table["model"] == model], "set") for table in (losses, numbers))
    if losses.empty:
        return nothing_to_draw(f"No subsets of the experts of {model} were tried.")
    experts = list(dict.fromkeys(losses["absent"]))
    sets = [name for name in aggregate.SETS if (losses["set"] == name).any()]
    # Easily distinguished colours: those of a mixture, an expert and a baseline.
    shown = model_styles(["moe.softmax", "convnet.A", "baseline.mean"])
    styles = dict(zip(aggregate.SETS, shown.values(), strict=True))
    figure = new_figure(TWO_COLUMNS, max(2.2, 1.0 + 0.3 * len(experts)))
    lost, counted = figure.subplots(1, 2, width_ratios=(3, 2))
    stripes(lost, len(experts))
    lost.axvline(0, color=INK, linewidth=0.7)
    for offset, name in zip(row_offsets(len(sets), 0.3), sets, strict=True):
        part = losses[losses["set"] == name].set_index("absent").reindex(experts)
        places = np.arange(len(experts)) + offset
        dots(lost, part, places, styles[name], size=4.5, label=aggregate.SETS[name])
        line = numbers[numbers["set"] == name].sort_values("n_present")
        counted.plot(line["n_present"], line["value"], marker=styles[name].marker, color=styles[name].colour)
    lost.set_yticks(range(len(experts)), [f"without {expert}" for expert in experts])
    lost.set(xlabel="AUROC lost", title="One expert away", ylim=(len(experts) - 0.5, -0.5))
    lost.tick_params(axis="y", length=0)
    counted.set(xlabel="experts present", ylabel="mean AUROC", title="So many experts")
    counted.set_xticks(sorted(numbers["n_present"].unique()))
    shared_legend(figure, lost, columns=len(sets))
    both = [losses.assign(panel="one expert away"), numbers.assign(panel="so many experts")]
    return figure, pd.concat(both, ignore_index=True)
