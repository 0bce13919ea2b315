"""One figure of a study, and the files that figures are drawn from.

Imports nothing beyond the standard library, so that the Snakefile can ask which figures to expect.
"""

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
GATE_LIKENESS = "statistics/gate_likeness.tsv"
DRAWS = "statistics/draws.tsv"
ATTRIBUTION_SUMMARY = "attributions/summary.tsv"
ATTRIBUTION_SHIFTS = "attributions/shifts.tsv"
ATTRIBUTION_AROUND = "attributions/around.tsv"
MOTIFS = "attributions/motifs.tsv"
MOTIF_MATCHES = "attributions/motif_matches.tsv"
PLANTED_SITES = "synthetic/sites.tsv"
LOGO_METHODS = ("gradient", "shiftsmooth", "shiftsmooth_corrected", "ism_corrected")
"""Methods stacked in the logos: the paper's two, ShiftSmooth with the simplex correction, and the reference.

Mutagenesis itself is 0 at the base that stands there; less the mean over the four bases it is what the base is worth.
"""


@dataclass(frozen=True)
class FigureItem:
    """One figure of a study.

    Attributes:
        name: file stem below ``figures/``.
        kind: which function draws it; see ``tfbs_moe.figures.draw``.
        title: a few words.
        caption: what is shown, how, over what; whole sentences.
        alt: what a reader who cannot see it needs to know about its form.
        inputs: files it is drawn from, relative to the run's folder.
        parameters: what tells it from the others of its kind.
    """

    name: str
    kind: str
    title: str
    caption: str
    alt: str
    inputs: tuple[str, ...]
    parameters: dict[str, str] = field(default_factory=dict)


def explaining(config: Mapping[str, Any]) -> list[str]:
    """Return the methods that sequences are explained by: those asked for, and what logos and motifs are made from."""
    settings = config["attribution"]
    return list(dict.fromkeys([*settings["methods"], *LOGO_METHODS, settings["motif_method"]]))


def first_test_sets(study: Study) -> list[TestSet]:
    """Return one test set per experiment: its first kind of negatives, which the main figures show."""
    first: dict[str, TestSet] = {}
    for test in study.test_sets:
        first.setdefault(test.experiment, test)
    return list(first.values())


def training_folders(study: Study, protocol: str) -> list[tuple[str, tuple[str, int]]]:
    """Return (folder, (model, seed)) of every training of a protocol."""
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
    """Return (folder, model) of every search of a protocol; empty where the config's own values hold."""
    return [
        (f"search/{protocol}/{kind}/{name}", f"{kind}.{name}")
        for kind, name in study.experts(protocol)
        if study.config["experts"][kind]["search"]["trials"]
    ]


def percent(share: float) -> str:
    """Return a share as ``95%``, ``97.5%``: a level is never rounded to another one."""
    return f"{100 * share:g}%"


def words(text: str) -> str:
    """Return a text written over several lines as one line."""
    return " ".join(text.split())
