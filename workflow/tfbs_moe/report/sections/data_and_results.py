"""The report's sections on the data and on performance: audit, results, what more trainings gain, negatives."""

import numpy as np
import pandas as pd

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.catalogue import ABLATION, CURVES, GATE_WEIGHTS, METRICS, percent
from tfbs_moe.figures.style import ModelStyle, model_styles, ordered_models
from tfbs_moe.report.inputs import (
    DATASETS,
    SEED_AVERAGES,
    WARNINGS,
    Run,
    optional_table,
    pictures,
    table_of,
    trained_list,
)
from tfbs_moe.report.page import Block, Explorer, Fold, Items, Missing, Section, Text, interval, make_table
from tfbs_moe.report.sections.answer import confidence
from tfbs_moe.statistics.units import by_factor, first_kind, over_factors
from tfbs_moe.study import SUPPLIED

MOST_MODELS = 12  # Limit of models in a chart; mixtures and baselines go before experts.
_CURVE_STEP = 4
_ROUND = 4
_STYLES = {"serious": "bad", "warning": "note", "note": "plain"}
_FEWEST_MIXTURES = 2
_LEFT_OUT = (
    "was left out: it belongs to no mixture and has no results; a factor without any expert counts as unseen in all "
    "sets and strata"
)
# Warnings of one kind that are shown without folding.
_MOST_ALIKE = 3
_SCARCE = ("min_", "smaller")
_RESULT_KINDS = ("set_means", "differences", "auroc", "strata")
_CURVE_KINDS = ("roc", "precision_recall", "calibration")
_METRICS_CAPTION = (
    "Means over training seeds; lower and upper: mean of the seeds' bootstrap intervals; lowest and highest: extremes "
    "over seeds."
)
_SHUFFLED = (
    "Some test negatives are not real unbound DNA: they are shuffles of the bound sequences, or what a prepared "
    "file supplies. A model that does well on them tells real sequence from shuffled, which is easier than telling "
    "a bound site from an unbound one in the genome."
)
_GROUPS = ["protocol", "set", "negatives", "rows"]
_SHOWN = ["auroc", "auroc_sd", "auroc_averaged"]
_CAPTION = (
    "Retrainings, all rows: mean AUROC of one training over factors, the standard deviation over seeds (mean over "
    "factors), AUROC of the mean of the seeds’ logits, and what the mean gains [{level} t interval, the factor as "
    "the unit]. A small gain and a small spread say that more trainings of the kind would not raise the result."
)


def explorers(run: Run) -> list[Block]:
    """Return the charts of AUROC by factor, ROC curves and gate weights whose tables are there."""
    charts = ((METRICS, _auroc), (CURVES, _roc), (GATE_WEIGHTS, _gate))
    found: list[Block] = [chart(table) for path, chart in charts if (table := run.table(path)) is not None]
    return found or [Missing("Charts to explore", run.why_missing(METRICS))]


def _auroc(metrics: pd.DataFrame) -> Explorer:
    table = aggregate.over_seeds(metrics[metrics["metric"] == "auroc"]).dropna(subset=["value"])
    table, styles = _limited(table)
    tests = aggregate.ordered_tests(table)
    keys = ["experiment", "negatives"]
    table = tests[[*keys, "label"]].merge(table, on=keys, how="left")
    data: dict[str, object] = {
        "models": _legend(styles),
        "panels": {"protocol": _values(table["protocol"]), "rows": _values(table["rows"])},
        "points": _records(table, ["protocol", "rows", "label", "model", "value", "lower", "upper", "n", "seeds"]),
    }
    return Explorer("explore-auroc", "Explore AUROC by factor", "dots", data)


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
    data: dict[str, object] = {
        "models": _legend(styles),
        "panels": {"protocol": _values(table["protocol"]), "label": list(tests["label"])},
        "lines": lines,
    }
    return Explorer("explore-roc", "Explore ROC curves", "curves", data)


def _gate(weights: pd.DataFrame) -> Explorer:
    keys = ["protocol", "model", *aggregate.TEST_SET, "label", "expert"]
    table = first_kind(weights).groupby(keys, sort=False, as_index=False).agg(value=("value", "mean"))
    tests = aggregate.ordered_tests(table.drop(columns="label"))
    table = table.rename(columns={"label": "labelled"}).merge(tests[["experiment", "label"]], on="experiment")
    styles = model_styles([f"expert.{name}" for name in _values(table["expert"])])
    data: dict[str, object] = {
        "models": [entry | {"name": str(entry["name"]).removeprefix("expert.")} for entry in _legend(styles)],
        "panels": {name: _values(table[name]) for name in ("protocol", "model", "labelled")},
        "points": _records(table, ["protocol", "model", "labelled", "label", "expert", "value"]),
    }
    return Explorer("explore-gate", "Explore gate weights", "bars", data)


def _limited(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, ModelStyle]]:
    """Keep at most ``MOST_MODELS`` models, and return the style of each."""
    styles = model_styles(table["model"])
    rank = {"moe": 0, "baseline": 1}
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


def data(run: Run) -> Section:
    """Build the section on the datasets and their audit."""
    blocks: list[Block] = [*_left_out_models(run), *_warnings(run), *pictures(run, "overlap")]
    blocks.append(table_of(run, DATASETS, "Rows of every dataset, and how many bound test rows overlap training."))
    audit = optional_table(run, "audit/datasets.tsv", "What the audit found in every dataset.")
    audit += optional_table(run, "audit/pairs.tsv", "Rows that datasets share, for every pair of datasets.")
    return Section("data", "Data quality and audit", [*blocks, *([Fold("The audit’s tables", audit)] if audit else [])])


def results(run: Run) -> Section:
    """Build the section on results for training and unseen factors, baselines included."""
    blocks: list[Block] = []
    for protocol in run.study.protocols:
        blocks.append(Text(f"Protocol {protocol}", style="heading"))
        for kind in _RESULT_KINDS:
            blocks += pictures(run, kind, protocol)
        curves = [picture for kind in _CURVE_KINDS for picture in pictures(run, kind, protocol)]
        blocks.append(Fold(f"Curves and calibration, protocol {protocol}", curves))
    blocks += _ablation(run)
    blocks += explorers(run)
    metrics = run.table(METRICS)
    if metrics is None:
        blocks.append(Missing("Table of metrics", run.why_missing(METRICS)))
    else:
        auroc = metrics[metrics["metric"] == "auroc"]
        means = aggregate.over_factors(auroc, confidence(run)).drop(columns="metric")
        caption = f"Mean AUROC over the factors of each set; {percent(confidence(run))} t interval, the factor as unit."
        blocks.append(make_table(means, caption, "means"))
        if found := retrainings(run):
            blocks.append(Fold("What more trainings would give", found))
        single = aggregate.over_seeds(metrics).drop(columns=["cell", "stratum"])
        blocks.append(Fold("Every metric on every test set", [make_table(single, _METRICS_CAPTION, "metrics")]))
    return Section("results", "Results on seen and unseen factors", blocks)


def _ablation(run: Run) -> list[Block]:
    if sum(len(run.study.gates(protocol)) for protocol in run.study.protocols) < _FEWEST_MIXTURES:
        return []
    table = table_of(run, ABLATION, "Every mixture against the first: paired differences, the factor as the unit.")
    heading = Text("What each part of the mixture is worth", style="heading")
    return [heading, *pictures(run, "ablation"), Fold("Every mixture against the first, as a table", [table])]


def negatives(run: Run) -> Section:
    """Build the section on results by the kinds of negatives in training and test."""
    kinds = sorted({test.negatives for test in run.study.test_sets})
    blocks = pictures(run, "negatives")
    if len(kinds) == 1:
        text = f"This study tests against one kind of unbound sequence, {kinds[0].replace('_', ' ')}; it does "
        blocks.append(Text(text + "not show how its models do against others.", style="note"))
    return Section("negatives", "Trained against, tested against", blocks)


def _left_out_models(run: Run) -> list[Block]:
    """Warn of each excluded model, and of networks that a mixture lacks."""
    blocks: list[Block] = []
    for protocol in run.study.protocols:
        table = run.table(trained_list(protocol))
        for what, style, words in (("left_out", "bad", _LEFT_OUT), ("without", "note", "does without some networks")):
            if table is None or what not in table or table[what].isna().all():
                continue
            seeds = table[table[what].notna()].astype({"seed": str}).groupby(["model", what], sort=False)["seed"]
            for model, reason, which in seeds.agg(", ".join).reset_index().itertuples(index=False):
                blocks.append(Text(f"{model} (protocol {protocol}, seed {which}) {words}: {reason}", style=style))
    return blocks


def _warnings(run: Run) -> list[Block]:
    """Return the warnings of the audit or, where it has none, what the datasets say."""
    audited = run.table(WARNINGS)
    if audited is not None:
        return [
            block
            for (severity, _), alike in audited.groupby(["severity", "what"], sort=False)
            for block in _alike(alike, _STYLES[str(severity)])
        ]
    found = []
    if any(test.negatives in (SUPPLIED, "dinucleotide_shuffle") for test in run.study.test_sets):
        found.append(_SHUFFLED)
    table = run.table(DATASETS)
    if table is not None:
        tests = first_kind(table[(table["split"] == "test") & table["overlapping"].notna()])
        shares = (tests["overlapping"] / tests["positives"]).to_numpy(dtype=float)
        order = np.argsort(-shares, kind="stable")
        names = [f"{tests['experiment'].iloc[place]} {shares[place]:.0%}" for place in order if shares[place] > 0]
        if names:
            found.append(
                f"Bound test rows share sequence with bound rows of training: {', '.join(names)}. Results are "
                "therefore given twice, on all rows and on the rows that share nothing with those."
            )
    return [Text(text, style="note") for text in found]


def _alike(warnings: pd.DataFrame, style: str) -> list[Block]:
    """Show warnings of one kind: all if few, else the worst, with the others folded, worse ones first."""
    value = pd.to_numeric(warnings["value"], errors="coerce")
    # Where the warning is of too few, the smallest is the worst.
    if scarce := str(warnings["what"].iloc[0]).startswith(_SCARCE):
        value /= pd.to_numeric(warnings["threshold"], errors="coerce")
    order = value.sort_values(ascending=scarce, kind="stable").index
    sentences = warnings.loc[order, "sentence"].tolist()
    if len(sentences) <= _MOST_ALIKE:
        return [Text(sentence, style=style) for sentence in sentences]
    rest = Fold(f"{len(sentences) - 1} more like this", [Items(sentences[1:])])
    return [Text(sentences[0], style=style), rest]


def retrainings(run: Run, protocol: str | None = None) -> list[Block]:
    """Return the table of what averaging over seeds gains, of one protocol or all; empty with one seed per model."""
    table = run.table(SEED_AVERAGES)
    if table is None:
        return []
    table = table[(table["rows"] == "all") & table["protocol"].isin([protocol] if protocol else run.study.protocols)]
    table = table.assign(gain=table["auroc_averaged"] - table["auroc"]).dropna(subset=["gain"])
    keys = [*_GROUPS, "model"]
    gains = over_factors(table, keys, confidence(run), "gain")
    spreads = by_factor(table, keys, _SHOWN).groupby(keys, sort=False)[_SHOWN].mean().reset_index()
    rows = []
    for names, group in gains.merge(spreads, on=keys).groupby(_GROUPS, sort=False):
        where = dict(zip(_GROUPS, names, strict=True))
        for model in ordered_models(group["model"]):
            mean = group[group["model"] == model].iloc[0]
            rows.append(
                {"protocol": where["protocol"], "negatives": str(where["negatives"]).replace("_", " ")}
                | {"set": aggregate.SETS[str(where["set"])], "model": run.label(str(where["protocol"]), model)}
                | {"one training": mean["auroc"], "SD over seeds": f"{mean['auroc_sd']:.4f}"}
                | {"mean of logits": mean["auroc_averaged"]}
                | {"gain": interval(mean["value"], mean["lower"], mean["upper"], sign=True)}
                | {"factors": int(mean["n_factors"])}
            )
    if not rows:
        return []
    shown = pd.DataFrame(rows)
    alike = [name for name in ("protocol", "negatives") if shown[name].nunique() == 1]
    return [make_table(shown.drop(columns=alike), _CAPTION.format(level=percent(confidence(run))), "retrainings")]
