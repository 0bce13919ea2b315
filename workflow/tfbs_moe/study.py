"""The datasets, models and test sets that a validated config and its experiments table ask for.

Bookkeeping over names, shared by the Snakefile and the scripts; imports nothing that a bare Snakemake lacks.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tfbs_moe.config import Experiment, complete_config, known_names, read_experiments
from tfbs_moe.errors import InputError
from tfbs_moe.genome.assemblies import NO_GENOME, PLANTED, StudyGenome, study_genome
from tfbs_moe.genome.chromosomes import genome_faults

CONFIG = "config.yaml"
EXPERIMENTS = "experiments.tsv"
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
_RESERVED = {POOLED: "all experiments", BACKGROUND: "the genome without a factor"}
# What Snakemake takes for a pattern that applies to its own result for ever.
_REPEATS = re.compile(r"(.+?)\1{19}$")
# First parts of names of models that are no architectures.
_KINDS = frozenset({"moe", "baseline", POOLED, BACKGROUND, NO_BACKGROUND})
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
    experiments: dict[str, Experiment]  # rows of the experiments table by name

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


def load_study(run_folder: str | Path) -> Study:
    """Return the study of a run from the config and experiments table beside its results."""
    folder = Path(run_folder)
    try:
        config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    # Deep nesting exhausts the parser's stack; odd dates and numbers are ValueErrors.
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder / CONFIG} cannot be read as the config of a run: {reason}") from None
    return make_study(complete_config(config), read_experiments(folder / EXPERIMENTS))


def make_study(config: dict[str, Any], experiments: list[Experiment]) -> Study:
    """Join a completed config and an experiments table; InputError lists every contradiction between them."""
    study = Study(config, {row["name"]: row for row in experiments})
    faults = list(_mismatches(study))
    if faults:
        raise InputError("\n".join(faults))
    return study


def _mismatches(study: Study) -> list[str]:
    """Return one sentence for each contradiction between config and table."""
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
    faults += _name_faults(study)
    faults += _set_faults(study)
    faults += _source_faults(study)
    return faults


def _name_faults(study: Study) -> list[str]:
    """Return a sentence for each name with another meaning, and each path that Snakemake reads as a pattern."""
    config, table = study.config, study.config["experiments"]
    faults = [
        f"{table}: an experiment cannot be called {name}: that is the name of networks trained on "
        f"{_RESERVED[name.casefold().split('.')[0]]}"
        for name in study.experiments
        if name.casefold().split(".")[0] in _RESERVED
    ]
    faults += [
        f"config: experts.{name}: this name has a meaning of its own ({', '.join(sorted(_KINDS))}); give another"
        for name in config["experts"]
        if name.casefold() in _KINDS
    ]
    named = {table: study.experiments}
    named |= {f"config: {part}": config[part] for part in ("protocols", "experts", "gates")}
    faults += [
        f"{where}: the end of the name {name} repeats, which Snakemake takes for an endless recursion; give another"
        for where, names in named.items()
        for name in names
        if _REPEATS.search(name)
    ]
    paths = {"config: experiments": table, "config: synthetic.shape": config["synthetic"]["shape"]}
    paths |= {f"config: genome.{name}": config["genome"][name] for name in ("fasta", "blacklist")}
    paths |= {f"{table}: {name}: source": row["source"] for name, row in study.experiments.items()}
    return faults + [
        f"{where}: {path} holds a brace, which opens a wildcard in Snakemake's paths; rename the file or folder"
        for where, path in paths.items()
        if isinstance(path, str) and set("{}") & set(path) and not path.startswith(("http://", "https://"))
    ]


def _set_faults(study: Study) -> list[str]:
    """Return a sentence for each row whose role or stratum contradicts the set of its factor and cell."""
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
                f"{table}: {name} has the stratum {row['stratum']}, but by its factor and cell it is {truly}; "
                "leave the stratum empty, or give it a name of your own"
            )
    return faults


def _protocol_faults(study: Study, protocol: str) -> list[str]:
    """Return a sentence for each thing that a protocol asks for and does not have."""
    config, settings = study.config, study.config["protocols"][protocol]
    where, faults = f"config: protocols.{protocol}", []
    for part, kinds in (("architectures", "experts"), ("pooled", "experts"), ("gates", "gates")):
        known = known_names(kinds)
        for kind in settings[part]:
            if kind not in config[kinds]:
                faults.append(f"{where}.{part}: {kind!r} is not known; known are {', '.join(known)}")
    chosen = settings["background"]
    if chosen not in (None, NO_BACKGROUND) and chosen not in config["experts"]:
        named = ", ".join([NO_BACKGROUND, *known_names("experts")])
        faults.append(f"{where}.background: {chosen!r} is not known; known are {named}")
    elif study.background(protocol) and not study.has_genome:
        faults.append(f"{where}.background: {chosen} needs a genome; set genome.assembly, or take {NO_BACKGROUND}")
    if settings["folds"] == 1:
        faults.append(f"{where}.folds: 1 fold leaves nothing to train on; give 0 or at least 2")
    if settings["factor_folds"] and settings["gate_rows"] != "held_out":
        # Other rows may be related to rows of other factors, which a network without the factor was trained on.
        faults.append(f"{where}.factor_folds: they need gate_rows: held_out")
    if settings["factor_folds"] == 1 or settings["factor_folds"] > len(study.trained_cells):
        most = len(study.trained_cells)
        faults.append(
            f"{where}.factor_folds: give 0, or from 2 to {most}, the number of factors experts are trained on"
        )
    if settings["gate_rows"] == OUT_OF_FOLD and not settings["folds"]:
        faults.append(f"{where}.gate_rows: {OUT_OF_FOLD} needs fold experts; set folds to 2 or more")
    if faults:
        return faults
    for gate in study.gates(protocol):
        own = config["gates"][gate]
        if own["background"] and not study.background(protocol):
            faults.append(
                f"config: gates.{gate}.background: protocol {protocol} has no background network, which needs a "
                f"genome: set genome.assembly (and protocols.{protocol}.background to no {NO_BACKGROUND!r})"
            )
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
                f"{settings['training_negatives']}, and only {' and '.join(SHUFFLES)} can be redrawn"
            )
    return faults


def _source_faults(study: Study) -> list[str]:
    """Return a sentence for each experiment that lacks the genome, peaks or coordinates its config needs."""
    config, table = study.config, study.config["experiments"]
    faults = genome_faults(config, held_out=study.has_peaks) if study.needs_genome else []
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
                    f"{row['cell']}, and {table} has none besides {name}"
                )
            if row["format"] == "deepbind" and kind not in SHUFFLES:
                faults.append(
                    f"config: protocols.{protocol}.training_negatives: {settings['training_negatives']!r} needs "
                    f"coordinates, which {name} (format deepbind) does not have; take one of {', '.join(SHUFFLES)}"
                )
    return faults
