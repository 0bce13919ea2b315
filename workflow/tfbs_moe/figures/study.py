"""Figures of the data, the training and the gate."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfbs_moe.figures.style import (
    MUTED,
    TWO_COLUMNS,
    Drawing,
    model_label,
    model_styles,
    new_figure,
    nothing_to_draw,
    ordered_models,
    styled,
)

ANY = "any"
_SHARES = "shares_kmer_"
_DARK = 0.6
"""Share of a colour map's range above which white figures are read more easily than dark ones."""
_CELL_HEIGHT = 0.2
_MOST_COLUMNS = 4


def overlap_shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the share of bound test rows that overlap training, per test set and training experiment.

    Args:
        rows: audit tables, with ``experiment``, ``negatives`` and ``label`` added.

    Returns:
        ``experiment`` ``negatives`` ``training`` (an experiment, or ``any``) ``share`` ``n``.
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
    """Draw the share of bound test rows that overlap training as a heat map.

    Args:
        rows: see ``overlap_shares``.
    """
    table = overlap_shares(rows) if len(rows) else pd.DataFrame()
    if table.empty:
        return nothing_to_draw("No test set was audited.")
    matrix = table.pivot_table(index="experiment", columns="training", values="share", sort=False)
    figure = new_figure(min(TWO_COLUMNS, 1.6 + 0.5 * matrix.shape[1]), 0.9 + _CELL_HEIGHT * len(matrix))
    ax = figure.subplots()
    _heat_map(figure, ax, matrix, "share of bound test rows", percent=True)
    ax.set_xlabel("training experiment")
    return figure, table


@styled
def gate_weights(weights: pd.DataFrame, model: str) -> Drawing:
    """Draw the gate's mean weight per test set and expert, bound beside unbound rows.

    Args:
        weights: rows of ``evaluation/gate_weights.tsv`` of one protocol.
        model: which mixture.
    """
    gate = model.removeprefix("moe.")
    column = "model" if "model" in weights else "gate"
    chosen = weights[weights[column].isin([model, gate])] if len(weights) else weights
    if chosen.empty:
        return nothing_to_draw(f"No gate weights of {model} were recorded.")
    keys = ["experiment", "negatives", "label", "expert"]
    chosen = chosen.assign(label=chosen["label"].astype(str).replace({"1": "bound", "0": "unbound"}))
    table = chosen.groupby(keys, sort=False, as_index=False).agg(weight=("value", "mean"))
    first = table.groupby("experiment", sort=False)["negatives"].transform("first")
    shown = table[(table["negatives"] == first) & table["label"].isin(["bound", "unbound"])]
    labels = [label for label in ("bound", "unbound") if (shown["label"] == label).any()]
    experiments = shown["experiment"].nunique()
    figure = new_figure(TWO_COLUMNS, 0.9 + _CELL_HEIGHT * experiments)
    axes = figure.subplots(1, len(labels), sharey=True, squeeze=False)[0]
    for ax, label in zip(axes, labels, strict=True):
        matrix = shown[shown["label"] == label].pivot_table(
            index="experiment", columns="expert", values="weight", sort=False
        )
        _heat_map(figure, ax, matrix, "mean weight", bar=ax is axes[-1])
        ax.set(title=f"{label} rows", xlabel="expert")
    return figure, table


@styled
def learning_curves(history: pd.DataFrame) -> Drawing:
    """Draw training loss and validation AUROC by epoch, a column per model and a line per seed.

    Args:
        history: ``history.tsv`` of every training, with ``model`` and ``seed`` added: ``epoch``
            ``train_loss`` ``validation_auroc``.
    """
    if history.empty:
        return nothing_to_draw("Nothing was trained.")
    models = ordered_models(history["model"])
    styles = model_styles(models)
    columns = min(_MOST_COLUMNS, len(models))
    bands = -(-len(models) // columns)
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
            best = curve["validation_auroc"].to_numpy().argmax()
            pair[1].plot(
                curve["epoch"].iloc[best],
                curve["validation_auroc"].iloc[best],
                "o",
                color=colour,
                markerfacecolor="white",
                ms=4,
            )
        pair[0].set_title(styles[model].label)
        pair[1].set_xlabel("epoch")
        if column == 0:
            pair[0].set_ylabel("training loss")
            pair[1].set_ylabel("validation AUROC")
    return figure, history


def _heat_map(
    figure: Figure, ax: Axes, matrix: pd.DataFrame, label: str, percent: bool = False, bar: bool = True
) -> None:
    """Draw a matrix of shares between 0 and 1 with its numbers written in the cells."""
    values = matrix.to_numpy(dtype=float)
    image = ax.imshow(values, cmap="cividis_r", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = f"{value:.0%}" if percent else f"{value:.2f}"
            ax.text(
                column, row, text, ha="center", va="center", color="white" if value > _DARK else "black", fontsize=6
            )
    several = len({str(name).split(".", maxsplit=1)[0] for name in matrix.columns}) > 1
    names = [model_label(name, several).removesuffix(" expert") if "." in name else name for name in matrix.columns]
    crowded = sum(map(len, names)) > 45
    ax.set_xticks(range(len(names)), names, rotation=45 if crowded else 0, ha="right" if crowded else "center")
    ax.set_yticks(range(len(matrix)), list(matrix.index))
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    if bar:
        colour_bar = figure.colorbar(image, ax=ax, shrink=0.8, pad=0.02)
        colour_bar.set_label(label)
        colour_bar.outline.set_edgecolor(MUTED)
