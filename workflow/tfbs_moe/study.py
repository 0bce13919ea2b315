"""The datasets, models and test sets that a validated config and its experiments table ask for.

Bookkeeping over names, shared by the Snakefile and the scripts; imports nothing that a bare Snakemake lacks.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tfbs_moe.genome.assemblies import NO_GENOME, PLANTED, StudyGenome, study_genome

# Sets of test sets by their relation to the experts' training, in the order in which they are shown.
IN_DISTRIBUTION, OTHER_CELL, UNSEEN = "in_distribution", "other_cell", "unseen"
SETS = (IN_DISTRIBUTION, OTHER_CELL, UNSEEN)
SUPPLIED = "supplied"
OTHER_PEAKS = "other_peaks"
OUT_OF_FOLD = "out_of_fold"
# The kind of the motif-conditioned gate.
MOTIF_CONDITIONED = "motif"
# The only architecture with the paper authors' kind of dropout.
PAPER_ARCHITECTURE = "convnet"
SHUFFLES = ("dinucleotide_shuffle", "block_shuffle")
# Take the place of an experiment's name: networks trained on all training experiments together, and the network that
# tells windows of the genome from their shuffles, without labels of any factor.
POOLED, BACKGROUND = "pooled", "background"
# As the background network of a protocol: none.
NO_BACKGROUND = "none"
BASELINE = "baseline."
POOLED_BASELINE, BACKGROUND_BASELINE = f"{BASELINE}{POOLED}_", f"{BASELINE}{BACKGROUND}"
# Untrained baselines of every study: from the experts, the factor's matrix and the base composition.
BASELINES = ("mean of experts", "maximum of experts", "oracle", "best hit of the factor’s JASPAR matrix", "GC content")


@dataclass(frozen=True)
class TestSet:
    """The test split of an experiment with one kind of negatives."""

    experiment: str
    negatives: str


@dataclass(frozen=True)
class Study:
    """The names of a study; experiments keep the order of their table."""

    config: dict[str, Any]  # completed, see ``complete_config``
    experiments: dict[str, dict[str, str]]  # rows of the experiments table by name

    @cached_property
    def genome(self) -> StudyGenome:
        """The genome: assembly, species, taxonomic group in JASPAR."""
        return study_genome(self.config)

    @cached_property
    def has_peaks(self) -> bool:
        """Whether sequences of any experiment are extracted from the genome."""
        return any(row["format"] == "peaks" for row in self.experiments.values())

    @cached_property
    def has_genome(self) -> bool:
        """Whether the config names a genome, which a study of prepared sequences needs for its background network."""
        return self.has_peaks or self.config["genome"]["assembly"] not in (NO_GENOME, PLANTED)

    @cached_property
    def needs_genome(self) -> bool:
        """Whether the genome is fetched: sequences are extracted from it, or a background network is trained."""
        return self.has_peaks or any(self.background(protocol) for protocol in self.protocols)

    @cached_property
    def training(self) -> list[str]:
        """Experiments that experts are trained on, one each."""
        return [name for name, row in self.experiments.items() if row["role"] == "train"]

    @cached_property
    def test_sets(self) -> list[TestSet]:
        """Every test set, in the order of ``SETS``."""
        sets = [TestSet(name, negatives) for name in self.experiments for negatives in self._test_negatives(name)]
        return sorted(sets, key=lambda test: SETS.index(self.set_of(test.experiment)))

    @property
    def protocols(self) -> list[str]:
        """Names of the training protocols."""
        return list(self.config["protocols"])

    def set_of(self, experiment: str) -> str:
        """Return which of ``SETS`` an experiment belongs to by the experiments table; see ``set_and_stratum``.

        An expert may be left out, so result tables ask again (``evaluation.model_list``).
        """
        return set_and_stratum(self.experiments[experiment], self.trained_cells)[0]

    @cached_property
    def trained_cells(self) -> dict[str, set[str]]:
        """Cells in which experts are to be trained on a factor, by factor."""
        cells: dict[str, set[str]] = {}
        for name in self.training:
            cells.setdefault(self.experiments[name]["factor"], set()).add(self.experiments[name]["cell"])
        return cells

    def stratum_of(self, experiment: str) -> str:
        """Return the stratum of the table, or the set if it names none."""
        return set_and_stratum(self.experiments[experiment], self.trained_cells)[1]

    def tested_factors(self, which: str) -> list[str]:
        """Return the distinct factors of a set in the order of the table."""
        names = (name for name in self.experiments if self.set_of(name) == which)
        return list(dict.fromkeys(self.experiments[name]["factor"] for name in names))

    def experts(self, protocol: str) -> list[tuple[str, str]]:
        """Return (architecture, training experiment) of each expert of a protocol."""
        return [(kind, name) for kind in self.config["protocols"][protocol]["architectures"] for name in self.training]

    def gates(self, protocol: str) -> list[str]:
        """Return the gates of a protocol; the first is that of the mixture that the report is about."""
        return list(self.config["protocols"][protocol]["gates"])

    def pooled(self, protocol: str) -> list[str]:
        """Return the architectures that a protocol trains on all training experiments together."""
        return list(self.config["protocols"][protocol]["pooled"])

    def background(self, protocol: str) -> str | None:
        """Return the architecture of a protocol's background network; None where it has none."""
        settings = self.config["protocols"][protocol]
        if settings["background"] is None:
            return str(settings["architectures"][0]) if self.has_genome else None
        return None if settings["background"] == NO_BACKGROUND else str(settings["background"])

    def factor_folds(self, protocol: str) -> list[list[str]]:
        """Return the training factors of each fold that pooled networks of a protocol are also trained without."""
        number = self.config["protocols"][protocol]["factor_folds"]
        factors = list(self.trained_cells)
        return [factors[fold::number] for fold in range(number)]

    def learns_from(self, experiment: str) -> list[str]:
        """Return the training experiments of a network by its experiment, which may be ``pooled`` or ``background``."""
        return {POOLED: self.training, BACKGROUND: []}.get(experiment, [experiment])

    def models(self, protocol: str) -> list[str]:
        """Return the names of a protocol's experts and then its mixtures."""
        experts = [f"{kind}.{name}" for kind, name in self.experts(protocol)]
        return experts + [f"moe.{gate}" for gate in self.gates(protocol)]

    def explained(self, protocol: str) -> list[str]:
        """Return the models whose attributions are computed: experts of the first gate (limited), then its mixture."""
        experts = self._experts_of_first_gate(protocol)
        return [*experts[: self.config["attribution"]["max_experts"]], f"moe.{self.gates(protocol)[0]}"]

    def _experts_of_first_gate(self, protocol: str) -> list[str]:
        known = self.gate_experts(protocol)
        gate_experts = [known[name] for name in self.gate_experts_of(protocol, self.gates(protocol)[0])]
        return [f"{kind}.{name}" for kind, name in gate_experts if name not in (POOLED, BACKGROUND)]

    @cached_property
    def explained_experiments(self) -> list[str]:
        """Experiments whose sequences are explained: the first ``attribution.max_experiments`` tested ones of each set.

        The first rather than evenly spaced ones, so that a new last row of the table leaves the others unchanged.
        """
        most = self.config["attribution"]["max_experiments"]
        tested = list(dict.fromkeys(test.experiment for test in self.test_sets))
        return [name for which in SETS for name in [one for one in tested if self.set_of(one) == which][:most]]

    def several_architectures(self, protocol: str) -> bool:
        """Return whether the experts of a protocol have several architectures, which their names must then tell."""
        return len(self.config["protocols"][protocol]["architectures"]) > 1

    def trained_baselines(self, protocol: str) -> list[str]:
        """Return the names of the trained baselines: pooled networks, the background network and baseline gates."""
        networks = [f"{POOLED_BASELINE}{kind}" for kind in self.pooled(protocol)]
        networks += [BACKGROUND_BASELINE] if self.background(protocol) else []
        return networks + [f"{BASELINE}{gate}" for gate in self.config["baselines"]]

    def trained(self, protocol: str) -> list[str]:
        """Return the names of all trained models of a protocol."""
        return self.models(protocol) + self.trained_baselines(protocol)

    def place(self, protocol: str, model: str) -> tuple[str, str]:
        """Split a trained model's name: (``moe`` or ``baseline``, gate) or (architecture, experiment)."""
        if model == BACKGROUND_BASELINE:
            return str(self.background(protocol)), BACKGROUND
        if model.startswith(POOLED_BASELINE):
            return model.removeprefix(POOLED_BASELINE), POOLED
        kind, name = model.split(".", maxsplit=1)
        return kind, name

    def gate_experts(self, protocol: str) -> dict[str, tuple[str, str]]:
        """Return (architecture, experiment) of every network that gates of a protocol may use, by name.

        An expert's name is its experiment if the protocol has one architecture, else ``<architecture>.<experiment>``.
        """
        several = self.several_architectures(protocol)
        experts = {f"{kind}.{name}" if several else name: (kind, name) for kind, name in self.experts(protocol)}
        gates = [self.config["gates"][gate] for gate in self.gates(protocol)]
        looked_at = {kind for settings in gates for kind in settings["pooled"]}
        pooled = {f"{POOLED}.{kind}": (kind, POOLED) for kind in self.pooled(protocol) if kind in looked_at}
        kind = self.background(protocol) if any(settings["background"] for settings in gates) else None
        return experts | pooled | ({BACKGROUND: (kind, BACKGROUND)} if kind else {})

    def gate_experts_of(self, protocol: str, gate: str) -> list[str]:
        """Return the names of a gate's experts, pooled networks and the background network included."""
        settings = self.config["gates"][gate]
        factors = settings["factors"] or self.training
        kinds = settings["architectures"] or self.config["protocols"][protocol]["architectures"]
        return [
            name
            for name, (kind, experiment) in self.gate_experts(protocol).items()
            if (experiment == POOLED and kind in settings["pooled"])
            or (experiment == BACKGROUND and settings["background"])
            or (experiment in factors and kind in kinds)
        ]

    def baseline_settings(self, protocol: str) -> dict[str, dict[str, Any]]:
        """Return the settings of the baseline gates, with the expert dropout of the first gate to be fair."""
        dropout = self.config["gates"][self.gates(protocol)[0]]["expert_dropout"]
        return {name: self.config["gates"][name] | {"expert_dropout": dropout} for name in self.config["baselines"]}

    def expert_settings(self, protocol: str, architecture: str, experiment: str) -> dict[str, Any]:
        """Return an expert's ``architecture`` and its ``network`` and ``training`` settings.

        An experiment's own settings override those of its architecture, and the protocol's quirks override both. The
        ``architecture`` of a user's network is its dotted path, that of a variant its kind.
        """
        settings, quirks = self.config["experts"][architecture], self.config["protocols"][protocol]
        own = settings["factors"].get(experiment, {})
        network = settings["network"] | own.get("network", {})
        training = settings["training"] | own.get("training", {})
        kind = settings.get("class") or settings.get("kind", architecture)
        if kind == PAPER_ARCHITECTURE:
            network["dropout_kind"] = quirks["dropout"]
        return {
            "architecture": kind,
            "network": network,
            "training": training | {"validation": quirks["validation_auroc"]},
        }

    def uses_motif_prior(self, gate: str) -> bool:
        """Return whether a gate is motif-conditioned."""
        return bool(self.config["gates"][gate].get("kind", gate) == MOTIF_CONDITIONED)

    def variant(self, protocol: str, gate: str) -> dict[str, str | int]:
        """Return the settings that distinguish the mixtures of a study: gate, experts, training negatives and rows."""
        recipe, settings = self.config["protocols"][protocol], self.config["gates"][gate]
        known = self.gate_experts(protocol)
        gate_experts = [known[name] for name in self.gate_experts_of(protocol, gate)]
        networks = {kind: self.config["experts"][kind]["network"] for kind, _ in gate_experts}
        sizes = sorted({int(network["embedding_size"]) for network in networks.values() if "embedding_size" in network})
        return {
            "gate": settings.get("kind", gate),
            "options": ", ".join(f"{key} {value}" for key, value in settings["network"].items()),
            "experts": len(gate_experts),
            "architectures": ", ".join(networks),
            "embedding_size": ", ".join(map(str, sizes)),
            "training_negatives": recipe["training_negatives"],
            "gate_rows": recipe["gate_rows"],
            "expert_dropout": settings["expert_dropout"],
            "fine_tune_epochs": settings["fine_tune_epochs"],
        }

    def identity(self, test: TestSet) -> dict[str, str]:
        """Return the columns that identify a test set in every result table."""
        row = self.experiments[test.experiment]
        return {
            "experiment": test.experiment,
            "factor": row["factor"],
            "cell": row["cell"],
            "set": self.set_of(test.experiment),
            "stratum": self.stratum_of(test.experiment),
            "negatives": test.negatives,
        }

    def neighbours(self, experiment: str) -> list[str]:
        """Return the experiments with peaks of other factors in the same cell."""
        own = self.experiments[experiment]
        return [
            name
            for name in self._peaks_by_cell.get(own["cell"], [])
            if self.experiments[name]["factor"] != own["factor"]
        ]

    @cached_property
    def _peaks_by_cell(self) -> dict[str, list[str]]:
        cells: dict[str, list[str]] = {}
        for name, row in self.experiments.items():
            if row["format"] == "peaks":
                cells.setdefault(row["cell"], []).append(name)
        return cells

    @property
    def omitted(self) -> list[str]:
        """Sentences on what the study omits: blacklist, test sets, explained experiments and experts."""
        return [*self._unlisted, *self._untested, *self._unexplained]

    @property
    def _unlisted(self) -> list[str]:
        wanted = self.config["genome"]["blacklist"] is True and self.needs_genome and self.genome.assembly != PLANTED
        if not wanted or self.genome.blacklisted:
            return []
        return [
            f"no window is excluded by a blacklist: there is no ENCODE blacklist of {self.genome.stated} "
            "(genome.blacklist takes a BED file of yours; false turns this message off)"
        ]

    @property
    def _untested(self) -> list[str]:
        return [
            f"{name} is not tested on {OTHER_PEAKS}: no other factor in {row['cell']} is in the experiments table"
            for name, row in self.experiments.items()
            if row["format"] == "peaks" and OTHER_PEAKS in self._asked_for and not self.neighbours(name)
        ]

    @property
    def _unexplained(self) -> list[str]:
        limits = self.config["attribution"]
        explained, tested = len(self.explained_experiments), len({test.experiment for test in self.test_sets})
        said = []
        if tested > explained:
            said.append(
                f"sequences of {explained} of {tested} tested experiments are explained, at most "
                f"{limits['max_experiments']} of each set (attribution.max_experiments)"
            )
        for protocol in self.protocols:
            there, most = len(self._experts_of_first_gate(protocol)), limits["max_experts"]
            if most is not None and there > most:
                said.append(
                    f"{protocol}: {most} of {there} experts are explained besides the mixture (attribution.max_experts)"
                )
        return said

    @property
    def _asked_for(self) -> list[str]:
        return list(self.config["evaluation"]["negatives"])

    def _test_negatives(self, experiment: str) -> list[str]:
        row = self.experiments[experiment]
        if row["format"] == "deepbind":
            return [] if row["role"] == "train" else [SUPPLIED]
        return [kind for kind in self._asked_for if kind != OTHER_PEAKS or self.neighbours(experiment)]


def set_and_stratum(row: Mapping[str, Any], trained_cells: Mapping[str, Collection[str]]) -> tuple[str, str]:
    """Return which of ``SETS`` a row with factor, cell and stratum belongs to, and its stratum.

    ``trained_cells`` are the cells in which experts were trained, by factor. ``in_distribution``: one was trained on
    the factor in this cell; ``other_cell``: only in other cells; ``unseen``: none was trained on the factor. The
    stratum is the set, unless the row has a name of its own.
    """
    cells = trained_cells.get(row["factor"], ())
    found = UNSEEN if not cells else IN_DISTRIBUTION if row["cell"] in cells else OTHER_CELL
    return found, found if row["stratum"] in ("", *SETS) else row["stratum"]
