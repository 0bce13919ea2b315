"""The figures of a study, from ``catalogue.yaml``. Standard library and PyYAML only, for the Snakefile."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tfbs_moe.config import load_yaml
from tfbs_moe.figures.item import (
    LOGO_METHODS,
    PLANTED_SITES,
    FigureItem,
    first_test_sets,
    percent,
    search_folders,
    training_folders,
)
from tfbs_moe.genome.assemblies import PLANTED
from tfbs_moe.study import Study

Values = dict[str, str]
"""What the names in braces in ``catalogue.yaml`` stand for."""
_MOST_WHOLE, _DRAWN_PER_SIZE = 4, 20


@dataclass(frozen=True)
class _Entry:
    """An entry of ``catalogue.yaml``, which explains the fields; one that is unknown or missing is a TypeError."""

    for_each: str
    title: str
    caption: str
    alt: str
    inputs: list[str]
    draw: str
    arguments: list[str] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)


def figure_items(study: Study) -> dict[str, FigureItem]:
    """Return every figure of a study by name."""
    items = [
        _item(kind, entry, study, own)
        for kind, entry in _catalogue().items()
        for own in _repeats(study, entry.for_each)
    ]
    return {item.name: item for item in items}


@cache
def _catalogue() -> dict[str, _Entry]:
    entries = load_yaml(Path(__file__).with_suffix(".yaml"))
    return {kind: _Entry(**fields) for kind, fields in entries.items()}


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


def _item(kind: str, entry: _Entry, study: Study, own: Values) -> FigureItem:
    values = _values(study, own)
    # A name that stands for nothing leaves a blank.
    caption = entry.caption.format(**values).rstrip()
    protocol = {"protocol": own["protocol"]} if own else {}
    return FigureItem(
        name=".".join([kind, *own.values()]),
        kind=kind,
        title=entry.title.format(**values),
        caption=caption,
        alt=entry.alt,
        inputs=tuple(path for template in entry.inputs for path in _paths(template, study, values)),
        draw=entry.draw,
        arguments=tuple(entry.arguments),
        parameters=protocol | {name: value.format(**values) for name, value in entry.parameters.items()},
    )


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
