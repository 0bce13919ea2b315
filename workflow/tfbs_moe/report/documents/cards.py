"""Model and dataset cards: purpose, origin, performance and limits.

The headings follow Mitchell et al. (2019, Model cards for model reporting) and Gebru et al. (2021, Datasheets for
datasets), as far as the files of a run can fill them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.catalogue import METRICS, percent
from tfbs_moe.genome.assemblies import NO_GENOME, PLANTED
from tfbs_moe.report.documents.methods import NEGATIVES
from tfbs_moe.report.inputs import DATASETS, Run
from tfbs_moe.report.page import Block, Items, Missing, Table, Text, make_table
from tfbs_moe.report.sections.answer import confidence
from tfbs_moe.statistics.units import over_factors
from tfbs_moe.study import SUPPLIED
from tfbs_moe.tables import read_json

_SHOWN_METRICS = ("auroc", "auprc", "log_loss", "calibration_error")


@dataclass(frozen=True)
class Card:
    """A card; ``name`` is its file name without suffix."""

    name: str
    title: str
    blocks: list[Block]


def cards(run: Run) -> list[Card]:
    """Return the card of every mixture, and that of the datasets."""
    mixtures = [(protocol, gate) for protocol in run.study.protocols for gate in run.study.gates(protocol)]
    return [*(_model_card(run, protocol, gate) for protocol, gate in mixtures), _dataset_card(run)]


def expert_cards(run: Run) -> list[Card]:
    """Return the card of every expert; its seeds share one."""
    return [
        _expert_card(run, protocol, kind, name)
        for protocol in run.study.protocols
        for kind, name in run.study.experts(protocol)
    ]


def _expert_card(run: Run, protocol: str, kind: str, name: str) -> Card:
    study, model = run.study, f"{kind}.{name}"
    recipe, trained = study.config["protocols"][protocol], study.experiments[name]
    seeds = study.config["replicates"]
    folder = f"experts/{protocol}/{kind}/{name}"
    made = [read_json(run.folder / folder / f"seed{seed}" / "model.json") for seed in seeds]
    first = made[0]
    rows = [
        {
            "seed": seed,
            "validation_auroc": each["metrics"]["validation_auroc"],
            "best_epoch": each["metrics"]["best_epoch"],
            "epochs": each["metrics"]["epochs"],
            "device": each["computed_with"]["name"],
            "weights_sha256": each["weights"]["sha256"],
        }
        for seed, each in zip(seeds, made, strict=True)
    ]
    data = first["data"]["train"]
    settings = {"network": first["hyperparameters"], "training": first["settings"]}
    chosen = pd.DataFrame(
        [
            {"of": part, "parameter": key, "value": str(value)}
            for part, values in settings.items()
            for key, value in values.items()
        ]
    )
    blocks: list[Block] = [
        Text("What it is", style="heading"),
        Text(
            f"A {kind} with {first['parameters']} weights that gives a logit and an embedding of "
            f"{first['embedding_size']} numbers for a window of {first['window']} bases; its units see "
            f"{first['receptive_field']} bases. Trained under the protocol “{protocol}” with {len(seeds)} seed(s). Its "
            f"folder is {folder}/seed<k>/, in safetensors and JSON, under the licence {first['licence']}."
        ),
        *_left_out(seeds, made),
        Text("Intended use", style="heading"),
        Text(
            f"Research: to score whether a window of DNA looks bound by {trained['factor']} in ChIP-seq of "
            f"{trained['cell']}, and as one of the experts of a mixture. The score compares sequences with each other."
        ),
        Text("Not for", style="heading"),
        Items(_limits(run, recipe["training_negatives"])),
        Text("Training data", style="heading"),
        *_genome(run),
        _sources(run, [name], f"sources-{protocol}-{model}"),
        Text(
            f"{data['rows']} training rows, {data['positives']} of them bound (SHA-256 of the rows of the first seed: "
            f"{data['sha256']}), and {first['data']['validation']['rows']} that chose the epoch. Unbound rows: "
            f"{NEGATIVES[recipe['training_negatives']]}."
        ),
        Text("Training", style="heading"),
        make_table(pd.DataFrame(rows), "Every seed; the AUROC is that of the validation rows.", f"card-seeds-{model}"),
        make_table(chosen, "Hyper-parameters of the network and its training, first seed.", f"card-parameters-{model}"),
        Text("How well it does on its own factor", style="heading"),
        _own_factor(run, protocol, model, trained["factor"]),
        Text("How well it does on all test sets, by stratum", style="heading"),
        _by_stratum(run, protocol, model),
    ]
    return Card(f"expert.{protocol}.{model}", f"Model card: {run.label(protocol, model)}, protocol {protocol}", blocks)


def _left_out(seeds: Sequence[int], made: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Say in which seeds an expert was excluded, and why."""
    return [
        Text(f"Seed {seed} was left out of the study and holds untrained weights: {each['left_out']}", style="bad")
        for seed, each in zip(seeds, made, strict=True)
        if each.get("left_out")
    ]


def _model_card(run: Run, protocol: str, gate: str) -> Card:
    study, model = run.study, f"moe.{gate}"
    recipe = study.config["protocols"][protocol]
    trained = [study.experiments[name] for name in study.training]
    gate_experts = study.gate_experts_of(protocol, gate)
    factors = ", ".join(dict.fromkeys(row["factor"] for row in trained))
    blocks: list[Block] = [
        Text("What it is", style="heading"),
        Text(
            f"A {study.config['gates'][gate].get('kind', gate)} gate over {len(gate_experts)} networks "
            f"({', '.join(gate_experts)}; {', '.join(recipe['architectures'])}) that gives a logit for a window of "
            f"{study.config['window']['length']} bases, trained under the "
            f"protocol “{protocol}” with {len(study.config['replicates'])} seed(s). Its folder is "
            f"moe/{protocol}/{gate}/seed<k>/, with its experts beside it, in safetensors and JSON."
            + (
                " It can be conditioned on the motif prior of the factor being scored."
                if study.uses_motif_prior(gate)
                else ""
            )
        ),
        Text("Intended use", style="heading"),
        Text(
            f"Research: to score whether a window of DNA of this length looks bound in ChIP-seq by {factors}, or by "
            "a factor that resembles one of them, and to study which expert a sequence calls on. The score compares "
            "sequences with each other; as a probability it holds for the share of bound rows in its test sets only."
        ),
        Text("Not for", style="heading"),
        Items(_limits(run, recipe["training_negatives"])),
        Text("Training data", style="heading"),
        *_genome(run),
        _sources(run, study.training, f"sources-{protocol}-{gate}"),
        Text(f"Unbound training rows: {NEGATIVES[recipe['training_negatives']]}."),
        Text("How well it does, by stratum", style="heading"),
        _by_stratum(run, protocol, model),
    ]
    return Card(f"model.{protocol}.{gate}", f"Model card: {run.label(protocol, model)}, protocol {protocol}", blocks)


def _limits(run: Run, trained_on: str) -> list[str]:
    study = run.study
    limits = [
        "Clinical decisions: nothing here was validated for them.",
        f"Windows of another length than {study.config['window']['length']} bases, and sequence from other species "
        "than the training data's.",
        "Unbound sequence of other kinds than it was trained and tested against: it was trained against "
        f"{trained_on.replace('_', ' ')} and tested against "
        f"{', '.join(sorted({test.negatives.replace('_', ' ') for test in study.test_sets}))}.",
        "Binding in a living cell: chromatin, dose and partners are not in the sequence; peaks of a factor without "
        "a motif of its own are largely those of others.",
    ]
    if study.genome.assembly == PLANTED:
        limits.insert(0, "Real DNA: it was trained on a simulated genome with planted motifs.")
    return limits


def _genome(run: Run) -> list[Block]:
    """Name the genome; nothing where none is known."""
    genome = run.study.genome
    if not genome.species and genome.assembly == NO_GENOME:
        return []
    label = "a simulated genome" if genome.assembly == PLANTED else genome.label
    return [Text(f"Genome: {label}. Matrices of the factors: JASPAR’s {genome.jaspar_group}.")]


def _own_factor(run: Run, protocol: str, model: str, factor: str) -> Table | Missing:
    single = _metrics_of(run, protocol, model, "Metrics on its own factor")
    if isinstance(single, Missing):
        return single
    own = single[single["factor"] == factor]
    if own.empty:
        return Missing("Metrics on its own factor", f"No test set of the study is of {factor}.")
    keys = ["experiment", "negatives", "rows", "metric"]
    return make_table(own[[*keys, "value"]], "Test sets of its own factor, means over seeds.", f"card-own-{model}")


def _by_stratum(run: Run, protocol: str, model: str) -> Table | Missing:
    single = _metrics_of(run, protocol, model, "Metrics by stratum")
    if isinstance(single, Missing):
        return single
    level = confidence(run)
    table = over_factors(single, ["stratum", "negatives", "rows", "metric"], level)
    table = table.rename(columns={"value": "mean", "n_factors": "factors"})
    caption = f"Means over the factors of each stratum, with the {percent(level)} t interval over them."
    return make_table(table, caption, f"card-{protocol}-{model}")


def _metrics_of(run: Run, protocol: str, model: str, missing: str) -> pd.DataFrame | Missing:
    """Return a model's metrics for its card, means over seeds, or what to print in their place."""
    metrics = run.table(METRICS)
    if metrics is None:
        return Missing(missing, run.why_missing(METRICS))
    chosen = metrics[
        (metrics["protocol"] == protocol) & (metrics["model"] == model) & metrics["metric"].isin(_SHOWN_METRICS)
    ]
    if chosen.empty:
        return Missing(missing, f"{METRICS} has no row of {model} under {protocol}.")
    return aggregate.over_seeds(chosen)


def _dataset_card(run: Run) -> Card:
    study = run.study
    tested = sorted({test.negatives for test in study.test_sets})
    blocks: list[Block] = [
        Text("What is in it", style="heading"),
        Text(
            f"Windows of {study.config['window']['length']} bases as one-hot arrays (HDF5), labelled bound or "
            "unbound, by experiment, kind of negatives and split. A row keeps its place in the genome where it has "
            "one, and a negative made from a positive keeps the positive's row."
        ),
        Text("Where it comes from", style="heading"),
        *_genome(run),
        _sources(run, list(study.experiments), "dataset-sources"),
        Text("What the unbound rows are", style="heading"),
        Items([f"{name.replace('_', ' ')}: {NEGATIVES[name]}." for name in tested]),
        Text("How many rows", style="heading"),
        _counts(run),
        Text("Caveats", style="heading"),
        Items(_caveats(tested)),
    ]
    return Card("datasets", "Dataset card", blocks)


def _caveats(tested: list[str]) -> list[str]:
    caveats = [
        "ChIP-seq peaks are noisy labels: a peak need not hold the factor's own motif, and a window without a peak "
        "may be bound in another cell.",
        "Peaks of different factors lie at the same places; test rows that share sequence with bound training rows "
        "are marked in the audit and left out of the overlap-free results.",
    ]
    if SUPPLIED in tested:
        caveats.append("Supplied negatives are whatever their authors chose; the audit says what they are.")
    return caveats


def _counts(run: Run) -> Table | Missing:
    table = run.table(DATASETS)
    if table is None:
        return Missing("Counts", run.why_missing(DATASETS))
    return make_table(table, "Rows of every dataset.", "dataset-counts")


def _sources(run: Run, names: list[str], identifier: str) -> Table:
    rows = [
        {"experiment": name}
        | {key: run.study.experiments[name][key] for key in ("factor", "cell", "source")}
        | {"checksum": run.study.experiments[name]["checksum"] or "none given"}
        for name in names
    ]
    return make_table(pd.DataFrame(rows), "Experiments and where their files come from.", identifier)
