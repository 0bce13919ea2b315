"""A run on one page of Markdown: the answer, every model's means, every factor, every seed."""

import pandas as pd

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.catalogue import METRICS, percent
from tfbs_moe.figures.style import ordered_models
from tfbs_moe.report.inputs import Run
from tfbs_moe.report.page import Block, Items, Missing, Text, interval, make_table, number, to_markdown
from tfbs_moe.report.sections.answer import answer, confidence, differences
from tfbs_moe.report.sections.caveats import caveats
from tfbs_moe.report.sections.data_and_results import retrainings
from tfbs_moe.statistics.hypothesis_tests.results import p_words
from tfbs_moe.statistics.units import by_factor, first_kind, over_factors
from tfbs_moe.study import UNSEEN

_AUROC = "auroc"


def summary_document(run: Run) -> str:
    """Return the summary of a run as Markdown; it needs metrics and statistics, but no attributions."""
    study = run.study
    blocks: list[Block] = [Text(study.config["title"])] if study.config["title"] else []
    blocks += [Text("The answer", style="heading"), Items(answer(run))]
    if wary := caveats(run):
        blocks += [Text("What to know first", style="heading"), Items(wary)]
    metrics = run.table(METRICS)
    if metrics is None:
        return to_markdown(f"Summary of {study.config['run']}", [*blocks, Missing("Results", run.why_missing(METRICS))])
    metrics = metrics[metrics["metric"] == _AUROC]
    for protocol in study.protocols:
        own = metrics[metrics["protocol"] == protocol]
        own = first_kind(own)
        model = f"moe.{study.gates(protocol)[0]}"
        blocks.append(Text(f"Protocol {protocol}", style="heading"))
        blocks += [table(run, protocol, own) for table in (_means, _factors, _seeds)]
        blocks += [*retrainings(run, protocol), *_rivals(run, protocol, model)]
    return to_markdown(f"Summary of {study.config['run']}", blocks)


def _means(run: Run, protocol: str, metrics: pd.DataFrame) -> Block:
    level = confidence(run)
    table = over_factors(metrics, ["model", "set", "rows", "metric"], level)
    columns = list(dict.fromkeys(zip(table["set"], table["rows"], strict=True)))
    records = []
    for model in ordered_models(table["model"]):
        own = table[table["model"] == model].set_index(["set", "rows"])
        record = {"model": run.label(protocol, model)}
        for key in columns:
            name = f"{aggregate.SETS[key[0]]}, {aggregate.ROWS[key[1]]}"
            row = own.loc[key] if key in own.index else None
            shown = "" if row is None else interval(float(row["value"]), float(row["lower"]), float(row["upper"]))
            record[name] = "" if row is None else f"{shown} ({row['n_factors']:.0f})"
        records.append(record)
    caption = (
        f"Mean AUROC over factors [{percent(level)} t interval, the factor as the unit] (number of factors); "
        f"negatives: {', '.join(dict.fromkeys(metrics['negatives'])).replace('_', ' ')}."
    )
    return make_table(pd.DataFrame(records), caption, "means")


def _factors(run: Run, protocol: str, metrics: pd.DataFrame) -> Block:
    single = aggregate.over_seeds(metrics[metrics["rows"] == "all"])
    tests = aggregate.ordered_tests(single)
    labels = dict(zip(tests["experiment"], tests["label"], strict=True))
    wide = single.pivot_table(index="model", columns="experiment", values="value", sort=False, observed=True)
    wide = wide.reindex(index=ordered_models(wide.index), columns=list(labels))
    shown = wide.map(lambda value: number(value) if pd.notna(value) else "").rename(columns=labels)
    shown.insert(0, "model", [run.label(protocol, str(model)) for model in shown.index])
    return make_table(shown.reset_index(drop=True), "AUROC on every test set, all rows, means over seeds.", "factors")


def _seeds(run: Run, protocol: str, metrics: pd.DataFrame) -> Block:
    chosen = metrics[(metrics["rows"] == "all") & metrics["model"].str.startswith(("moe.", "baseline.pooled_"))]
    factors = by_factor(chosen, ["model", "set", "seed"], ["value"])
    means = factors.groupby(["model", "set", "seed"], sort=False)["value"].mean().reset_index()
    means["column"] = means["set"].map(aggregate.SETS) + ", seed " + means["seed"].astype(str)
    wide = means.pivot_table(index="model", columns="column", values="value", sort=False, observed=True)
    shown = wide.reindex(ordered_models(wide.index)).map(number)
    shown.insert(0, "model", [run.label(protocol, str(model)) for model in shown.index])
    return make_table(shown.reset_index(drop=True), "Mean AUROC of every seed, all rows.", "seeds")


def _rivals(run: Run, protocol: str, model: str) -> list[Block]:
    table = differences(run, protocol, model, UNSEEN)
    if table.empty:
        return []
    gaps = zip(table["effect"], table["effect_lower"], table["effect_upper"], strict=True)
    shown = pd.DataFrame(
        {
            "rival": [run.label(protocol, str(rival)) for rival in table["rival"]],
            "difference": [interval(float(value), float(low), float(high), sign=True) for value, low, high in gaps],
            "p, Holm": [p_words(p).removeprefix("p ").removeprefix("= ") for p in table["p_adjusted"]],
            "factors": table["n"].astype(int),
        }
    )
    caption = (
        f"The {run.label(protocol, model)} minus each rival on factors no expert saw, all rows: the test that the rule "
        f"chose; negatives: {table['negatives'].iloc[0].replace('_', ' ')}."
    )
    return [make_table(shown, caption, "rivals")]
