"""A study from its config and experiments table, and every contradiction between the two.

Imports nothing that a bare Snakemake lacks.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from tfbs_moe.config import Experiment, complete_config, known_names, read_experiments
from tfbs_moe.errors import InputError
from tfbs_moe.genome.assemblies import NO_GENOME, PLANTED
from tfbs_moe.genome.chromosomes import genome_faults
from tfbs_moe.study import (
    BACKGROUND,
    IN_DISTRIBUTION,
    NO_BACKGROUND,
    OTHER_PEAKS,
    OUT_OF_FOLD,
    POOLED,
    SETS,
    SHUFFLES,
    Study,
)

CONFIG = "config.yaml"
EXPERIMENTS = "experiments.tsv"
_RESERVED = {POOLED: "all experiments", BACKGROUND: "the genome without a factor"}
# What Snakemake takes for a pattern that applies to its own result for ever.
_REPEATS = re.compile(r"(.+?)\1{19}$")
# First parts of names of models that are no architectures.
_KINDS = frozenset({"moe", "baseline", POOLED, BACKGROUND, NO_BACKGROUND})


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
