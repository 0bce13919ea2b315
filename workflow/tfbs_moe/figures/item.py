"""A figure of a study, and the files that figures are drawn from. Standard library only, for the Snakefile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
MOTIFS = "attributions/motifs.tsv"
MOTIF_MATCHES = "attributions/motif_matches.tsv"
PLANTED_SITES = "synthetic/sites.tsv"
LOGO_METHODS = ("gradient", "shiftsmooth", "shiftsmooth_corrected", "ism_corrected")
"""Methods stacked in the logos: the paper's two, ShiftSmooth with the simplex correction, and mutagenesis.

Mutagenesis is 0 at the base present; minus the mean over the four bases it is that base's contribution.
"""


@dataclass(frozen=True)
class FigureItem:
    """A figure of a study."""

    name: str  # file stem below ``figures/``
    kind: str  # key in ``catalogue.yaml``, which explains the other fields
    title: str
    caption: str
    alt: str
    inputs: tuple[str, ...]
    draw: str
    arguments: tuple[str, ...] = ()
    parameters: dict[str, str] = field(default_factory=dict)


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
