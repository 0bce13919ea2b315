"""Sentences that say what the tables say, with intervals, and no more."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from tfbs_moe.attribution.names import in_words
from tfbs_moe.figures import aggregate, published
from tfbs_moe.figures.item import ATTRIBUTION_SUMMARY, GATE_WEIGHTS, METRICS
from tfbs_moe.figures.performance import MINUS, PAIRED_TEST
from tfbs_moe.figures.style import model_label
from tfbs_moe.report.inputs import FACTOR_STATISTICS, Run
from tfbs_moe.report.page import interval, number
from tfbs_moe.report.rivals import unequal_rivals
from tfbs_moe.statistics.results import p_words
from tfbs_moe.study import IN_DISTRIBUTION, OTHER_CELL, UNSEEN

PUBLISHED_PROTOCOL = "published"
MATRIX = "control.matrix"
SITE_PRECISION = "site_average_precision"
_AUROC = "auroc"
_SET_WORDS = {
    IN_DISTRIBUTION: "factors the experts were trained on",
    OTHER_CELL: "of these factors in another cell",
    UNSEEN: "unseen factors (no expert saw them)",
}


def answer(run: Run) -> list[str]:
    """Return the answer of a study in a few sentences, the main protocol first.

    A difference is called one only where its interval leaves out zero.
    """
    metrics = run.table(METRICS)
    if metrics is None:
        return [f"There is no answer yet. {run.why_missing(METRICS)}"]
    metrics = metrics[metrics["metric"] == _AUROC]
    protocol = main_protocol(run)
    model = f"moe.{run.study.gates(protocol)[0]}"
    sentences = [_levels(run, metrics, protocol, model), _strongest_rival(run, metrics, protocol, model)]
    sentences += [*unequal_rivals(run, protocol, run.study.gates(protocol)[0]), _matrix(run, metrics, protocol, model)]
    sentences += [_overlap(run, metrics, protocol, model), _reproduced(run, metrics), _gate(run, protocol, model)]
    sentences.append(_localised(run, protocol, model))
    return [sentence for sentence in sentences if sentence]


def main_protocol(run: Run) -> str:
    """Return the protocol that the answer is about: the first that is not the published one, if there is one."""
    ours = [protocol for protocol in run.study.protocols if protocol != PUBLISHED_PROTOCOL]
    return (ours or run.study.protocols)[0]


def differences(run: Run, protocol: str, model: str, set_name: str, rows: str = "all") -> pd.DataFrame:
    """Return the mean paired difference of a mixture and each rival over the factors of a set, with its interval.

    Returns:
        ``rival`` ``rival_mean`` and the columns of ``statistics/factors.tsv``, the strongest rival first; for the first
        kind of negatives.
    """
    tests, metrics = run.table(FACTOR_STATISTICS), run.table(METRICS)
    if tests is None or metrics is None:
        return pd.DataFrame()
    chosen = tests[
        (tests["headline"].astype(bool) if "headline" in tests else tests["test"] == PAIRED_TEST)
        & (tests["protocol"] == protocol)
        & (tests["set"] == set_name)
        & (tests["rows"] == rows)
        & (tests["metric"] == _AUROC)
        & tests["comparison"].str.startswith(f"{model}{MINUS}")
    ]
    chosen = chosen[chosen["negatives"] == chosen["negatives"].iloc[0]] if len(chosen) else chosen
    means = aggregate.over_factors(
        metrics[(metrics["metric"] == _AUROC) & (metrics["protocol"] == protocol)], confidence(run)
    )
    keys = ["model", "set", "negatives", "rows"]
    means = means[[*keys, "value"]].rename(columns={"value": "rival_mean", "model": "rival"})
    rivals = chosen.assign(rival=chosen["comparison"].str.split(MINUS).str[1])
    joined = rivals.merge(means, on=["rival", *keys[1:]], how="left")
    return joined.sort_values("rival_mean", ascending=False, kind="stable", ignore_index=True)


def confidence(run: Run) -> float:
    """Return the coverage of every interval of a study."""
    return float(run.study.config["evaluation"]["confidence"])


def verdict(value: float, lower: float, upper: float, p: float, alpha: float) -> str:
    """Return ``higher``, ``lower`` or ``not told apart`` for a difference with interval and adjusted p."""
    if not (np.isfinite(lower) and np.isfinite(upper)) or lower <= 0 <= upper or p >= alpha:
        return "not told apart"
    return "higher" if value > 0 else "lower"


def _levels(run: Run, metrics: pd.DataFrame, protocol: str, model: str) -> str:
    means = _means(run, metrics, protocol, model, "all")
    parts = []
    for name, words in _SET_WORDS.items():
        row = means.get(name)
        if row is not None:
            parts.append(f"{interval(row['value'], row['lower'], row['upper'])} on {row['n_factors']:.0f} {words}")
    if not parts:
        return ""
    listed = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
    return (
        f"Under the protocol “{protocol}” the {model_label(model)} tells bound from unbound sequence with a mean "
        f"AUROC of {listed} (brackets: {confidence(run):.0%} interval, the factor as the unit)."
    )


def _strongest_rival(run: Run, metrics: pd.DataFrame, protocol: str, model: str) -> str:
    table = differences(run, protocol, model, UNSEEN)
    # Another mixture is no rival, and one that is defined for some factors alone (their matrix) is spoken of by itself.
    table = table[~table["rival"].str.startswith("moe.")] if len(table) else table
    table = table[table["n"] == table["n"].max()] if len(table) else table
    if table.empty:
        return ""
    best = table.to_dict("records")[0]
    bounds = (float(best["effect"]), float(best["effect_lower"]), float(best["effect_upper"]))
    p = float(best["p_adjusted"])
    judged = verdict(*bounds, p, 1 - confidence(run))
    label, gap = model_label(str(best["rival"])), interval(*bounds, sign=True)
    scope = f"over {best['n']:.0f} factors no expert saw"
    if judged == "not told apart":
        why = "an interval that includes zero" if np.isfinite(bounds).all() else "no interval, for too few factors"
        if bounds[1] > 0 or bounds[2] < 0:
            why = f"with {p_words(p)} when every rival compared is allowed for"
        comes = f"comes out {'higher' if bounds[0] < 0 else 'lower'} by" if bounds[0] else "comes out equal, by"
        return (
            f"Its strongest rival in this study, the {label}, {comes} {number(abs(bounds[0]))} on average, but is not "
            f"told apart from it {scope}: mixture − rival is {gap}, {why}."
        )
    return f"It is {judged} than its strongest rival in this study, the {label}, {scope}: by {gap} on average."


def _matrix(run: Run, metrics: pd.DataFrame, protocol: str, model: str) -> str:
    """Say what the factors' own matrices reach alone, on the unseen factors that have one, beside the mixtures."""
    chosen = metrics[(metrics["protocol"] == protocol) & (metrics["set"] == UNSEEN) & (metrics["rows"] == "all")]
    known = list(dict.fromkeys(chosen.loc[chosen["model"] == MATRIX, "factor"]))
    if not known:
        return ""
    mixtures = [f"moe.{gate}" for gate in run.study.gates(protocol)]
    informed = [name for name in mixtures if run.study.is_informed(name.removeprefix("moe.")) and name != model]
    means = {}
    for name in (MATRIX, model, *informed):
        here = chosen[(chosen["model"] == name) & chosen["factor"].isin(known)]
        means[name] = here.groupby("factor")["value"].mean().mean()
    said = "; ".join(f"{model_label(name)} {number(means[name])}" for name in (model, *informed))
    which = "the one unseen factor" if len(known) == 1 else f"the {len(known)} unseen factors"
    return (
        f"On {which} with a known motif ({', '.join(map(str, known))}) the JASPAR matrix alone, without any training, "
        f"has a mean AUROC of {number(means[MATRIX])} ({said})."
        + (" The informed mixture is told that matrix." if informed else "")
    )


def _overlap(run: Run, metrics: pd.DataFrame, protocol: str, model: str) -> str:
    every = _means(run, metrics, protocol, model, "all").get(UNSEEN)
    free = _means(run, metrics, protocol, model, "overlap_free").get(UNSEEN)
    if every is None or free is None or not np.isfinite(free["value"]):
        return ""
    return (
        "On test rows that share no sequence with training the mean on unseen factors is "
        f"{interval(free['value'], free['lower'], free['upper'])}, against {number(every['value'])} on all rows."
    )


def _reproduced(run: Run, metrics: pd.DataFrame) -> str:
    if PUBLISHED_PROTOCOL not in run.study.protocols:
        return ""
    model = f"moe.{run.study.gates(PUBLISHED_PROTOCOL)[0]}"
    table = published.reproduction(metrics, run.published, PUBLISHED_PROTOCOL, model)
    if table.empty:
        return ""
    parts = [
        f"{number(row['value'])} ({aggregate.SETS[row['set']]}; theirs {number(row['reference'])}, "
        f"{'within' if row['within'] else 'outside'} the tolerance of {published.TOLERANCE})"
        for row in table.to_dict("records")
    ]
    return f"Trained as the authors did, the mixture reaches {' and '.join(parts)}."


def _gate(run: Run, protocol: str, model: str) -> str:
    weights = run.table(GATE_WEIGHTS)
    if weights is None or not {"model", "set", "label", "expert", "value"} <= set(weights.columns):
        return ""
    chosen = weights[
        (weights["protocol"] == protocol)
        & (weights["model"] == model)
        & (weights["set"] == UNSEEN)
        & (weights["label"] == "bound")
    ]
    if chosen.empty:
        return ""
    means = chosen.groupby("expert", sort=False)["value"].mean().sort_values(ascending=False)
    names = [model_label(name) if "." in name else name for name in map(str, means.index)]
    parts = [f"{share:.0%} to {name}" for name, share in zip(names, means, strict=True)]
    return f"On bound sequences of factors no expert saw, the gate gives on average {', '.join(parts)}."


def _localised(run: Run, protocol: str, model: str) -> str:
    summary = run.table(ATTRIBUTION_SUMMARY)
    if summary is None or "metric" not in summary:
        return ""
    chosen = summary[
        (summary["metric"] == SITE_PRECISION) & (summary["protocol"] == protocol) & (summary["model"] == model)
    ].dropna(subset=["value"])
    if chosen.empty:
        return ""
    parts = []
    for method, group in chosen.groupby("method", sort=False):
        found = aggregate.mean_and_interval(group["value"].to_numpy(dtype=float), confidence(run), SITE_PRECISION)
        parts.append(
            (found["value"], f"{in_words(str(method))} {interval(found['value'], found['lower'], found['upper'])}")
        )
    ranked = [text for _, text in sorted(parts, key=lambda part: -part[0])]
    return f"Average precision at the known sites, mean over test sets: {'; '.join(ranked)}."


def _means(run: Run, metrics: pd.DataFrame, protocol: str, model: str, rows: str) -> dict[str, dict[Hashable, Any]]:
    """Return the mean over factors of each set, for the first kind of negatives."""
    chosen = metrics[(metrics["protocol"] == protocol) & (metrics["model"] == model) & (metrics["rows"] == rows)]
    if chosen.empty:
        return {}
    chosen = chosen[chosen["negatives"] == chosen.groupby("experiment")["negatives"].transform("first")]
    table = aggregate.over_factors(chosen, confidence(run))
    return {str(row["set"]): row for row in table.drop_duplicates("set").to_dict("records")}
