"""The sections of the report, in order, and those that have no module of their own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.catalogue import METRICS, search_folders, training_folders
from tfbs_moe.report.documents.cards import cards
from tfbs_moe.report.documents.methods import methods, parameters, references
from tfbs_moe.report.inputs import Run, pictures
from tfbs_moe.report.page import Block, Fold, Items, Missing, Section, Text, make_table, number
from tfbs_moe.report.sections import data_and_results, statistics
from tfbs_moe.report.sections.answer import PUBLISHED_PROTOCOL, answer
from tfbs_moe.report.sections.attribution import attribution
from tfbs_moe.report.sections.caveats import caveats
from tfbs_moe.report.sections.gate_and_calibration import calibration, gate
from tfbs_moe.study import OTHER_CELL, UNSEEN, set_and_stratum
from tfbs_moe.tables import read_json, read_tsv

_QUESTION = (
    "Can a mixture of experts, each trained on one transcription factor, tell bound from unbound DNA for factors "
    "that none of them saw?"
)
_REPRODUCED = "Reproduction of the authors’ retrained figure"
_FILES = Path(__file__).parents[1] / "files.tsv"
_ROLES = {"train": "training", "test": "test", "ood": "test"}


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


def reproduction(run: Run) -> list[Block]:
    """Return the reproduction's verdict and table, and possible reasons where it failed."""
    if PUBLISHED_PROTOCOL not in run.study.protocols:
        return [Missing(_REPRODUCED, f"This study has no protocol called “{PUBLISHED_PROTOCOL}”.")]
    metrics = run.table(METRICS)
    if metrics is None:
        return [Missing(_REPRODUCED, run.why_missing(METRICS))]
    model = f"moe.{run.study.gates(PUBLISHED_PROTOCOL)[0]}"
    table = aggregate.reproduction(metrics, run.published, PUBLISHED_PROTOCOL, model)
    if table.empty:
        why = "This study does not test on the nine files of the paper, so there is nothing to compare."
        return [Missing(_REPRODUCED, why)]
    blocks: list[Block] = [Text(_REPRODUCED, style="heading")]
    for row in table.to_dict("records"):
        reached = "Reached" if row["within"] else "Not reached"
        blocks.append(
            Text(
                f"{reached}, {aggregate.SETS[row['set']]}: mean AUROC {number(row['value'])} (seeds "
                f"{number(row['lowest'])} to {number(row['highest'])}) against {number(row['reference'])}; difference "
                f"{number(row['difference'], sign=True)}, tolerance ±{aggregate.TOLERANCE}.",
                style="good" if row["within"] else "bad",
            )
        )
    shown = table.assign(set=table["set"].map(aggregate.SETS))
    blocks.append(
        make_table(shown, "Our retraining of the published protocol beside the authors’ own.", "reproduction")
    )
    missed = table.loc[~table["within"].astype(bool), "set"]
    if len(missed):
        blocks.append(Text("What the tables say about why", style="heading"))
        blocks += [Items(_reasons_missed(run, metrics, model, str(name))) for name in missed]
    return blocks


def _reasons_missed(run: Run, metrics: pd.DataFrame, model: str, set_name: str) -> list[str]:
    """Locate the gap to the authors' figure: factors, experts or gate, seeds, a second run of their code."""
    numbers, comparison = run.published, aggregate.beside_published(metrics, run.published)
    ours = comparison[(comparison["protocol"] == PUBLISHED_PROTOCOL) & (comparison["set"] == set_name)]
    title = aggregate.SETS[set_name]
    found = []
    gaps = ours[(ours["model"] == model) & (ours["name"] != title)].sort_values("difference", key=abs, ascending=False)
    if len(gaps):
        listed = ", ".join(f"{row['name']} {number(row['difference'], sign=True)}" for row in gaps.to_dict("records"))
        found.append(
            f"By factor, {title}, ours minus the paper’s own table (whose evaluation differs, see methods): {listed}."
        )
    experts = ours[(ours["model"] != model) & (ours["name"] == title)]
    if len(experts):
        listed = ", ".join(
            f"{run.label(PUBLISHED_PROTOCOL, row['model'])} {number(row['difference'], sign=True)}"
            for row in experts.to_dict("records")
        )
        found.append(
            f"The experts alone, {title} mean, ours minus the paper’s: {listed}. A gap of the same sign and size there "
            "comes from the experts’ training and negatives and not from the gate."
        )
    again = numbers[
        (numbers["name"] == aggregate.RUN_AGAIN)
        & (numbers["set"] == set_name)
        & (numbers["evaluation"] == aggregate.SAME_FILES)
    ]
    if len(again):
        row = again.to_dict("records")[0]
        found.append(
            f"The authors’ own code, run again on the same files, gave {number(row['value'])} ± "
            f"{number(row['spread'])} over {row['seeds']} seeds: the reference itself moves by this much."
        )
    mixture = ours[(ours["model"] == model) & (ours["name"] == title)]
    if len(mixture):
        spread = float(mixture["highest"].iloc[0] - mixture["lowest"].iloc[0])
        found.append(f"Our own seeds spread over {number(spread)}.")
    return found


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
    table = make_table(read_tsv(_FILES), f"Below results/{run.study.config['run']}/.", "files")
    embedded = Text(
        "Figures and tables above carry their own downloads. The files themselves lie in the run’s folder, beside "
        "the one that holds this report."
    )
    return Section("files", "Files", [embedded, table])
