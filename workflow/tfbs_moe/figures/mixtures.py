"""Figures of mixtures: each beside the first, the weights of a gate, and with experts removed."""

import numpy as np
import pandas as pd

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.performance import dot_panels, dot_rows, dots
from tfbs_moe.figures.style import (
    TWO_COLUMNS,
    Drawing,
    heat_map,
    model_styles,
    new_figure,
    nothing_to_draw,
    row_offsets,
    same_limits,
    shared_legend,
    styled,
)
from tfbs_moe.statistics.units import first_kind

_FEWEST = 2
_CELL_HEIGHT = 0.2


@styled
def ablation(table: pd.DataFrame) -> Drawing:
    """Draw the paired difference of each mixture from the first, a panel per set (``statistics/ablation.tsv``)."""
    shown = first_kind(table[table["rows"] == "all"], "set")
    mixtures = list(dict.fromkeys(zip(shown["protocol"], shown["model"], strict=True)))
    if len(mixtures) < _FEWEST:
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


@styled
def gate_weights(weights: pd.DataFrame, model: str) -> Drawing:
    """Draw a gate's mean weight per test set and expert on bound and unbound sequences.

    ``weights`` holds one protocol's rows of ``evaluation/gate_weights.tsv``.
    """
    chosen = weights[weights["model"] == model]
    if chosen.empty:
        return nothing_to_draw(f"No gate weights of {model} were recorded.")
    table = chosen.groupby([*aggregate.TEST_SET, "label", "expert"], sort=False, as_index=False).agg(
        value=("value", "mean"), lower=("lower", "mean"), upper=("upper", "mean"), seeds=("seed", "nunique")
    )
    shown = first_kind(table)
    shown = shown[shown["label"].isin(["bound", "unbound"])]
    labels = [label for label in ("bound", "unbound") if (shown["label"] == label).any()]
    tests = aggregate.ordered_tests(shown)
    figure = new_figure(TWO_COLUMNS, 0.9 + _CELL_HEIGHT * len(tests))
    axes = figure.subplots(1, len(labels), sharey=True, squeeze=False)[0]
    for ax, label in zip(axes, labels, strict=True):
        here = shown[shown["label"] == label]
        matrix = here.pivot_table(index="experiment", columns="expert", values="value", sort=False)
        matrix = matrix.loc[tests["experiment"]].set_axis(tests["label"])
        heat_map(ax, matrix, "mean weight", bar=ax is axes[-1])
        ax.set(title=f"{label} rows", xlabel="expert")
    return figure, table


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
    dot_rows(lost, [f"without {expert}" for expert in experts], line=0)
    for offset, name in zip(row_offsets(len(sets), 0.3), sets, strict=True):
        part = losses[losses["set"] == name].set_index("absent").reindex(experts)
        places = np.arange(len(experts)) + offset
        dots(lost, part, places, styles[name], size=4.5, label=aggregate.SETS[name])
        line = numbers[numbers["set"] == name].sort_values("n_present")
        counted.plot(line["n_present"], line["value"], marker=styles[name].marker, color=styles[name].colour)
    lost.set(xlabel="AUROC lost", title="One expert away")
    counted.set(xlabel="experts present", ylabel="mean AUROC", title="So many experts")
    counted.set_xticks(sorted(numbers["n_present"].unique()))
    shared_legend(figure, lost, columns=len(sets))
    both = [losses.assign(panel="one expert away"), numbers.assign(panel="so many experts")]
    return figure, pd.concat(both, ignore_index=True)
