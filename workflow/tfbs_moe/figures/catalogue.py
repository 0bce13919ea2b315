"""The figures of a study, from ``catalogue.yaml``, and the files that they are drawn from.

Standard library and PyYAML only, for the Snakefile.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tfbs_moe.config import load_yaml
from tfbs_moe.genome.assemblies import PLANTED
from tfbs_moe.study import Study, TestSet

METRICS = "evaluation/metrics.tsv"
CURVES = "evaluation/curves.tsv"
GATE_WEIGHTS = "evaluation/gate_weights.tsv"
FACTOR_STATISTICS = "statistics/factors.tsv"
RANKS = "statistics/ranks.tsv"
ABLATION = "statistics/ablation.tsv"
GATE_USE = "evaluation/gate_use.tsv"
SUBSETS = "evaluation/subsets.tsv"
GATE_LOSSES = "statistics/gate_losses.tsv"
GATE_NUMBERS = "statistics/gate_numbers.tsv"
GATE_SIMILARITY = "statistics/gate_similarity.tsv"
DRAWS = "statistics/draws.tsv"
ATTRIBUTION_SUMMARY = "attributions/summary.tsv"
ATTRIBUTION_SHIFTS = "attributions/shifts.tsv"
SITE_PROFILES = "attributions/site_profiles.tsv"
MOTIF_MATCHES = "attributions/motif_matches.tsv"
PLANTED_SITES = "synthetic/sites.tsv"
LOGO_METHODS = ("gradient", "shiftsmooth", "shiftsmooth_corrected", "ism_corrected")
"""Methods stacked in the logos: the paper's two, ShiftSmooth with the simplex correction, and mutagenesis.

Mutagenesis is 0 at the base present; minus the mean over the four bases it is that base's contribution.
"""
Values = dict[str, str]
"""What the names in braces in ``catalogue.yaml`` stand for."""
_MOST_WHOLE, _DRAWN_PER_SIZE = 4, 20


@dataclass(frozen=True)
class FigureItem:
    """A figure of a study."""

    name: str  # file stem below ``figures/``
    kind: str  # key in ``catalogue.yaml``, which explains the other fields
    title: str
    caption: str
    alt: str
    inputs: Sequence[str]
    draw: str
    arguments: Sequence[str] = ()
    parameters: dict[str, str] = field(default_factory=dict)


def figure_items(study: Study) -> dict[str, FigureItem]:
    """Return every figure of a study by name; an unknown or missing field in the catalogue is an error."""
    items = [
        _item(study, kind, entry, own)
        for kind, entry in _catalogue().items()
        for own in _repeats(study, entry["for_each"])
    ]
    return {item.name: item for item in items}


@cache
def _catalogue() -> dict[str, Any]:
    return load_yaml(Path(__file__).with_suffix(".yaml"))


def _repeats(study: Study, for_each: str) -> list[Values]:
    """Return what distinguishes the figures of an entry, which is also what their names end in."""
    if for_each == "study":
        return [{}]
    return [
        {"protocol": protocol} | own
        for protocol in study.protocols
        for own in _repeats_in_protocol(study, protocol, for_each)
    ]


def _repeats_in_protocol(study: Study, protocol: str, for_each: str) -> list[Values]:
    explained = [{"model": model} for model in study.explained(protocol)]
    match for_each:
        case "protocol":
            return [{}]
        case "protocol with searches":
            return [{}] if search_folders(study, protocol) else []
        case "gate":
            return [{"gate": gate} for gate in study.gates(protocol)]
        case "explained experiment":
            return [{"experiment": name} for name in study.explained_experiments]
        case "explained model":
            return explained
        case "explained model, where TF-MoDISco runs":
            return explained if study.config["attribution"]["modisco_seqlets"] else []
        case "explained expert":
            return [own for own in explained if not own["model"].startswith("moe.")]
    raise ValueError(f"figures for each {for_each!r} are not known")


def _item(study: Study, kind: str, entry: dict[str, Any], own: Values) -> FigureItem:
    values = _values(study, own)
    fields = {name: value for name, value in entry.items() if name != "for_each"}
    fields["title"] = entry["title"].format(**values)
    # A name that stands for nothing leaves a blank at the end.
    fields["caption"] = entry["caption"].format(**values).rstrip()
    fields["inputs"] = [path for template in entry["inputs"] for path in _paths(template, study, values)]
    protocol = {"protocol": own["protocol"]} if own else {}
    parameters = {name: value.format(**values) for name, value in entry.get("parameters", {}).items()}
    return FigureItem(".".join([kind, *own.values()]), kind, **fields | {"parameters": protocol | parameters})


def _values(study: Study, own: Values) -> Values:
    evaluation = study.config["evaluation"]
    values = {
        "seeds": str(len(study.config["replicates"])),
        "confidence": percent(evaluation["confidence"]),
        "overlap_k": str(evaluation["overlap_k"]),
        "calibration_bins": str(evaluation["calibration_bins"]),
        "motif_method": study.config["attribution"]["motif_method"],
        "boxes": "Boxes are known sites." if study.genome.assembly == PLANTED else "",
    }
    if own:
        gate = study.gates(own["protocol"])[0]
        values |= {"gate": gate, "subsets": _tried(len(study.gate_experts_of(own["protocol"], gate)))}
    return values | own


def _tried(experts: int) -> str:
    """Say which subsets of experts are tried, as in ``evaluation.subsets``, which a bare Snakemake cannot import."""
    if experts <= _MOST_WHOLE:
        return "all subsets of that size"
    return (
        f"all subsets of one expert and of all but one, and up to {_DRAWN_PER_SIZE} subsets drawn at random of each "
        "size between"
    )


def _paths(template: str, study: Study, values: Values) -> list[str]:
    """Return the files of an input: several where it holds a name of ``_SEVERAL``."""
    for name, several in _SEVERAL.items():
        if f"{{{name}}}" in template:
            return [template.format(**values, **{name: one}) for one in several(study, values)]
    return [template.format(**values)]


def _truth(study: Study, values: Values) -> Iterable[str]:
    """Return the files with the planted sites of an experiment's test sequences; none for a real genome."""
    if study.genome.assembly != PLANTED:
        return []
    negatives = next(test.negatives for test in first_test_sets(study) if test.experiment == values["experiment"])
    return [f"datasets/{values['experiment']}/{negatives}/test.h5", PLANTED_SITES]


_SEVERAL: dict[str, Callable[[Study, Values], Iterable[str]]] = {
    "test": lambda study, _: [f"{test.experiment}/{test.negatives}" for test in first_test_sets(study)],
    "training": lambda study, values: [folder for folder, _ in training_folders(study, values["protocol"])],
    "search": lambda study, values: [folder for folder, _ in search_folders(study, values["protocol"])],
    "method": lambda *_: LOGO_METHODS,
    "truth": _truth,
}


def explaining(config: Mapping[str, Any]) -> list[str]:
    """Return the attribution methods of a run: those of the config, and those that logos and motifs need."""
    settings = config["attribution"]
    return list(dict.fromkeys([*settings["methods"], *LOGO_METHODS, settings["motif_method"]]))


def first_test_sets(study: Study) -> list[TestSet]:
    """Return each experiment's test set with the first kind of negatives, which the main figures show."""
    first: dict[str, TestSet] = {}
    for test in study.test_sets:
        first.setdefault(test.experiment, test)
    return list(first.values())


def training_folders(study: Study, protocol: str) -> list[tuple[str, tuple[str, int]]]:
    """Return (folder, (model, seed)) of every expert and gate of a protocol."""
    seeds = study.config["replicates"]
    experts = [
        (f"experts/{protocol}/{kind}/{name}/seed{seed}", (f"{kind}.{name}", seed))
        for kind, name in study.experts(protocol)
        for seed in seeds
    ]
    gates = [
        (f"moe/{protocol}/{gate}/seed{seed}", (f"moe.{gate}", seed)) for gate in study.gates(protocol) for seed in seeds
    ]
    return experts + gates


def search_folders(study: Study, protocol: str) -> list[tuple[str, str]]:
    """Return (folder, model) of every hyper-parameter search of a protocol."""
    return [
        (f"search/{protocol}/{kind}/{name}", f"{kind}.{name}")
        for kind, name in study.experts(protocol)
        if study.config["experts"][kind]["search"]["trials"]
    ]


def percent(share: float) -> str:
    """Format a fraction as ``95%`` or ``97.5%``, not rounded to another confidence level."""
    return f"{100 * share:g}%"
