"""Paths and helper functions of all stages, so that the other files hold only rules."""

import inspect
import shutil
from functools import cache
from itertools import groupby

from tfbs_moe.data.download.sources import REFERENCE, Local, Planted, check_mirror, downloads, genome_files, resolve
from tfbs_moe.figures.catalogue import figure_items
from tfbs_moe.planning import CALIBRATION, DESCRIPTION, is_calibrated, is_trained
from tfbs_moe.planning import any_of
from tfbs_moe.provenance import MIXTURE_MODULES, class_digest, code_digest, content, deciding
from tfbs_moe.planning import METHODS, document_files
from tfbs_moe.study import BACKGROUND, BACKGROUND_BASELINE, OTHER_PEAKS, POOLED, POOLED_BASELINE, SUPPLIED, TestSet

RUN = f"results/{config['run']}"
LOGS = f"{RUN}/logs"
BENCHMARKS = f"{RUN}/benchmarks"
SEEDS = config["replicates"]

SYNTHETIC = f"{RUN}/synthetic"
GENOME = f"{RUN}/genome/codes.h5"
DATASET = f"{RUN}/datasets/{{experiment}}/{{negatives}}/{{split}}.h5"
COUNTS = DATASET.replace(".h5", ".counts.tsv")
TEST_DATASET = DATASET.replace("{split}", "test")
AUDIT = f"{RUN}/audit/{{experiment}}/{{negatives}}/rows.parquet"
BACKGROUND_DATASET = DATASET.format(experiment=BACKGROUND, negatives="dinucleotide_shuffle", split="{split}")
TRAINING_POSITIVES = f"{RUN}/audit/training_positives.h5"
SEARCH = f"{RUN}/search/{{protocol}}/{{architecture}}/{{experiment}}"
EXPERT = f"{RUN}/experts/{{protocol}}/{{architecture}}/{{experiment}}/seed{{seed}}"
EXPERT_FOLD = f"{EXPERT}/fold{{fold}}"
EXPERT_WITHOUT = f"{EXPERT}/without/{{factor_fold}}"
EXPERT_RELABELLED = f"{EXPERT}/permuted_labels"
TRAINED = f"{RUN}/trained/{{protocol}}.tsv"
TRAINED_SEED = f"{RUN}/trained/{{protocol}}/seed{{seed}}.tsv"
GATE_INPUTS = f"{RUN}/gate_inputs/{{protocol}}/seed{{seed}}"
GATE = f"{RUN}/moe/{{protocol}}/{{gate}}/seed{{seed}}"
BASELINE_GATE = f"{RUN}/baselines/{{protocol}}/{{gate}}/seed{{seed}}"
PREDICTIONS = f"{RUN}/predictions/{{protocol}}/{{experiment}}/{{negatives}}.parquet"
PARTS = f"{RUN}/evaluation/parts/{{protocol}}/{{experiment}}/{{negatives}}"
ATTRIBUTIONS = f"{RUN}/attributions"
MODISCO = f"{ATTRIBUTIONS}/modisco/{{protocol}}/{{model}}"


def checkout_file(path):
    """Return a file of the checkout as an input, relative to the working directory if below it, so that both can move."""
    here, found = Path.cwd(), LIBRARY.parent / path
    return str(found.relative_to(here) if found.is_relative_to(here) else found)


PUBLISHED = checkout_file("resources/published.tsv")
PUBLISHED_DRAWS = checkout_file("resources/published_draws.tsv")
SCHEMA = checkout_file(f"{LIBRARY.name}/schemas/config.schema.yaml")

DOCUMENTS = document_files(STUDY)

# All statistics and most figures wait for the last evaluation; attributions take the cores that are left.
PRIORITY_DATA, PRIORITY_EVALUATION, PRIORITY_ATTRIBUTION = 100, 50, -1
MOST_FIGURES = 20  # of a batch: one job draws them all, one after the other
FIGURES = figure_items(STUDY)
FIGURE_FILES = [f"{RUN}/figures/{name}.{suffix}" for name in FIGURES for suffix in ("pdf", "png", "svg", "tsv")]
FIGURE_STAGES = {}
for item in FIGURES.values():
    # A batch of its own: config/ablation.yaml draws it without attributions.
    stage = "ablation" if item.kind == "ablation" else item.parameters.get("protocol", "study")
    # Attributions come last: the other figures are drawn meanwhile.
    late = any(path.startswith("attributions/") for path in item.inputs)
    FIGURE_STAGES.setdefault(f"{stage}_attribution" if late else stage, []).append(item.name)
FIGURE_BATCHES = {
    f"{stage}_{start + 1}" if start else stage: names[start : start + MOST_FIGURES]
    for stage, names in FIGURE_STAGES.items()
    for start in range(0, len(names), MOST_FIGURES)
}


def figure_inputs(names):
    """Return the input files of figures, with one list per protocol in place of its many training histories."""
    files = {path for name in names for path in FIGURES[name].inputs}
    histories = {path for path in files if Path(path).name == "history.tsv"}
    lists = {TRAINED.format(protocol=Path(path).parts[1]) for path in histories}
    return sorted(lists | {f"{RUN}/{path}" for path in files - histories})


wildcard_constraints:
    experiment=any_of([*STUDY.experiments, POOLED, BACKGROUND]),
    protocol=any_of(STUDY.protocols),
    negatives="[a-z_]+",
    split="train|validation|test",
    architecture=any_of(config["experts"]),
    gate=any_of(config["gates"]),
    seed="[0-9]+",
    fold="[0-9]+",
    factor_fold="[0-9]+",
    model=any_of(model for protocol in STUDY.protocols for model in STUDY.explained(protocol)),


@cache
def code(script, without=()):
    """Return the digest of a script and its library modules for a rule's params; see ``code_digest``."""
    return code_digest(LIBRARY / "scripts" / script, LIBRARY, without)


def decisive(settings):
    """Return model settings reduced to those that affect the weights; scripts add the others from the config."""
    return settings | {"training": deciding(settings["training"], config["device"])}


def asked_often(function):
    """Cache a function's signature, which Snakemake inspects for every job: a tenth of planning a large study."""
    function.__signature__ = inspect.signature(function)
    return function


def growing(amount):
    """Return a resource that grows in proportion to the attempts at a job."""
    return asked_often(lambda wildcards, attempt: amount * attempt)


def gpus():
    """Return the number of GPUs per job; see gpus_per_job in the config."""
    if config["gpus_per_job"] is not None:
        return config["gpus_per_job"]
    wanted = config["device"] == "cuda" or (config["device"] == "auto" and shutil.which("nvidia-smi"))
    return 1 if wanted else 0


# --- resources


def checked_source(name):
    """Return the source of an experiment, checked."""
    try:
        source = resolve(STUDY.experiments[name], STUDY.genome.assembly)
        if isinstance(source, Local):
            source.check()
    except InputError as error:
        raise WorkflowError(f"{config['experiments']}: {name}: {error}")
    return source


SOURCES = {name: checked_source(name) for name in STUDY.experiments}
PLANTED = [name for name, source in SOURCES.items() if isinstance(source, Planted)]


def checked_genome():
    """Return the sources of the genome and its blacklist, or nothing if the study needs none."""
    try:
        wanted = config["genome"], STUDY.genome.assembly, checkout_file(REFERENCE)
        return genome_files(*wanted) if STUDY.needs_genome else {}
    except InputError as error:
        raise WorkflowError(str(error))


GENOME_FILES = checked_genome()
SHAPE = config["synthetic"]["shape"] if PLANTED else None
for name in PLANTED:
    if SHAPE is None and (SOURCES[name].peaks or len(SOURCES[name].matrix_ids) > 1):
        raise WorkflowError(
            f"{config['experiments']}: {name}: a planted source names several matrices or a number of peaks only where "
            "synthetic.shape is set; write planted:<matrix>, or set it in the config"
        )
# Only what this run fetches, not a user's own genome or blacklist.
try:
    DOWNLOADS = downloads([*SOURCES.values(), *GENOME_FILES.values()])
    check_mirror(config["mirror"], [remote for path, remote in DOWNLOADS.items() if not Path(path).is_file()])
except InputError as error:
    raise WorkflowError(str(error))
OWN_FILES = {str(file.path) for file in [*SOURCES.values(), *GENOME_FILES.values()] if isinstance(file, Local)} | {
    SHAPE
}


@cache
def own_file(path):
    """Return a digest of a file of the user's own, which can change without a newer time; nothing for any other."""
    return {path: content(path)} if path in OWN_FILES and Path(path).is_file() else {}


def own_files(*paths):
    """Return the digests of the user's own files among paths, which may be lists of them."""
    each = [path for one in paths for path in ([one] if isinstance(one, str) else one)]
    return {path: digest for one in each for path, digest in own_file(one).items()}


def source_file(experiment):
    """Return the local file of an experiment: downloaded, simulated, or the user's own."""
    if experiment in PLANTED:
        return f"{SYNTHETIC}/{experiment}.narrowPeak.gz"
    return str(SOURCES[experiment].path)


def genome_fasta():
    """Return the FASTA file of the genome, or nothing."""
    if "fasta" in GENOME_FILES:
        return str(GENOME_FILES["fasta"].path)
    return f"{SYNTHETIC}/genome.fa" if PLANTED else []


def blacklist_file(experiment):
    """Return the blacklist of an experiment's windows, or of background windows, or nothing."""
    if SHAPE and config["genome"]["blacklist"] is True:
        return f"{SYNTHETIC}/blacklist.bed.gz"
    wanted = "blacklist" in GENOME_FILES and (experiment == BACKGROUND or has_peaks(experiment))
    return str(GENOME_FILES["blacklist"].path) if wanted else []


# --- datasets


def has_peaks(experiment):
    """Return whether an experiment's sequences are extracted from the genome."""
    return STUDY.experiments[experiment]["format"] == "peaks"


def other_peak_files(wildcards, kinds):
    """Return the peak files of other factors in the same cell if one of the kinds of negatives needs them."""
    wanted = OTHER_PEAKS in [*kinds, wildcards.get("negatives")]
    return [source_file(name) for name in STUDY.neighbours(wildcards.experiment)] if wanted else []


def training_negatives(protocol):
    """Return the kind of negatives that a protocol trains on."""
    return config["protocols"][protocol]["training_negatives"]


def choosy_gates():
    """Return training negatives and experiments of each gate that weighs the experts of only some experiments."""
    found = {}
    for protocol in STUDY.protocols:
        known = STUDY.gate_experts(protocol)
        for gate in STUDY.gates(protocol):
            experiments = dict.fromkeys(known[name][1] for name in STUDY.gate_experts_of(protocol, gate))
            experiments.pop(BACKGROUND, None)
            if POOLED not in experiments and len(experiments) < len(STUDY.training):
                found[f"gate {gate} of the protocol {protocol}"] = (training_negatives(protocol), list(experiments))
    return found


def training_datasets(protocol, *splits):
    """Return splits of every training experiment, in the order of the experiments table."""
    negatives = training_negatives(protocol)
    return [
        DATASET.format(experiment=name, negatives=negatives, split=split) for split in splits for name in STUDY.training
    ]


def background_excludes():
    """Return the datasets whose bound rows share no sequence with background windows.

    Test rows without a position cannot be avoided by chromosome. Others are not among these, so that a new test factor
    retrains nothing.
    """
    unplaced = [test for test in STUDY.test_sets if not has_peaks(test.experiment)]
    return training_datasets(STUDY.protocols[0], "train", "validation") + [
        DATASET.format(**vars(test), split="test") for test in unplaced
    ]


def suffix(kinds):
    """Return the suffix of a rule's name for unusual kinds of negatives."""
    return "".join(f"_{kind}" for kind in kinds if kind in (OTHER_PEAKS, SUPPLIED))


# The outputs of a rule are fixed, so each rule whose jobs process all test sets of an experiment exists once per
# combination of kinds of negatives.
TESTED = {}
for experiment, tests in groupby(STUDY.test_sets, key=lambda test: test.experiment):
    TESTED.setdefault(tuple(test.negatives for test in tests), []).append(experiment)

# Kinds of negatives, splits and experiments by name of the rule. A job builds both splits of a training with one kind,
# so that another protocol's kind retrains no expert, or all test sets of an experiment.
DATASET_JOBS = {"training_dataset": (["{negatives}"], ["train", "validation"], STUDY.training)} | {
    f"test_dataset{suffix(kinds)}": (kinds, ["test"], experiments) for kinds, experiments in TESTED.items()
}


def with_kinds(pattern, kinds):
    """Expand a path over kinds of negatives."""
    return [pattern.replace("{negatives}", kind) for kind in kinds]


def identities(wildcards, kinds):
    """Return the columns that identify each test set of an experiment in a protocol's result tables."""
    sets = [TestSet(wildcards.experiment, kind) for kind in kinds]
    return [{"protocol": wildcards.protocol} | STUDY.identity(test) for test in sets]


def per_test_set(pattern):
    """Expand a path over every test set of the study."""
    return [pattern.format(experiment=test.experiment, negatives=test.negatives) for test in STUDY.test_sets]


def per_protocol_and_test_set(pattern):
    """Expand a path over every protocol and every test set of the study."""
    return [path for protocol in STUDY.protocols for path in per_test_set(pattern.replace("{protocol}", protocol))]


def all_datasets():
    """Return the distinct datasets of the study."""
    trained = [path for protocol in STUDY.protocols for path in training_datasets(protocol, "train", "validation")]
    return list(dict.fromkeys(trained + per_test_set(TEST_DATASET)))


# --- models


try:
    OWN_NETWORKS = {
        name: {"source": class_digest(settings["class"])}
        for name, settings in config["experts"].items()
        if settings.get("class")
    }
except InputError as error:
    raise WorkflowError(f"config: experts: {error}")


@cache
def learning_datasets(protocol, experiment, split):
    """Return the datasets of a split that an expert, a pooled network or a background network is trained on."""
    if experiment == BACKGROUND:
        return [BACKGROUND_DATASET.format(split=split)]
    negatives = training_negatives(protocol)
    return [DATASET.format(experiment=name, negatives=negatives, split=split) for name in STUDY.learns_from(experiment)]


def training_rows(wildcards, split):
    """Return the datasets of a split that a network or its search is trained on."""
    return learning_datasets(wildcards.protocol, wildcards.experiment, split)


def search_result(wildcards):
    """Return the search result for an expert, or nothing if the config has its hyper-parameters."""
    searched = config["experts"][wildcards.architecture]["search"]["trials"] and wildcards.experiment in STUDY.training
    return f"{SEARCH}/best.json".format(**wildcards) if searched else []


@asked_often
def expert_settings(wildcards):
    """Return an expert's architecture and settings, and the digest of a user's own network."""
    settings = STUDY.expert_settings(wildcards.protocol, wildcards.architecture, wildcards.experiment)
    return decisive(settings) | OWN_NETWORKS.get(wildcards.architecture, {})


@asked_often
def expert_inputs(wildcards):
    """Return an expert's datasets and search result in one call, as there are very many jobs."""
    rows = {split: training_rows(wildcards, split) for split in ("train", "validation")}
    return rows | {"search": search_result(wildcards)}


def model_folder(protocol, model, seed):
    """Return the folder of a trained model by its name in the result tables."""
    kind, name = STUDY.place(protocol, model)
    pattern = {"moe": GATE, "baseline": BASELINE_GATE}.get(kind, EXPERT)
    return pattern.format(protocol=protocol, gate=name, architecture=kind, experiment=name, seed=seed)


def model_files(protocol, seeds, models):
    """Return the descriptions of models of a protocol, seed by seed."""
    return [f"{model_folder(protocol, model, seed)}/model.json" for seed in seeds for model in models]


def lost_models(protocol, seed):
    """Yield an output of each model or calibration of a seed that is no longer complete."""
    for model in STUDY.trained(protocol):
        folder, (kind, _) = model_folder(protocol, model, seed), STUDY.place(protocol, model)
        if not is_trained(folder, mixture=kind in ("moe", "baseline")):
            yield f"{folder}/{DESCRIPTION}"
        if kind == "moe" and not is_calibrated(folder):
            yield f"{folder}/{CALIBRATION}"


@cache
def make_lost_models_again(protocol, seed):
    """Make Snakemake rebuild lost models of a seed, which it does not check if their list is up to date."""
    if workflow.is_main_process and Path(TRAINED_SEED.format(protocol=protocol, seed=seed)).exists():
        lost = list(lost_models(protocol, seed))
        workflow.dag.forcefiles.update(lost)
        if lost:
            logger.warning(f"Deleted since they were made, and rebuilt with what depends on them: {', '.join(lost)}")


def listed_models(wildcards):
    """Return the model descriptions of a protocol and seed, and the calibrations of its mixtures."""
    protocol, seeds = wildcards.protocol, [wildcards.seed]
    make_lost_models_again(protocol, wildcards.seed)
    return model_files(protocol, seeds, STUDY.trained(protocol)) + calibration_files(protocol, seeds)


def taught_by(protocol):
    """Return the factor and cell that each expert of a protocol is trained on, by its name."""
    return {
        f"{kind}.{name}": {column: STUDY.experiments[name][column] for column in ("factor", "cell")}
        for kind, name in STUDY.experts(protocol)
    }


def mixtures(protocol):
    """Return the names of the mixtures of a protocol."""
    return [f"moe.{gate}" for gate in STUDY.gates(protocol)]


def calibration_files(protocol, seeds):
    """Return the calibrations of a protocol's mixtures, seed by seed."""
    return [f"{model_folder(protocol, model, seed)}/calibration.json" for seed in seeds for model in mixtures(protocol)]


def calibration_datasets(protocol):
    """Return the validation sets for calibration by kind of negatives, the protocol's own first.

    The others are the training negatives of other protocols, whose validation sets exist anyway.
    """
    kinds = dict.fromkeys(map(training_negatives, [protocol, *STUDY.protocols]))
    return {
        kind: [DATASET.format(experiment=name, negatives=kind, split="validation") for name in STUDY.training]
        for kind in kinds
    }


@cache
def folders_of_gate_experts(protocol, seed):
    """Return the folders of the experts that gates of a protocol and seed use, by name in the gate."""
    return {
        name: model_folder(protocol, f"{kind}.{experiment}", seed)
        for name, (kind, experiment) in STUDY.gate_experts(protocol).items()
    }


def gate_expert_folders(wildcards):
    """Return the folders of the experts that gates use, by name in the gate."""
    return folders_of_gate_experts(wildcards.protocol, wildcards.seed)


def gate_experts_of(wildcards, gate):
    """Return the folders of one gate's experts, by name in the gate."""
    folders = gate_expert_folders(wildcards)
    return {name: folders[name] for name in STUDY.gate_experts_of(wildcards.protocol, gate)}


def gate_sequences(wildcards, split):
    """Return the training experiments' datasets of a split if a gate fine-tunes its experts or simulates factors."""
    fine_tunes = config["gates"][wildcards.gate].get("fine_tune_epochs")
    simulates = split == "validation" and STUDY.uses_motif_prior(wildcards.gate)
    return training_datasets(wildcards.protocol, split) if fine_tunes or simulates else []


def fold_folders(wildcards):
    """Return the folders of each expert's fold models; nothing without folds, or for one trained on no rows of theirs."""
    folds = config["protocols"][wildcards.protocol]["folds"]
    return {
        name: [f"{folder}/fold{fold}" for fold in range(folds)]
        for name, folder in gate_expert_folders(wildcards).items()
        if folds and name != BACKGROUND
    }


def without_folders(wildcards):
    """Return the folder of each pooled network without a factor, by factor, if the protocol has folds of factors."""
    known = STUDY.gate_experts(wildcards.protocol)
    folds = STUDY.factor_folds(wildcards.protocol)
    return {
        name: {factor: f"{folder}/without/{fold}" for fold, factors in enumerate(folds) for factor in factors}
        for name, folder in gate_expert_folders(wildcards).items()
        if folds and known[name][1] == POOLED
    }


def without_inputs(wildcards):
    """Return the datasets of a network trained without a fold of the factors."""
    without = STUDY.factor_folds(wildcards.protocol)[int(wildcards.factor_fold)]
    names = [name for name in STUDY.training if STUDY.experiments[name]["factor"] not in without]
    negatives = training_negatives(wildcards.protocol)
    return {
        split: [DATASET.format(experiment=name, negatives=negatives, split=split) for name in names]
        for split in ("train", "validation")
    }


# Params that predictions depend on besides datasets and models; what measures them is not among these.
PREDICTING = {
    "batch_size": config["evaluation"]["batch_size"],
    "jaspar_group": STUDY.genome.jaspar_group,
    "motif_prior_code": code("motif_priors.py"),
    "prediction_code": code(LIBRARY / "tfbs_moe/evaluation/predict.py"),
}
