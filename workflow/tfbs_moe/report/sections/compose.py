"""The sections of the report, in order."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.catalogue import METRICS, search_folders, training_folders
from tfbs_moe.report.documents.cards import cards
from tfbs_moe.report.documents.methods import methods, parameters
from tfbs_moe.report.documents.references import references
from tfbs_moe.report.inputs import Run, pictures
from tfbs_moe.report.page import Block, Fold, Items, Missing, Section, Text, make_table
from tfbs_moe.report.sections import data_and_results, statistics
from tfbs_moe.report.sections.answer import answer
from tfbs_moe.report.sections.attribution import attribution
from tfbs_moe.report.sections.caveats import caveats
from tfbs_moe.report.sections.gate_and_calibration import calibration, gate
from tfbs_moe.report.sections.reproduction import reproduction
from tfbs_moe.study import OTHER_CELL, UNSEEN, set_and_stratum
from tfbs_moe.tables import read_json, read_tsv

_QUESTION = (
    "Can a mixture of experts, each trained on one transcription factor, tell bound from unbound DNA for factors "
    "that none of them saw?"
)
_ROLES = {"train": "training", "test": "test", "ood": "test"}
_FILES = {
    "datasets/summary.tsv": "rows of every dataset",
    "evaluation/metrics.tsv": "every metric with its interval, per model, seed and test set",
    "evaluation/curves.tsv": "ROC and precision-recall curves",
    "evaluation/gate_weights.tsv": "gate weights with their intervals",
    "evaluation/gate_use.tsv, subsets.tsv": "how evenly gates use their experts; AUROC with experts away",
    "evaluation/seed_averages.tsv": "spread over training seeds, and AUROC of the mean of their logits",
    "evaluation/calibration.tsv": "probabilities, uncalibrated and calibrated; out-of-distribution p-values",
    "statistics/calibration.tsv, ood_score.tsv": "what both show, over factors",
    "statistics/gate_losses.tsv, gate_numbers.tsv, gate_similarity.tsv": "what gates do, over factors",
    "attributions/summary.tsv": "attribution results, compared with mutagenesis and known sites",
    "attributions/comparison.tsv": "attribution methods compared with the factor as the unit",
    "attributions/equivariance.tsv": "how far models are from equivariance: where ShiftSmooth can matter",
    "attributions/sanity.tsv": "how similar attributions remain once weights or labels are randomised",
    "attributions/site_profiles.tsv": "mean attribution around known sites",
    "attributions/shifts.tsv": "ShiftSmooth evaluated over its number of shifts",
    "attributions/motifs.tsv, motif_matches.tsv": "motifs in attributions and filters, and what they are like",
    "statistics/factors.tsv": "comparisons with the factor as the unit",
    "statistics/assumptions.tsv": "what those comparisons assume, and whether it holds",
    "statistics/ranks.tsv": "mean ranks of the models over factors",
    "statistics/ablation.tsv": "every mixture against the first: what each part is worth",
    "statistics/power.tsv": "how many factors a difference would take to be seen",
    "statistics/strata.tsv, strata_tests.tsv": "means in strata of factors, and tests between them",
    "statistics/similarity.tsv, regression.tsv": "similarity to training factors, and whether AUROC depends on it",
    "statistics/negatives_matrix.tsv": "negatives trained on against negatives tested on",
    "statistics/paper_anova.tsv": "the paper's ANOVA over draws",
    "statistics/published_anova.tsv": "the same from the authors' own draws",
    "statistics/draws.tsv": "F against the number of draws, the authors' and ours",
    "statistics/paper_tukey.tsv": "the paper's Tukey tests over draws",
    "figures/": "every figure as PDF, SVG and PNG, with the numbers it draws as TSV",
    "predictions/": "logit and probability of every model on every test row, Parquet",
    "experts/, moe/, baselines/": "trained models, safetensors and JSON; a mixture has its experts beside it",
    "summary.md": "the answer and the main tables on one page of Markdown",
    "methods.md": "the methods as a text for a paper",
    "cards/": "model and dataset cards, Markdown",
    "ro-crate-metadata.json": "provenance of the run as an RO-Crate",
    "benchmarks/costs.md, costs.tsv": "time and memory that each step took, measured, and so not on this page, whose "
    "bytes are the same on every run",
}


def sections(run: Run, provenance: Mapping[str, str]) -> list[Section]:
    """Return every section of the report; ``provenance`` holds facts of the run by name, such as commit and command."""
    return [
        Section("question", "What was asked", [Text(run.study.config["title"] or _QUESTION, style="lead")]),
        Section("answer", "The answer", [Items(answer(run)), *(Text(text, style="note") for text in caveats(run))]),
        _glance(run),
        data_and_results.data(run),
        data_and_results.results(run),
        gate(run),
        calibration(run),
        data_and_results.negatives(run),
        statistics.statistics(run),
        attribution(run),
        _published(run),
        _methods(run),
        _provenance(run, provenance),
        _files(run),
    ]


def _glance(run: Run) -> Section:
    study = run.study
    factors = list(dict.fromkeys(study.experiments[name]["factor"] for name in study.training))
    cells: dict[str, set[str]] = {}
    for protocol in study.protocols:
        for factor, trained_in in run.trained_cells(protocol).items():
            cells.setdefault(factor, set()).update(trained_in)
    sets = {name: set_and_stratum(row, cells) for name, row in study.experiments.items()}
    unseen, elsewhere = (
        list(dict.fromkeys(study.experiments[name]["factor"] for name, (found, _) in sets.items() if found == which))
        for which in (UNSEEN, OTHER_CELL)
    )
    trained = [factor for factor in factors if factor in cells]
    without = [factor for factor in factors if factor not in cells]
    rows = [
        {
            "experiment": name,
            "factor": row["factor"],
            "cell": row["cell"],
            "role": _ROLES[row["role"]],
            "set": aggregate.SETS[sets[name][0]],
            "stratum": sets[name][1].replace("_", " "),
        }
        for name, row in study.experiments.items()
    ]
    seeds = len(study.config["replicates"])
    away = f"{', '.join(elsewhere)}{_untested(run, OTHER_CELL, elsewhere)}"
    facts = [
        f"{len(trained)} factors with an expert: {', '.join(trained)}.",
        f"{len(unseen)} factors no expert saw: {', '.join(unseen) or 'none'}{_untested(run, UNSEEN, unseen)}.",
        *([f"{len(without)} training factors whose expert was left out: {', '.join(without)}."] if without else []),
        *([f"{len(elsewhere)} training factors in another cell: {away}."] if elsewhere else []),
        f"Protocols: {', '.join(study.protocols)}; {seeds} training seed{'s' if seeds > 1 else ''}, each a full "
        "retraining of every expert and gate.",
        f"Windows of {study.config['window']['length']} bases; negatives of the test sets: "
        f"{', '.join(sorted({test.negatives.replace('_', ' ') for test in study.test_sets}))}.",
    ]
    table = make_table(pd.DataFrame(rows), "The experiments of the study.", "experiments")
    return Section("glance", "The study at a glance", [Items(facts), *pictures(run, "schematic"), table])


def _untested(run: Run, which: str, factors: Sequence[str]) -> str:
    """Say of which factors of a set there are results, if not of all: test sets of too few rows are left out."""
    metrics = run.table(METRICS)
    if metrics is None:
        return ""
    found = metrics[(metrics["set"] == which) & metrics["value"].notna()]["factor"].unique()
    lacking = [factor for factor in factors if factor not in found]
    return f"; results are of {len(factors) - len(lacking)}, without {', '.join(lacking)}" if lacking else ""


def _published(run: Run) -> Section:
    blocks: list[Block] = [*reproduction(run), *pictures(run, "published")]
    metrics = run.table(METRICS)
    comparison = aggregate.beside_published(metrics, run.published) if metrics is not None else pd.DataFrame()
    if len(comparison):
        caption = "AUROC of the paper’s own evaluation beside ours on the same test files."
        blocks.append(make_table(comparison.drop(columns="set"), caption, "published-comparison"))
    shown = run.published.drop(columns="our_model").dropna(axis="columns", how="all")
    every = make_table(shown, "Published numbers and their places in the paper.", "published")
    blocks.append(Fold("Every published number", [every]))
    return Section("published", "Ours beside the published numbers", blocks)


def _methods(run: Run) -> Section:
    every = make_table(parameters(run.study.config), "Every parameter of the run, with its meaning.", "parameters")
    blocks: list[Block] = [*map(Text, methods(run.study)), Fold("Every parameter of the run", [every])]
    blocks += [Text("Training", style="heading"), *pictures(run, "learning_curves"), _trainings(run), *_searches(run)]
    blocks += [Fold(card.title, card.blocks) for card in cards(run)]
    blocks += [Text("References", style="heading"), Items(references(run.study))]
    return Section("methods", "Methods", blocks)


def _trainings(run: Run) -> Block:
    """Show what differs between the models' ``model.json`` files."""
    rows = []
    for protocol in run.study.protocols:
        for folder, (model, seed) in training_folders(run.study, protocol):
            path = run.folder / folder / "model.json"
            if path.is_file():
                described = {"protocol": protocol, "model": run.label(protocol, model), "seed": seed}
                rows.append(described | _flat(read_json(path)))
    if not rows:
        return Missing("Trainings one by one", "No model.json of a training was found in this run.")
    frame = pd.DataFrame(rows)
    varied = [name for name in frame.columns if frame[name].astype(str).nunique() > 1 or name == "protocol"]
    caption = "What differs between the trainings, from their model.json."
    return Fold("Trainings one by one", [make_table(frame[varied], caption, "trainings")])


def _searches(run: Run) -> list[Block]:
    """Show the hyper-parameter searches, their trials and choices; nothing where there are none."""
    rows = []
    for protocol in run.study.protocols:
        for folder, model in search_folders(run.study, protocol):
            described = {"protocol": protocol, "model": run.label(protocol, model)}
            if not (run.folder / folder / "best.json").is_file():
                rows.append(described)
                continue
            trials, best = read_tsv(run.folder / folder / "trials.tsv"), read_json(run.folder / folder / "best.json")
            chosen = {key: str(value) for part in ("network", "training") for key, value in best[part].items()}
            rows.append(
                described
                | {"trials": len(trials), "given_up": int((trials["state"] != "complete").sum())}
                | {"chosen_trial": best["trial"], "validation_auroc": best["validation_auroc"]}
                | {"chosen": ", ".join(f"{key} {value}" for key, value in chosen.items())}
            )
    if not rows:
        return []
    caption = "Searches: how many trials, and what the best on validation rows was."
    table = make_table(pd.DataFrame(rows), caption, "searches")
    return [Text("Searches", style="heading"), *pictures(run, "search"), table]


def _flat(description: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Return the scalars of nested JSON under dotted names, without lists."""
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
    blocks: list[Block] = [
        Text(
            "To make this run again: check out the commit below, put this run’s config.yaml and experiments.tsv in "
            "place, and run snakemake --cores 2 --configfile config.yaml. The same inputs, config and machine type "
            "give the same numbers."
        )
    ]
    if provenance:
        facts = pd.DataFrame(list(provenance.items()), columns=["what", "value"])
        blocks.append(make_table(facts, "The software of this run.", "provenance"))
    blocks.append(make_table(sources, "Where the data come from.", "sources"))
    return Section("provenance", "Provenance and how to reproduce", blocks)


def _files(run: Run) -> Section:
    rows = [{"file": path, "holds": holds} for path, holds in _FILES.items()]
    table = make_table(pd.DataFrame(rows), f"Below results/{run.study.config['run']}/.", "files")
    embedded = Text(
        "Figures and tables above carry their own downloads. The files themselves lie in the run’s folder, beside "
        "the one that holds this report."
    )
    return Section("files", "Files", [embedded, table])
