"""Figures of training (overlap of test sets with it, learning curves, searches) and of gates (weights, subsets)."""

import numpy as np
import pandas as pd

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.performance import dot_rows, dots
from tfbs_moe.figures.style import (
    INK,
    TWO_COLUMNS,
    Drawing,
    heat_map,
    model_styles,
    new_figure,
    nothing_to_draw,
    ordered_models,
    row_offsets,
    shared_legend,
    styled,
)
from tfbs_moe.statistics.units import first_kind

ANY = "any"
_SHARES = "shares_kmer_"
_CELL_HEIGHT = 0.2
_MOST_COLUMNS = 4


def overlap_shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the fraction (``share``) of bound test sequences that overlap training, per test and training experiment.

    ``rows`` holds audit tables with ``label`` and the columns of ``Study.identity``; ``training`` of the result is an
    experiment or ``any``.
    """
    bound = rows[rows["label"] == 1]
    training = [column for column in rows.columns if column.startswith(_SHARES)]
    parts = []
    for (experiment, negatives), group in bound.groupby(["experiment", "negatives"], sort=False):
        identity = {"experiment": experiment, "negatives": negatives, "n": len(group)}
        parts += [
            identity | {"training": column.removeprefix(_SHARES), "share": group[column].mean()} for column in training
        ]
        parts.append(identity | {"training": ANY, "share": group["overlaps_training"].mean()})
    return pd.DataFrame(parts, columns=["experiment", "negatives", "training", "share", "n"])


@styled
def overlap_overview(rows: pd.DataFrame) -> Drawing:
    """Draw the fractions of ``overlap_shares`` as a heat map."""
    table = overlap_shares(rows) if len(rows) else pd.DataFrame()
    if table.empty:
        return nothing_to_draw("No test set was audited.")
    tests = aggregate.ordered_tests(rows)
    matrix = table.pivot_table(index="experiment", columns="training", values="share", sort=False)
    matrix = matrix.loc[tests["experiment"]].set_axis(tests["label"])
    figure = new_figure(min(TWO_COLUMNS, 1.6 + 0.5 * matrix.shape[1]), 0.9 + _CELL_HEIGHT * len(matrix))
    ax = figure.subplots()
    heat_map(ax, matrix, "share of bound test rows", percent=True)
    ax.set_xlabel("training experiment")
    return figure, table


@styled
def learning_curves(history: pd.DataFrame) -> Drawing:
    """Draw training loss and validation AUROC by epoch, a column per model and a line per seed.

    ``history`` holds ``history.tsv`` of every training with ``model`` and ``seed``, and in ``kept`` whether an epoch's
    weights were kept: after fine-tuning not those of the highest AUROC, if the gate had it before its experts moved.
    """
    if history.empty:
        return nothing_to_draw("Nothing was trained.")
    models = ordered_models(history["model"])
    styles = model_styles(models)
    bands, columns = _panels(len(models))
    figure = new_figure(TWO_COLUMNS, 2.6 * bands)
    axes = figure.subplots(2 * bands, columns, squeeze=False, sharey="row")
    for place in range(bands * columns):
        band, column = divmod(place, columns)
        pair = (axes[2 * band, column], axes[2 * band + 1, column])
        if place >= len(models):
            for ax in pair:
                ax.axis("off")
            continue
        model = models[place]
        for _, curve in history[history["model"] == model].groupby("seed"):
            colour = styles[model].colour
            pair[0].plot(curve["epoch"], curve["train_loss"], color=colour, alpha=0.8)
            pair[1].plot(curve["epoch"], curve["validation_auroc"], color=colour, alpha=0.8)
            best = curve[curve["kept"]]
            pair[1].plot(best["epoch"], best["validation_auroc"], "o", color=colour, markerfacecolor="white", ms=4)
        pair[0].set_title(styles[model].label)
        pair[1].set_xlabel("epoch")
        if column == 0:
            pair[0].set_ylabel("training loss")
            pair[1].set_ylabel("validation AUROC")
    return figure, history


@styled
def searches(trials: pd.DataFrame) -> Drawing:
    """Draw the validation AUROC of every trial, a panel per expert; ``trials`` is ``trials.tsv`` with ``model``."""
    measured = trials.dropna(subset=["validation_auroc"])
    if measured.empty:
        return nothing_to_draw("No trial was trained.")
    models = ordered_models(measured["model"])
    styles = model_styles(models)
    bands, columns = _panels(len(models))
    figure = new_figure(TWO_COLUMNS, 1.9 * bands)
    axes = figure.subplots(bands, columns, squeeze=False, sharey=True)
    for ax in axes.flat[len(models) :]:
        ax.axis("off")
    for ax, model in zip(axes.flat, models, strict=False):
        found = measured[measured["model"] == model].sort_values("trial")
        complete = found[found["state"] == "complete"]
        others = found[found["state"] != "complete"]
        colour = styles[model].colour
        ax.plot(others["trial"], others["validation_auroc"], "o", color=colour, markerfacecolor="white", ms=3)
        ax.plot(complete["trial"], complete["validation_auroc"], "o", color=colour, ms=3)
        ax.step(complete["trial"], complete["validation_auroc"].cummax(), where="post", color=colour, linewidth=1)
        if len(complete):
            best = int(complete["validation_auroc"].to_numpy().argmax())
            place = complete["trial"].iloc[best], complete["validation_auroc"].iloc[best]
            ax.plot(*place, "o", color=INK, markerfacecolor="none", ms=7)
        ax.set_title(styles[model].label)
        ax.set_xlabel("trial")
    for ax in axes[:, 0]:
        ax.set_ylabel("validation AUROC")
    return figure, trials


def _panels(count: int) -> tuple[int, int]:
    """Return the numbers of rows and columns for ``count`` panels."""
    columns = min(_MOST_COLUMNS, count)
    return -(-count // columns), columns


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
