"""Interactive charts: data for the page's script, beside figures that show the same without it."""

import numpy as np
import pandas as pd

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.item import CURVES, GATE_WEIGHTS, METRICS
from tfbs_moe.figures.style import ModelStyle, model_styles
from tfbs_moe.report.inputs import Run
from tfbs_moe.report.page import Block, Explorer, Missing
from tfbs_moe.statistics.units import first_kind

MOST_MODELS = 12  # Limit of models in a chart; mixtures and controls go before experts.
_CURVE_STEP = 4
_ROUND = 4


def explorers(run: Run) -> list[Block]:
    """Return the charts of AUROC by factor, ROC curves and gate weights whose tables are there."""
    found: list[Block] = []
    metrics, curves, weights = run.table(METRICS), run.table(CURVES), run.table(GATE_WEIGHTS)
    if metrics is not None:
        found.append(_auroc(metrics))
    if curves is not None:
        found.append(_roc(curves))
    if weights is not None:
        found.append(_gate(weights))
    if not found:
        found.append(Missing("Charts to explore", run.why_missing(METRICS)))
    return found


def _auroc(metrics: pd.DataFrame) -> Explorer:
    table = aggregate.over_seeds(metrics[metrics["metric"] == "auroc"]).dropna(subset=["value"])
    table, styles = _limited(table)
    tests = aggregate.ordered_tests(table)
    keys = ["experiment", "negatives"]
    table = tests[[*keys, "label"]].merge(table, on=keys, how="left")
    return Explorer(
        identifier="explore-auroc",
        title="Explore AUROC by factor",
        chart="dots",
        data={
            "models": _legend(styles),
            "panels": {"protocol": _values(table["protocol"]), "rows": _values(table["rows"])},
            "points": _records(table, ["protocol", "rows", "label", "model", "value", "lower", "upper", "n", "seeds"]),
        },
    )


def _roc(curves: pd.DataFrame) -> Explorer:
    table = curves[curves["curve"] == "roc"]
    table, styles = _limited(first_kind(table))
    tests = aggregate.ordered_tests(table)
    label = dict(zip(tests["experiment"], tests["label"], strict=True))
    lines = []
    for (protocol, experiment, model), line in table.groupby(["protocol", "experiment", "model"], sort=False):
        thinned = line.iloc[::_CURVE_STEP]
        points = np.round(thinned[["x", "y"]].to_numpy(dtype=float), 3).tolist()
        lines.append({"protocol": protocol, "label": label[str(experiment)], "model": model, "points": points})
    return Explorer(
        identifier="explore-roc",
        title="Explore ROC curves",
        chart="curves",
        data={
            "models": _legend(styles),
            "panels": {"protocol": _values(table["protocol"]), "label": list(tests["label"])},
            "lines": lines,
        },
    )


def _gate(weights: pd.DataFrame) -> Explorer:
    keys = ["protocol", "model", "experiment", "factor", "cell", "set", "stratum", "negatives", "label", "expert"]
    table = first_kind(weights).groupby(keys, sort=False, as_index=False).agg(value=("value", "mean"))
    tests = aggregate.ordered_tests(table.drop(columns="label"))
    table = table.rename(columns={"label": "labelled"}).merge(tests[["experiment", "label"]], on="experiment")
    styles = model_styles([f"expert.{name}" for name in _values(table["expert"])])
    return Explorer(
        identifier="explore-gate",
        title="Explore gate weights",
        chart="bars",
        data={
            "models": [entry | {"name": str(entry["name"]).removeprefix("expert.")} for entry in _legend(styles)],
            "panels": {name: _values(table[name]) for name in ("protocol", "model", "labelled")},
            "points": _records(table, ["protocol", "model", "labelled", "label", "expert", "value"]),
        },
    )


def _limited(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, ModelStyle]]:
    """Keep at most ``MOST_MODELS`` models, and return the style of each."""
    styles = model_styles(table["model"])
    rank = {"moe": 0, "control": 1}
    ordered = sorted(styles, key=lambda name: rank.get(name.split(".", maxsplit=1)[0], 2))
    kept = set(ordered[:MOST_MODELS])
    return table[table["model"].isin(kept)], {name: style for name, style in styles.items() if name in kept}


def _legend(styles: dict[str, ModelStyle]) -> list[dict[str, object]]:
    return [{"name": name, "label": style.label, "colour": style.colour} for name, style in styles.items()]


def _values(column: "pd.Series[str]") -> list[str]:
    return [str(value) for value in dict.fromkeys(column)]


def _records(table: pd.DataFrame, columns: list[str]) -> list[list[object]]:
    """Return rows as plain lists of rounded numbers, preceded by the column names."""
    rounded = table[columns].round(_ROUND).astype(object)
    rounded = rounded.where(rounded.notna(), None)
    return [list(columns), *rounded.values.tolist()]
