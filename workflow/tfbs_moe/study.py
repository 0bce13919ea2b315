"""What a validated config and its experiments table ask for: which datasets, models and test sets.

Pure bookkeeping over names, with no imports that a bare Snakemake lacks, so that the Snakefile
and the scripts share one source of it.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tfbs_moe.assemblies import NO_GENOME, PLANTED, StudyGenome, study_genome
from tfbs_moe.chromosomes import genome_faults
from tfbs_moe.config import Experiment, complete_config, known_names, read_experiments
from tfbs_moe.errors import InputError

CONFIG = "config.yaml"
EXPERIMENTS = "experiments.tsv"
# What test sets are to the experts, in the order in which they are shown.
IN_DISTRIBUTION, OTHER_CELL, UNSEEN = "in_distribution", "other_cell", "unseen"
SETS = (IN_DISTRIBUTION, OTHER_CELL, UNSEEN)
SUPPLIED = "supplied"
OTHER_PEAKS = "other_peaks"
OUT_OF_FOLD = "out_of_fold"
# The kind of gate that may look at a factor's matrix.
INFORMED = "motif"
# The one that knows the authors' own dropout.
PAPER_ARCHITECTURE = "convnet"
SHUFFLES = ("dinucleotide_shuffle", "block_shuffle")
# Stands where an experiment's name stands, for what is trained on all training experiments together.
POOLED = "pooled"
CONTROL = "control."
POOLED_CONTROL = f"{CONTROL}{POOLED}_"
# What every study has besides: made from the experts, from the factor's matrix and from the letters, untrained.
CONTROLS = ("mean of experts", "maximum of experts", "oracle", "best hit of the factor’s JASPAR matrix", "GC content")


@dataclass(frozen=True)
class TestSet:
    """Rows that models are tested on: the test split of an experiment with one kind of negatives."""

    experiment: str
    negatives: str


@dataclass(frozen=True)
class Study:
    """The names of a study; experiments keep the order of their table.

    Args:
        config: the completed config.
        experiments: rows of the experiments table, by name.
    """

    config: dict[str, Any]
    experiments: dict[str, Experiment]

    @cached_property
    def genome(self) -> StudyGenome:
        """What is known of the genome: assembly, species, JASPAR's group."""
        return study_genome(self.config)

    @cached_property
    def has_peaks(self) -> bool:
        """Whether any experiment's rows are cut from the genome."""
        return any(row["format"] == "peaks" for row in self.experiments.values())

    @cached_property
    def training(self) -> list[str]:
        """Experiments that an expert is trained on."""
        return [name for name, row in self.experiments.items() if row["role"] == "train"]

    @cached_property
    def test_sets(self) -> list[TestSet]:
        """Every test set, in the order of ``SETS``."""
        sets = [TestSet(name, negatives) for name in self.experiments for negatives in self._test_negatives(name)]
        return sorted(sets, key=lambda test: SETS.index(self.set_of(test.experiment)))

    @property
    def protocols(self) -> list[str]:
        """Names of the training recipes."""
        return list(self.config["protocols"])

    def set_of(self, experiment: str) -> str:
        """Return which of ``SETS`` an experiment belongs to.

        ``in_distribution`` where an expert saw the factor in this cell, ``other_cell`` where experts saw it elsewhere
        alone, ``unseen`` where no expert saw the factor.
        """
        row = self.experiments[experiment]
        cells = self._trained_cells.get(row["factor"])
        return UNSEEN if cells is None else IN_DISTRIBUTION if row["cell"] in cells else OTHER_CELL

    @cached_property
    def _trained_cells(self) -> dict[str, set[str]]:
        """Cells in which experts are trained on a factor, by factor."""
        cells: dict[str, set[str]] = {}
        for name in self.training:
            cells.setdefault(self.experiments[name]["factor"], set()).add(self.experiments[name]["cell"])
        return cells

    def stratum_of(self, experiment: str) -> str:
        """Return the stratum that the table names, and where it names none the set."""
        return self.experiments[experiment]["stratum"] or self.set_of(experiment)

    def tested_factors(self, which: str) -> list[str]:
        """Return the factors of a set, each once, in the order of the table."""
        names = (name for name in self.experiments if self.set_of(name) == which)
        return list(dict.fromkeys(self.experiments[name]["factor"] for name in names))

    def experts(self, protocol: str) -> list[tuple[str, str]]:
        """Return (architecture, training experiment) of every expert of a protocol."""
        return [(kind, name) for kind in self.config["protocols"][protocol]["architectures"] for name in self.training]

    def gates(self, protocol: str) -> list[str]:
        """Return the gates of a protocol; the first one is the mixture that the report speaks of."""
        return list(self.config["protocols"][protocol]["gates"])

    def pooled(self, protocol: str) -> list[str]:
        """Return the architectures that a protocol trains on the rows of all training experiments."""
        return list(self.config["protocols"][protocol]["pooled"])

    def learns_from(self, experiment: str) -> list[str]:
        """Return the training experiments behind the name of one, or behind ``pooled``."""
        return self.training if experiment == POOLED else [experiment]

    def models(self, protocol: str) -> list[str]:
        """Return the names of a protocol's experts and mixtures, mixtures last."""
        experts = [f"{kind}.{name}" for kind, name in self.experts(protocol)]
        return experts + [f"moe.{gate}" for gate in self.gates(protocol)]

    def explained(self, protocol: str) -> list[str]:
        """Return the models whose attributions are computed: the mixture of the first gate, and its experts."""
        experts = self._experts_of_first_gate(protocol)
        return [*experts[: self.config["attribution"]["max_experts"]], f"moe.{self.gates(protocol)[0]}"]

    def _experts_of_first_gate(self, protocol: str) -> list[str]:
        known = self.members(protocol)
        members = [known[name] for name in self.gate_members(protocol, self.gates(protocol)[0])]
        return [f"{kind}.{name}" for kind, name in members if name != POOLED]

    @cached_property
    def explained_experiments(self) -> list[str]:
        """Experiments that sequences are explained of: of each set the first so many tested ones of the table.

        The first, and no even choice, as a row more at the end of the table shall change nothing for the others.
        """
        most = self.config["attribution"]["max_experiments"]
        tested = list(dict.fromkeys(test.experiment for test in self.test_sets))
        return [name for which in SETS for name in [one for one in tested if self.set_of(one) == which][:most]]

    def trained_controls(self, protocol: str) -> list[str]:
        """Return the names of the controls that are trained: pooled networks, and gates that are no mixture."""
        pooled = [f"{POOLED_CONTROL}{kind}" for kind in self.pooled(protocol)]
        return pooled + [f"{CONTROL}{gate}" for gate in self.config["controls"]]

    def trained(self, protocol: str) -> list[str]:
        """Return the names of every trained model of a protocol."""
        return self.models(protocol) + self.trained_controls(protocol)

    def place(self, model: str) -> tuple[str, str]:
        """Return ``moe`` or ``control`` and the gate, or architecture and experiment, of a trained model."""
        if model.startswith(POOLED_CONTROL):
            return model.removeprefix(POOLED_CONTROL), POOLED
        kind, name = model.split(".", maxsplit=1)
        return kind, name

    def members(self, protocol: str) -> dict[str, tuple[str, str]]:
        """Return (architecture, experiment) of every network that a gate of a protocol may look at, by its name there.

        An expert goes by its experiment where the protocol has one architecture, else by both.
        """
        several = len(self.config["protocols"][protocol]["architectures"]) > 1
        experts = {f"{kind}.{name}" if several else name: (kind, name) for kind, name in self.experts(protocol)}
        looked_at = {kind for gate in self.gates(protocol) for kind in self.config["gates"][gate]["pooled"]}
        pooled = {f"{POOLED}.{kind}": (kind, POOLED) for kind in self.pooled(protocol) if kind in looked_at}
        return experts | pooled

    def gate_members(self, protocol: str, gate: str) -> list[str]:
        """Return the names of the networks that a gate looks at; the controls look at those of the first gate."""
        settings = self.config["gates"][gate]
        factors = settings["factors"] or self.training
        kinds = settings["architectures"] or self.config["protocols"][protocol]["architectures"]
        return [
            name
            for name, (kind, experiment) in self.members(protocol).items()
            if (experiment == POOLED and kind in settings["pooled"]) or (experiment in factors and kind in kinds)
        ]

    def control_settings(self, protocol: str) -> dict[str, dict[str, Any]]:
        """Return the settings of the controls, which are shown rows as the first gate is: they differ in themselves."""
        unseen = self.config["gates"][self.gates(protocol)[0]]["unseen"]
        return {name: self.config["gates"][name] | {"unseen": unseen} for name in self.config["controls"]}

    def expert_settings(self, protocol: str, architecture: str, experiment: str) -> dict[str, Any]:
        """Return an expert's ``architecture`` and its ``network`` and ``training`` settings.

        They are the architecture's, with the experiment's own on top, and the protocol's quirks. A network
        of the user's own is known to the library by its dotted path, a variant by what it is a variant of.
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

    def is_informed(self, gate: str) -> bool:
        """Return whether a gate is told what is known of the factor that is asked for."""
        return bool(self.config["gates"][gate].get("kind", gate) == INFORMED)

    def variant(self, protocol: str, gate: str) -> dict[str, str | int]:
        """Return what tells one mixture of a study from another: its gate, experts, training negatives and rows."""
        recipe, settings = self.config["protocols"][protocol], self.config["gates"][gate]
        known = self.members(protocol)
        members = [known[name] for name in self.gate_members(protocol, gate)]
        networks = {kind: self.config["experts"][kind]["network"] for kind, _ in members}
        sizes = sorted({int(network["embedding_size"]) for network in networks.values() if "embedding_size" in network})
        return {
            "gate": settings.get("kind", gate),
            "options": ", ".join(f"{key} {value}" for key, value in settings["network"].items()),
            "experts": len(members),
            "architectures": ", ".join(networks),
            "embedding_size": ", ".join(map(str, sizes)),
            "training_negatives": recipe["training_negatives"],
            "gate_rows": recipe["gate_rows"],
            "unseen": settings["unseen"],
            "fine_tune_epochs": settings["fine_tune_epochs"],
        }

    def identity(self, test: TestSet) -> dict[str, str]:
        """Return the columns that name a test set in every result table."""
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
        """Say which test sets the config asks for and the table cannot give, and what is not explained of the rest."""
        return [*self._unlisted, *self._untested, *self._unexplained]

    @property
    def _unlisted(self) -> list[str]:
        """Say where the config asks for the assembly's list of places to leave out, and there is none."""
        wanted = self.config["genome"]["blacklist"] is True and self.has_peaks and self.genome.assembly != PLANTED
        if not wanted or self.genome.blacklisted:
            return []
        return [
            f"no window is left out for lying at an odd place: there is no ENCODE blacklist of {self.genome.stated} "
            "(genome.blacklist takes a BED file of yours; false says that none is wanted)"
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
        """Say where the limits of attribution leave experiments or experts out."""
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
                    f"{protocol}: {most} of {there} experts are explained beside the mixture (attribution.max_experts)"
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


def load_study(run_folder: str | Path) -> Study:
    """Return the study of a run from the config and the experiments table written beside its results."""
    folder = Path(run_folder)
    try:
        config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    # Deep nesting ends the parser's stack; odd dates and numbers are ValueErrors.
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder / CONFIG} cannot be read as the config of a run: {reason}") from None
    return make_study(complete_config(config), read_experiments(folder / EXPERIMENTS))


def make_study(config: dict[str, Any], experiments: list[Experiment]) -> Study:
    """Check that a completed config and an experiments table fit together, and join them.

    Raises:
        InputError: one message with a line for every way in which they do not.
    """
    study = Study(config, {row["name"]: row for row in experiments})
    faults = list(_mismatches(study))
    if faults:
        raise InputError("\n".join(faults))
    return study


def _mismatches(study: Study) -> list[str]:
    """Say every way in which config and table contradict each other."""
    config, table = study.config, study.config["experiments"]
    faults = []
    if len(study.training) < 2:
        faults.append(
            f"{table}: a mixture needs experts of at least two experiments of role train; "
            f"there are {len(study.training)}"
        )
    if not study.test_sets:
        faults.append(f"{table}: nothing to test on; add a row of role test or ood")
    for architecture, settings in config["experts"].items():
        for name in settings["factors"]:
            if name not in study.training:
                faults.append(
                    f"config: experts.{architecture}.factors.{name}: {table} has no experiment of role train "
                    f"with that name; it has {', '.join(study.training)}"
                )
        search = settings["search"]
        if 0 < search["trials"] < search["workers"]:
            faults.append(
                f"config: experts.{architecture}.search: {search['workers']} workers cannot share "
                f"{search['trials']} trials; have no more workers than trials"
            )
    for protocol in config["protocols"]:
        faults += _protocol_faults(study, protocol)
    faults += _set_faults(study)
    faults += _source_faults(study)
    return faults


def _set_faults(study: Study) -> list[str]:
    """Say which rows call themselves seen or unseen and are not."""
    table, faults = study.config["experiments"], []
    for name, row in study.experiments.items():
        truly = study.set_of(name)
        if row["role"] == "test" and truly != IN_DISTRIBUTION:
            faults.append(
                f"{table}: {name} is of role test, and no expert is trained on {row['factor']} in {row['cell']}; "
                "its role is ood"
            )
        if row["role"] == "ood" and truly == IN_DISTRIBUTION:
            faults.append(
                f"{table}: {name} is of role ood, and an expert is trained on {row['factor']} in {row['cell']}; "
                "its role is test"
            )
        if row["stratum"] in SETS and row["stratum"] != truly:
            faults.append(
                f"{table}: {name} has the stratum {row['stratum']}, and by its factor and cell it is {truly}; "
                "leave the stratum empty, or give it a name of your own"
            )
    return faults


def _protocol_faults(study: Study, protocol: str) -> list[str]:
    """Say every way in which one protocol asks for what it does not have."""
    config, settings = study.config, study.config["protocols"][protocol]
    where, faults = f"config: protocols.{protocol}", []
    for part, kinds in (("architectures", "experts"), ("pooled", "experts"), ("gates", "gates")):
        known = known_names(kinds)
        for kind in settings[part]:
            if kind not in config[kinds]:
                faults.append(f"{where}.{part}: {kind!r} is not known; known are {', '.join(known)}")
    if settings["folds"] == 1:
        faults.append(f"{where}.folds: 1 fold leaves nothing to train on; give 0 or at least 2")
    if settings["gate_rows"] == OUT_OF_FOLD and not settings["folds"]:
        faults.append(f"{where}.gate_rows: {OUT_OF_FOLD} needs experts of folds; set folds to 2 or more")
    if faults:
        return faults
    for gate in study.gates(protocol):
        own = config["gates"][gate]
        for part, known in (
            ("pooled", study.pooled(protocol)),
            ("architectures", settings["architectures"]),
            ("factors", study.training),
        ):
            for name in own[part] or []:
                if name not in known:
                    faults.append(
                        f"config: gates.{gate}.{part}: {name!r} is not among those of protocol {protocol}; "
                        f"it has {', '.join(known) or 'none'}"
                    )
    for name in dict.fromkeys([*settings["architectures"], *settings["pooled"]]):
        trainings = [config["experts"][name]["training"]]
        trainings += [own.get("training", {}) for own in config["experts"][name]["factors"].values()]
        if any(own.get("fresh_negatives") for own in trainings) and settings["training_negatives"] not in SHUFFLES:
            faults.append(
                f"config: experts.{name}.training.fresh_negatives: protocol {protocol} trains on "
                f"{settings['training_negatives']}, and only {' and '.join(SHUFFLES)} can be drawn anew"
            )
    return faults


def _source_faults(study: Study) -> list[str]:
    """Say which experiments lack the genome or the coordinates that the config asks of them."""
    config, table = study.config, study.config["experiments"]
    faults = genome_faults(config) if study.has_peaks else []
    for name, row in study.experiments.items():
        planted = row["source"].startswith("planted:")
        if row["format"] == "peaks" and config["genome"]["assembly"] == NO_GENOME:
            faults.append(f"{table}: {name} has peaks, which need a genome; set genome.assembly in the config")
        if planted != (config["genome"]["assembly"] == PLANTED) and row["format"] == "peaks":
            faults.append(
                f"{table}: {name}: planted sources and the assembly 'planted' go together, and with no other; "
                f"source is {row['source']!r}, genome.assembly {config['genome']['assembly']!r}"
            )
        if row["role"] != "train":
            continue
        for protocol, settings in config["protocols"].items():
            kind = settings["training_negatives"]
            if row["format"] == "peaks" and kind == OTHER_PEAKS and not study.neighbours(name):
                faults.append(
                    f"config: protocols.{protocol}.training_negatives: {kind} needs peaks of another factor in "
                    f"{row['cell']}, and {table} has none beside {name}"
                )
            if row["format"] == "deepbind" and kind not in SHUFFLES:
                faults.append(
                    f"config: protocols.{protocol}.training_negatives: {settings['training_negatives']!r} needs "
                    f"coordinates, which {name} (format deepbind) does not have; take one of {', '.join(SHUFFLES)}"
                )
    return faults
