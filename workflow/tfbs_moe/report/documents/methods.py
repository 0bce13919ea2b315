"""The methods of a study, written from its config, and the works that it cites."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tfbs_moe.config import load_schema, load_yaml
from tfbs_moe.figures.catalogue import explaining, percent
from tfbs_moe.genome.assemblies import PLANTED
from tfbs_moe.study import BASELINES, Study

_WORKS = Path(__file__).with_name("references.yaml")
NEGATIVES = {
    "dinucleotide_shuffle": (
        "shuffles of the bound sequences that keep all dinucleotide counts, each as likely as any other (Altschul and "
        "Erickson; Kandel et al.)"
    ),
    "block_shuffle": (
        "the authors’ shuffles, which permute non-overlapping pairs of bases and do not keep dinucleotide counts"
    ),
    "gc_matched": "genomic sequences matched to the bound ones in GC content, away from every peak of the factor",
    "flanks": "the flanks of the same peaks",
    "other_peaks": "peaks of other factors in the same cell",
    "supplied": "the unbound sequences of the prepared test files",
}

GATE_ROWS = {
    "expert_split": "the experts’ training rows, chosen on their validation rows",
    "pooled_random": "all rows split at random, as the authors did",
    "held_out": "three quarters of the experts’ validation rows that do not calibrate, chosen on the rest of these",
    "out_of_fold": "the training rows, each embedded by experts trained on folds without it and without related rows",
}
_STOPPED_ON = {
    "whole_set": "the AUROC of the whole validation set",
    "batch_mean": "the mean AUROC of validation batches, as the authors did",
}


def methods(study: Study) -> list[str]:
    """Return the paragraphs of the methods section, from the config alone."""
    config = study.config
    paragraphs = [_data(study)]
    paragraphs += [_protocol(study, name, settings) for name, settings in config["protocols"].items()]
    paragraphs += [_evaluation(study), _attribution(config)]
    return paragraphs


def parameters(config: Mapping[str, Any]) -> pd.DataFrame:
    """Return every parameter of a config: ``parameter``, ``value``, and its ``meaning`` from the schema."""
    return pd.DataFrame(_flatten(config, load_schema("config"), ""), columns=["parameter", "value", "meaning"])


def references(study: Study) -> list[str]:
    """Return the works to cite for a study, in alphabetical order."""
    holds = {test.negatives for test in study.test_sets} | set(explaining(study.config))
    holds |= {recipe["training_negatives"] for recipe in study.config["protocols"].values()}
    if study.genome.assembly != PLANTED:
        holds.add("real genome")
    if study.config["genome"]["blacklist"] is True and study.genome.blacklisted:
        holds.add("blacklist")
    return sorted(work["text"] for work in load_yaml(_WORKS) if holds.intersection(work.get("cited_for", holds)))


def _data(study: Study) -> str:
    config = study.config
    length = config["window"]["length"]
    kinds = {row["format"] for row in study.experiments.values()}
    parts = [f"Sequences are one-hot encoded windows of {length} bases."]
    if "deepbind" in kinds:
        parts.append(
            "Prepared files hold bound sequences without coordinates; their rows were split at random into training "
            f"and validation ({percent(config['splits']['validation_fraction'])})."
        )
    if "peaks" in kinds:
        splits = config["splits"]
        parts.append(
            f"Windows were cut around peak summits ({study.genome.label}); validation rows lie on "
            f"{', '.join(splits['validation_chromosomes'])}, test rows on {', '.join(splits['test_chromosomes'])}, and "
            "training rows on the other chromosomes."
        )
    tested = sorted({test.negatives for test in study.test_sets})
    parts.append(f"Test negatives: {'; '.join(NEGATIVES[name] for name in tested)}.")
    return " ".join(parts)


def _protocol(study: Study, name: str, settings: Mapping[str, Any]) -> str:
    config, seeds = study.config, study.config["replicates"]
    trained = [
        f"{kind}: {_recipe([study.expert_settings(name, kind, each)['training'] for each in study.training])}"
        for kind in settings["architectures"]
    ]
    gates = [
        f"{gate}{_told(study, gate)}: {_recipe([config['gates'][gate]['training']])}" for gate in settings["gates"]
    ]
    pooled = ", ".join(settings["pooled"])
    return (
        f"Protocol “{name}”. Training negatives: {NEGATIVES[settings['training_negatives']]}. One expert per "
        f"training experiment ({', '.join(study.training)}) and architecture ({'; '.join(trained)}), stopped on "
        f"{_STOPPED_ON[settings['validation_auroc']]}; dropout: {settings['dropout'].replace('_', ' ')}. Gates over "
        f"frozen experts ({'; '.join(gates)}), rows: {GATE_ROWS[settings['gate_rows']]}. "
        + (f"Networks trained on the rows of all training experiments together: {pooled}. " if pooled else "")
        + (f"{_background(study, name)} " if study.background(name) else "")
        + "Everything was "
        f"retrained for each of the seeds {', '.join(map(str, seeds))}. Models were chosen on validation rows "
        "only."
    )


def _background(study: Study, protocol: str) -> str:
    """Describe the control without labels of a protocol."""
    settings, length = study.config["background"], study.config["window"]["length"]
    rich = f" with at least {settings['minimum_cpg']} CpG" if settings["minimum_cpg"] else ""
    tests = ", and none lies on the test chromosomes" if study.has_peaks else " or a bound test row"
    return (
        f"A background network ({study.background(protocol)}) learned, without labels of any factor, to tell up to "
        f"{settings['windows']:,} windows of {length} bases of the genome ({study.genome.label}){rich} from their "
        f"dinucleotide shuffles; none overlaps or shares a {study.config['evaluation']['overlap_k']}-mer with a bound "
        f"training row{tests}."
    )


def _told(study: Study, gate: str) -> str:
    """Describe a gate's kind, its pooled and background networks, expert dropout, motif prior and fine-tuning."""
    settings = study.config["gates"][gate]
    parts = [f"a {settings['kind']} gate"] if settings.get("kind", gate) != gate else []
    parts += [f"with the pooled {', '.join(settings['pooled'])}"] if settings["pooled"] else []
    parts += ["with the background network"] if settings["background"] else []
    parts += (
        [f"{percent(settings['expert_dropout'])} of rows without the expert of their factor"]
        if settings["expert_dropout"]
        else []
    )
    parts += ["conditioned on the factor’s motif prior"] if study.uses_motif_prior(gate) else []
    parts += [f"experts fine-tuned for {settings['fine_tune_epochs']} epochs"] if settings["fine_tune_epochs"] else []
    return f" ({'; '.join(parts)})" if parts else ""


def _recipe(trainings: Sequence[Mapping[str, Any]]) -> str:
    """Describe briefly how a network is trained; the learning rate may differ between experiments."""
    training, rates = trainings[0], sorted({each["learning_rate"] for each in trainings})
    rate = f"{rates[0]:g}" if len(rates) == 1 else f"{rates[0]:g} to {rates[-1]:g} by experiment"
    return (
        f"{training['optimizer']}, learning rate {rate}, batches of {training['batch_size']}, "
        f"at most {training['max_epochs']} epochs, patience {training['patience']}"
    )


def _evaluation(study: Study) -> str:
    evaluation = study.config["evaluation"]
    settings = study.config["statistics"]
    return (
        f"Intervals of single test sets ({percent(evaluation['confidence'])}) come from {evaluation['bootstrap']:,} "
        "bootstrap draws that keep a bound sequence and the negative made from it together: from their standard "
        "deviation, on the logit scale for areas and with their skewness for losses, and from their percentiles for "
        "the sensitivity; none for the calibration error and the enrichment, nor for a class with few rows, where they "
        "would miss their nominal coverage. A test row overlaps training where it shares a "
        f"{evaluation['overlap_k']}-mer, on either strand, with a bound row that trained an expert or chose its "
        "epoch. Models are compared with the factor as the unit, seeds averaged "
        f"within it; differences of up to {settings['margin']:g} were set beforehand not to matter. The paper’s ANOVA "
        f"is also computed, over {settings['draws']} draws per model. "
        f"Baselines on the same rows: {', '.join(name.replace('_', ' ') for name in BASELINES)}"
        + "".join(f", {name.replace('_', ' ')} gate" for name in study.config["baselines"])
        + "; the oracle chooses an expert by the test labels and takes part in no test."
    )


def _attribution(config: Mapping[str, Any]) -> str:
    settings = config["attribution"]
    return (
        f"Attribution of the logit by {', '.join(explaining(config))} on up to {settings['sequences']} bound "
        "sequences per test set, spread evenly over the mixture’s logit, and its best, median and worst; ShiftSmooth "
        f"averages over shifts of up to {settings['shifts']} base{'s' if settings['shifts'] > 1 else ''} to either "
        "side. Methods are judged against "
        "in-silico mutagenesis and known sites (in real DNA the best match of the factor’s JASPAR matrix, with its "
        "columns shuffled as the control), and compared with the gradient over factors by a paired t interval and "
        f"Wilcoxon’s test. Motifs are sought in {settings['motif_method']} over all explained sequences."
    )


def _flatten(value: object, schema: Mapping[str, Any], key: str) -> Iterator[tuple[str, str, str]]:
    """Yield key, value and meaning of every leaf of a config."""
    if isinstance(value, dict) and value:
        rest = schema.get("additionalProperties")
        for name, sub in value.items():
            inner = schema.get("properties", {}).get(name, rest if isinstance(rest, dict) else {})
            yield from _flatten(sub, inner, f"{key}.{name}" if key else name)
    else:
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield key, text, " ".join(schema.get("description", "").split())
