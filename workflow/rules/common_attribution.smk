"""Paths and helper functions of attribution, as in common.smk; no rules."""

from tfbs_moe.attribution.names import PADS_ITSELF, needs_flanks, needs_padding
from tfbs_moe.figures.catalogue import explaining

EXPLAINED_SEED = SEEDS[0]
# The first test set of each experiment: only bound sequences are explained, which do not depend on the negatives.
EXPLAINED = {
    test.experiment: test for test in reversed(STUDY.test_sets) if test.experiment in STUDY.explained_experiments
}
# Includes the methods that logos and motifs need, whatever the config asks for.
EXPLAINING = explaining(config)
EXPLAINING_AT_ALL = list(dict.fromkeys([*EXPLAINING, *config["attribution"]["sanity_methods"]]))
INTO_FLANKS = [method for method in EXPLAINING_AT_ALL if needs_flanks(method)]
UNPLACED = [name for name in EXPLAINED if not has_peaks(name)]
if INTO_FLANKS and UNPLACED:
    raise WorkflowError(
        f"attribution: {INTO_FLANKS[0]} shifts into the genome around each sequence, and the sequences of {UNPLACED[0]} "
        f"({len(UNPLACED)} of {len(EXPLAINED)} explained experiments) come from a prepared file, without coordinates: "
        "remove the method, or explain only experiments of format peaks"
    )

INSIDE_PADDING = [method for method in EXPLAINING_AT_ALL if needs_padding(method)]
UNPADDED = [
    name
    for recipe in config["protocols"].values()
    for name in [*recipe["architectures"], *recipe["pooled"]]
    if config["experts"][name].get("class") or config["experts"][name].get("kind", name) not in PADS_ITSELF
]
if INSIDE_PADDING and UNPADDED:
    raise WorkflowError(
        f"attribution: {INSIDE_PADDING[0]} shifts within the neutral columns that a network adds to a sequence "
        f"itself, as {', '.join(PADS_ITSELF)} do and {UNPADDED[0]} does not: remove the method or the architecture"
    )


def explained(experiment):
    """Return the test set with an experiment's explained sequences."""
    return EXPLAINED[experiment]


def attribution_files(protocol):
    """Return the attribution files of a protocol, with a wildcard for the experiment."""
    return [
        f"{ATTRIBUTIONS}/{protocol}/{model}/{{experiment}}/{method}.h5"
        for model in STUDY.explained(protocol)
        for method in EXPLAINING
    ]


def explained_experts(protocol):
    """Return the explained experts of a protocol."""
    return [model for model in STUDY.explained(protocol) if model not in mixtures(protocol)]


EXPLAINED_EXPERTS = [
    {"protocol": protocol, "model": model} for protocol in STUDY.protocols for model in explained_experts(protocol)
]


def relabelled(protocol):
    """Return the explained experts to be retrained on permuted labels, as a control of attribution."""
    return explained_experts(protocol)[: config["attribution"]["relabelled_experts"]]


def relabelled_files(protocol):
    """Return the descriptions of the experts trained on permuted labels."""
    return [
        f"{model_folder(protocol, model, EXPLAINED_SEED)}/{Path(EXPERT_RELABELLED).name}/model.json"
        for model in relabelled(protocol)
    ]


def motif_attributions(wildcards):
    """Return the attributions of a model for motif discovery."""
    method = config["attribution"]["motif_method"]
    return [f"{ATTRIBUTIONS}/{wildcards.protocol}/{wildcards.model}/{name}/{method}.h5" for name in EXPLAINED]


def modisco_files():
    """Return the TF-MoDISco motifs of all explained models, or nothing if it is not run."""
    if not config["attribution"]["modisco_seqlets"]:
        return []
    if not workflow.deployment_settings.deployment_method and not shutil.which("modisco"):
        raise WorkflowError(
            "config: attribution.modisco_seqlets asks for TF-MoDISco, which has its own environment: add "
            "--use-conda, or put the program modisco (modisco-lite 3) on the PATH, or set it to 0"
        )
    return [
        f"{MODISCO}/motifs.h5".format(protocol=protocol, model=model)
        for protocol in STUDY.protocols
        for model in STUDY.explained(protocol)
    ]


ATTRIBUTION_FILES = [
    path.format(experiment=name)
    for protocol in STUDY.protocols
    for path in attribution_files(protocol)
    for name in EXPLAINED
]
