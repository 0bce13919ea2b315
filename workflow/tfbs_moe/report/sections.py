"""The sections of the report, in the order a reader meets them."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tfbs_moe.figures import aggregate, published
from tfbs_moe.figures.catalogue import figure_items
from tfbs_moe.figures.item import ATTRIBUTION_SUMMARY, FACTOR_STATISTICS, GATE_WEIGHTS, METRICS, training_folders
from tfbs_moe.figures.style import model_label
from tfbs_moe.report.answer import answer, confidence
from tfbs_moe.report.inputs import DATASETS, PAPER_ANOVA, PAPER_TUKEY, Run
from tfbs_moe.report.methods import methods, parameters
from tfbs_moe.report.page import Block, Fold, Items, Missing, Section, Table, Text, make_picture, make_table
from tfbs_moe.report.reproduction import reproduction
from tfbs_moe.study import SUPPLIED
from tfbs_moe.tables import read_json

_SHOWN_STATISTICS = [
    "protocol", "set", "negatives", "rows", "test", "comparison", "unit", "n", "statistic_name", "statistic", "df", "p",
    "p_adjusted", "effect_name", "effect", "effect_lower", "effect_upper",
]  # fmt: skip


def sections(run: Run, provenance: Mapping[str, str]) -> list[Section]:
    """Return every section of the report.

    Args:
        run: the run.
        provenance: what the caller knows of how the run was made, by name, such as the commit and the command.
    """
    return [
        _question(run),
        Section("answer", "The answer", [Items(answer(run))]),
        _glance(run),
        _data(run),
        _results(run),
        _gate(run),
        _statistics(run),
        _attribution(run),
        _published(run),
        Section("methods", "Methods", [*map(Text, methods(run.study)), _parameters(run)]),
        _training(run),
        _provenance(run, provenance),
    ]


def _question(run: Run) -> Section:
    title = run.study.config["title"] or (
        "Can a mixture of experts, each trained on one transcription factor, tell bound from unbound DNA for factors "
        "that none of them saw?"
    )
    return Section("question", "What was asked", [Text(title, style="lead")])


def _glance(run: Run) -> Section:
    study = run.study
    rows = [
        {
            "experiment": name,
            "factor": row["factor"],
            "cell": row["cell"],
            "role": {"train": "training", "test": "test", "ood": "test, unseen factor"}[row["role"]],
            "stratum": row["stratum"].replace("_", " "),
        }
        for name, row in study.experiments.items()
    ]
    unseen = [row["factor"] for row in study.experiments.values() if row["role"] == "ood"]
    trained = [study.experiments[name]["factor"] for name in study.training]
    seeds = len(study.config["replicates"])
    facts = [
        f"{len(trained)} factors with an expert: {', '.join(trained)}.",
        f"{len(unseen)} factors no expert saw: {', '.join(unseen) or 'none'}.",
        f"Protocols: {', '.join(study.protocols)}; {seeds} training seed{'s' if seeds > 1 else ''}, each a full "
        "retraining of every expert and gate.",
        f"Windows of {study.config['window']['length']} bases; negatives of the test sets: "
        f"{', '.join(sorted({test.negatives.replace('_', ' ') for test in study.test_sets}))}.",
    ]
    table = make_table(pd.DataFrame(rows), "The experiments of the study.", "experiments")
    return Section("glance", "The study at a glance", [Items(facts), table])


def _data(run: Run) -> Section:
    blocks: list[Block] = list(_warnings(run))
    blocks += _pictures(run, "overlap")
    blocks.append(_table(run, DATASETS, "Rows of every dataset, and how many bound test rows overlap training."))
    return Section("data", "Data and audit", blocks)


def _warnings(run: Run) -> list[Text]:
    """Say what a reader must know of the data before believing a result."""
    found = []
    if any(test.negatives in (SUPPLIED, "dinucleotide_shuffle") for test in run.study.test_sets):
        found.append(
            "Some test negatives are not real unbound DNA: they are shuffles of the bound sequences, or what a "
            "prepared file supplies. A model that does well on them tells real sequence from shuffled, which is "
            "easier than telling a bound site from an unbound one in the genome."
        )
    table = run.table(DATASETS)
    if table is not None and "overlapping" in table:
        tests = table[(table["split"] == "test") & table["overlapping"].notna()]
        shares = (tests["overlapping"] / tests["positives"]).to_numpy(dtype=float)
        names = [
            f"{name} {share:.0%}"
            for name, share in sorted(zip(tests["experiment"], shares, strict=True), key=lambda pair: -pair[1])
            if share > 0
        ]
        if names:
            found.append(
                f"Bound test rows share sequence with training: {', '.join(names)}. Results are therefore given "
                "twice, on all rows and on the rows that share nothing."
            )
    return [Text(text, style="note") for text in found]


def _results(run: Run) -> Section:
    blocks: list[Block] = []
    for protocol in run.study.protocols:
        blocks.append(Text(f"Protocol {protocol}", style="heading"))
        for kind in ("set_means", "differences", "auroc", "roc"):
            blocks += _pictures(run, kind, protocol)
    metrics = run.table(METRICS)
    if metrics is None:
        blocks.append(Missing("Table of metrics", run.why_missing(METRICS)))
    else:
        auroc = metrics[metrics["metric"] == "auroc"]
        means = aggregate.over_factors(auroc, confidence(run)).drop(columns="metric")
        blocks.append(
            make_table(means, "Mean AUROC over the factors of each set; interval: the factor as unit.", "means")
        )
        single = aggregate.over_seeds(metrics).drop(columns=["cell", "stratum"])
        blocks.append(Fold("Every metric on every test set", [make_table(single, _METRICS_CAPTION, "metrics")]))
    return Section("results", "Results in and out of distribution", blocks)


_METRICS_CAPTION = (
    "Means over training seeds; lower and upper: mean of the seeds' bootstrap intervals; lowest and highest: extremes "
    "over seeds."
)


def _gate(run: Run) -> Section:
    blocks: list[Block] = list(_pictures(run, "gate_weights"))
    table = _table(run, GATE_WEIGHTS, "Gate weights with their intervals.")
    blocks.append(Fold("Gate weights as a table", [table]))
    return Section("gate", "What the gate does", blocks)


def _statistics(run: Run) -> Section:
    blocks: list[Block] = [Text("The factor as the unit: the analysis to draw conclusions from", style="heading")]
    proper = run.table(FACTOR_STATISTICS)
    if proper is None:
        blocks.append(Missing("Comparison over factors", run.why_missing(FACTOR_STATISTICS)))
    else:
        omnibus = proper[proper["test"].str.contains("ANOVA")]
        blocks.append(Items(_with_scope(omnibus)))
        blocks.append(make_table(_shown(proper), "Tests with the factor as the unit.", "factors"))
    blocks.append(Text("The paper’s analysis, under its own name", style="heading"))
    blocks.append(
        Text(
            "The paper compares models on each test set by a one-way ANOVA whose replicates are draws of one "
            "trained model. The number of draws is the analyst’s choice, and F grows with it: such an F says "
            "nothing of other trainings, test sets or factors. It is shown so that the paper’s numbers can be held "
            "against it.",
            style="note",
        )
    )
    blocks.append(_paper_anova(run))
    tukey = run.table(PAPER_TUKEY)
    if tukey is None:
        blocks.append(Missing("The paper’s Tukey tests", run.why_missing(PAPER_TUKEY)))
    else:
        blocks.append(
            Fold("The paper’s Tukey tests", [make_table(_shown(tukey), "Tukey’s test over draws.", "paper-tukey")])
        )
    return Section("statistics", "Statistics", blocks)


def _with_scope(tests: pd.DataFrame) -> list[str]:
    """Return the sentences of tests, each led by what it is about."""
    return [
        f"{row['protocol']}, {aggregate.SETS[row['set']]}, {row['negatives'].replace('_', ' ')}, "
        f"{aggregate.ROWS[row['rows']]}: {row['sentence']}"
        for row in tests.to_dict("records")
    ]


def _shown(tests: pd.DataFrame) -> pd.DataFrame:
    names = [name for name in ("experiment", *_SHOWN_STATISTICS) if name in tests.columns]
    return tests[names].dropna(axis="columns", how="all")


def _paper_anova(run: Run) -> Block:
    table = run.table(PAPER_ANOVA)
    if table is None:
        return Missing("The paper’s ANOVA", run.why_missing(PAPER_ANOVA))
    theirs = run.published[run.published["metric"] == "anova_f"].set_index("factor")["value"]
    shown = _shown(table[table["test"].str.contains("ANOVA")]).drop(columns=["unit", "comparison"], errors="ignore")
    if "factor" in table:
        # The paper's F belongs to the paper's own test files.
        same_files = table["negatives"] == SUPPLIED
        shown["paper_F"] = table["factor"].map(theirs).where(same_files).reindex(shown.index)
    return make_table(
        shown.dropna(axis="columns", how="all"),
        "One-way ANOVA over draws, beside the paper’s F(3, 116).",
        "paper-anova",
    )


def _attribution(run: Run) -> Section:
    blocks: list[Block] = []
    planted = run.study.config["genome"]["assembly"] == "planted"
    if planted:
        blocks.append(
            Text(
                "Sites were planted in this study’s sequences at known places, so attributions can be judged "
                "against the truth."
            )
        )
    blocks += _pictures(run, "localisation")
    blocks.append(
        _table(run, ATTRIBUTION_SUMMARY, "What attribution says, by method: means over sequences with intervals.")
    )
    blocks.append(Text("Logos", style="heading"))
    blocks += _pictures(run, "logos")
    return Section("attribution", "Attribution", blocks)


def _published(run: Run) -> Section:
    blocks: list[Block] = list(reproduction(run))
    blocks += _pictures(run, "published")
    metrics = run.table(METRICS)
    comparison = published.compare(metrics, run.published) if metrics is not None else pd.DataFrame()
    if len(comparison):
        caption = "AUROC of the paper’s own evaluation beside ours on the same test files."
        blocks.append(make_table(comparison.drop(columns="set"), caption, "published-comparison"))
    shown = run.published.drop(columns="our_model").dropna(axis="columns", how="all")
    blocks.append(
        Fold("Every published number", [make_table(shown, "Published numbers and where they stand.", "published")])
    )
    return Section("published", "Ours beside the published numbers", blocks)


def _parameters(run: Run) -> Block:
    table = make_table(parameters(run.study.config), "Every parameter of the run, with its meaning.", "parameters")
    return Fold("Every parameter of the run", [table])


def _training(run: Run) -> Section:
    blocks: list[Block] = list(_pictures(run, "learning_curves"))
    rows = []
    for protocol in run.study.protocols:
        for folder, (model, seed) in training_folders(run.study, protocol):
            path = run.folder / folder / "model.json"
            if path.is_file():
                described = {"protocol": protocol, "model": model_label(model), "seed": seed}
                rows.append(described | _flat(read_json(path)))
    if rows:
        caption = "How every expert and gate was trained, from its model.json."
        frame = pd.DataFrame(rows)
        varied = [name for name in frame.columns if frame[name].astype(str).nunique() > 1 or name == "protocol"]
        blocks.append(Fold("Trainings one by one", [make_table(frame[varied], caption, "trainings")]))
    else:
        blocks.append(Missing("Trainings one by one", "No model.json of a training was found in this run."))
    return Section("training", "Training", blocks)


def _flat(description: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Return the plain values of nested JSON under dotted names; lists are left out."""
    found: dict[str, str | int | float | bool] = {}
    for key, value in description.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        elif isinstance(value, str | int | float | bool):
            found[f"{prefix}{key}"] = value
    return found


def _provenance(run: Run, provenance: Mapping[str, str]) -> Section:
    sources = pd.DataFrame(
        [
            {"experiment": name, "source": row["source"], "checksum": row["checksum"] or "none given"}
            for name, row in run.study.experiments.items()
        ]
    )
    facts = pd.DataFrame(list(provenance.items()), columns=["what", "value"])
    blocks: list[Block] = []
    if len(facts):
        blocks.append(make_table(facts, "What made this run.", "provenance"))
    blocks.append(make_table(sources, "Where the data come from.", "sources"))
    return Section("provenance", "Provenance", blocks)


def _pictures(run: Run, kind: str, protocol: str | None = None) -> list[Block]:
    """Return the figures of one kind, or the reason where one is missing."""
    return [
        make_picture(run.folder, item)
        for item in figure_items(run.study)
        if item.kind == kind and protocol in (None, item.parameters.get("protocol"))
    ]


def _table(run: Run, path: str, caption: str) -> Table | Missing:
    frame = run.table(path)
    return Missing(caption, run.why_missing(path)) if frame is None else make_table(frame, caption, path.split(".")[0])
