"""The figure of a mixture with experts removed."""

import numpy as np
import pandas as pd

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.performance import dots, stripes
from tfbs_moe.figures.style import (
    INK,
    TWO_COLUMNS,
    Drawing,
    model_styles,
    new_figure,
    nothing_to_draw,
    row_offsets,
    shared_legend,
    styled,
)
from tfbs_moe.statistics.units import first_kind


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
    # Easily distinguished colours: those of a mixture, an expert and a control.
    shown = model_styles(["moe.softmax", "convnet.A", "control.mean"])
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
