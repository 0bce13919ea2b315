"""The report's section on attribution methods and motifs."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from tfbs_moe.attribution.evaluation.agreement import SAME
from tfbs_moe.attribution.names import INSIDE_PADDING, in_words
from tfbs_moe.figures.catalogue import ATTRIBUTION_SUMMARY, MOTIF_MATCHES
from tfbs_moe.genome.assemblies import PLANTED
from tfbs_moe.report.inputs import COMPARISON, EQUIVARIANCE, MOTIF_SUMMARY, SANITY, Run, blocks_of, pictures, table_of
from tfbs_moe.report.page import Block, Fold, Items, Section, Text, as_download, make_table, number
from tfbs_moe.statistics.units import by_factor

# Measures for the verdicts on methods; the first that the run has is used.
_TRUTHS = ("site_average_precision", "matrix_average_precision", "ism_rank_correlation")
_SHIFTSMOOTH = "shiftsmooth"
# Fraction of sequences with ShiftSmooth equal to the gradient from which a model counts as translation-invariant.
_MOSTLY = 0.5
_SHIFTED = (("shiftsmooth", "gradient"), ("shiftsmooth_corrected", "gradient_corrected"))
_BLIND = (
    "The gradient of a network that scores a pattern the same at every position, as a convolution under global "
    "pooling does, moves with the sequence, and averaging over shifts returns the gradient itself, except where the "
    "sequence at the window’s ends changes a best match."
)
_INSIDE = (
    " Shifted within the neutral columns that the network itself adds to a sequence, so that no base leaves or "
    "enters, ShiftSmooth has a rank correlation of {} with the gradient{}"
)
_EQUAL = ": it is the gradient, and any other difference comes from the window’s ends."
_SEEING = "Shifts change its gradient, so ShiftSmooth averages over something; the comparison says whether that helps."
_MATRIX = (
    "No site is known for certain in real DNA. Attributions are compared with the best match of the factor’s JASPAR "
    "matrix in each sequence that has one, and, as a control, against that of the matrix with its columns shuffled; "
    "factors without a matrix are not evaluated in this way."
)
_PLANTED = (
    "Sites were planted in this study’s sequences at known places, so attributions can be compared with the truth."
)


def attribution(run: Run) -> Section:
    """Build the section: attribution methods, their checks, and discovered motifs."""
    planted = run.study.genome.assembly == PLANTED
    blocks: list[Block] = [
        Text(_PLANTED if planted else _MATRIX),
        *pictures(run, "localisation"),
        *blocks_of(run, COMPARISON, "Comparison of the methods", _comparison),
        *pictures(run, "attribution_grid"),
        *pictures(run, "site_profiles"),
        Fold("Attribution as a table", blocks_of(run, ATTRIBUTION_SUMMARY, _CAPTION, _table)),
        Text("Where ShiftSmooth can matter", style="heading"),
        *blocks_of(run, EQUIVARIANCE, "Equivariance of the models", _equivariance),
        *pictures(run, "shifts"),
        *pictures(run, "cost"),
        Text("Do attributions depend on what was learned?", style="heading"),
        *blocks_of(run, SANITY, "Randomised weights and labels", _sanity),
        Text("Logos", style="heading"),
        *pictures(run, "logos"),
        Text("Motifs", style="heading"),
        *blocks_of(run, MOTIF_SUMMARY, "Motif discovery", _motifs),
    ]
    return Section("attribution", "Attribution and motifs", blocks)


_CAPTION = "Every measure of every method, means over factors; the saved file has each test set with its interval."


def _table(run: Run, table: pd.DataFrame) -> list[Block]:
    """Average every measure over factors; the download has each test set."""
    keys = ["protocol", "model", "method", "passes", "metric"]
    means = _over_factors(table, keys)
    shown = make_table(means, _CAPTION, ATTRIBUTION_SUMMARY.split(".")[0])
    content = table.to_csv(sep="\t", index=False, float_format="%.10g", lineterminator="\n").encode()
    return [replace(shown, download=as_download(ATTRIBUTION_SUMMARY, content))]


def _over_factors(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return mean, lowest and highest value over factors, and how many there are, for each of ``keys``."""
    groups = by_factor(table, keys, ["value"]).groupby(keys, sort=False, as_index=False)
    return groups.agg(
        value=("value", "mean"), lowest=("value", "min"), highest=("value", "max"), factors=("value", "count")
    )


def _comparison(run: Run, table: pd.DataFrame) -> list[Block]:
    chosen = table[(table["metric"] == _evaluated_by(table)) & (table["models"] == "mixtures")]
    said = [f"{row['protocol']}: {row['sentence']}" for row in chosen.to_dict("records")]
    shown = make_table(
        table.drop(columns="sentence"),
        "Every method against the gradient, and corrected ones against the corrected gradient, by every measure.",
        COMPARISON,
    )
    return [*([Items(said)] if said else []), Fold("Every comparison of methods", [shown])]


def _evaluated_by(table: pd.DataFrame) -> str | None:
    """Return the measure for the verdicts on methods."""
    present = set(table["metric"])
    return next((name for name in _TRUTHS if name in present), None)


def _gains(run: Run) -> list[str]:
    """Return the gain of shifting over the gradient, corrected or not, for the experts of each architecture."""
    table = run.table(COMPARISON)
    if table is None:
        return []
    pairs = table[["method", "reference"]].apply(tuple, axis=1).isin(_SHIFTED)
    chosen = table[pairs & (table["metric"] == _evaluated_by(table)) & (table["models"] != "mixtures")]
    return [f"{row['protocol']}: {row['sentence']}" for row in chosen.to_dict("records")]


def _equivariance(run: Run, table: pd.DataFrame) -> list[Block]:
    measures = [
        "logit_change",
        "logit_change_relative",
        "gradient_rank_correlation",
        "gradient_cosine",
        "gradient_change",
    ]
    keys = ["protocol", "model"]
    means = by_factor(table, keys, measures).groupby(keys, sort=False, as_index=False)[measures].mean()
    caption = (
        f"How far each model’s logit and gradient move when a sequence is shifted by up to {table['shifts'].max()} "
        "base(s) and moved back: means over factors."
    )
    every = make_table(table, "Equivariance on every test set.", EQUIVARIANCE.split(".")[0])
    said = [sentence for row in means.to_dict("records") if (sentence := _why(run, row))]
    said += _gains(run)
    blocks: list[Block] = [Items(said)] if said else []
    return [*blocks, make_table(means, caption, "equivariance-means"), Fold("Equivariance on every test set", [every])]


def _why(run: Run, row: Mapping[Any, Any]) -> str:
    """Explain how much ShiftSmooth differs from one model's gradient, and why."""
    summary = run.table(ATTRIBUTION_SUMMARY)
    if summary is None:
        return ""
    mine = summary[(summary["protocol"] == row["protocol"]) & (summary["model"] == row["model"])]
    mine = by_factor(mine, ["method", "metric"], ["value"])

    def mean(method: str, metric: str) -> float:
        return float(mine.loc[(mine["method"] == method) & (mine["metric"] == metric), "value"].mean())

    alike, same = mean(_SHIFTSMOOTH, "gradient_rank_correlation"), mean(_SHIFTSMOOTH, "gradient_same")
    if math.isnan(alike):
        return ""
    inside = mean(INSIDE_PADDING, "gradient_rank_correlation")
    moved = float(str(row["gradient_rank_correlation"]))
    return (
        f"{row['protocol']}, {run.label(row['protocol'], row['model'])}: ShiftSmooth has a rank correlation of "
        f"{number(alike, 4)} with the gradient and is the same (above {SAME}) in {same:.0%} of the sequences; the "
        f"shifted gradient has one of {number(moved, 4)} with the unshifted. {_BLIND if same >= _MOSTLY else _SEEING}"
        f"{'' if math.isnan(inside) else _INSIDE.format(number(inside, 5), _EQUAL if inside > SAME else '.')}"
    )


def _sanity(run: Run, table: pd.DataFrame) -> list[Block]:
    keys = ["protocol", "model", "randomised", "method", "step", "layer"]
    means = _over_factors(table, keys).rename(columns={"value": "rank_correlation"})
    weights, labels = (means[means["randomised"] == kind] for kind in ("weights", "labels"))
    last = weights[weights["step"] == weights.groupby(keys[:4])["step"].transform("max")]
    said = [
        f"{row['protocol']}, {run.label(row['protocol'], row['model'])}: with all weights randomised, "
        f"{in_words(str(row['method']))} keeps a rank correlation of "
        f"{number(float(row['rank_correlation']))} with what it was; a method that shows what was learned falls to 0."
        for row in last[last["model"].str.startswith("moe.")].to_dict("records")
    ] + [
        f"{row['protocol']}, {run.label(row['protocol'], row['model'])}: for the same network, trained on permuted "
        f"labels, {in_words(str(row['method']))} has a rank correlation of "
        f"{number(float(row['rank_correlation']))} with that of the trained one."
        for row in labels.to_dict("records")
    ]
    caption = (
        "Rank correlation with the trained model’s attributions: layer after layer randomised from the output down "
        "(weights), and a network that was trained on permuted labels (labels)."
    )
    return [
        *([Items(said)] if said else []),
        Fold("Randomised weights, layer by layer, and labels", [make_table(means, caption, SANITY.split(".")[0])]),
    ]


def _motifs(run: Run, summary: pd.DataFrame) -> list[Block]:
    said = [
        f"{row['protocol']}, {run.label(row['protocol'], row['model'])}: {row['sentence']}"
        for row in summary.to_dict("records")
    ]
    group = run.study.genome.jaspar_group
    caption = f"The known matrices that each motif is most like (TOMTOM against JASPAR’s {group})."
    matches = table_of(run, MOTIF_MATCHES, caption)
    return [
        Items(said),
        *pictures(run, "motifs"),
        *pictures(run, "modisco"),
        *pictures(run, "filters"),
        Fold("Motifs and their nearest known matrices", [matches]),
    ]
