"""Names, paths and small helpers that every stage uses; no rules."""

import re
import shutil
from functools import cache

from tfbs_moe.provenance import code_digest
from tfbs_moe.study import TestSet

RUN = f"results/{config['run']}"
LOGS = f"{RUN}/logs"
BENCHMARKS = f"{RUN}/benchmarks"
SEEDS = config["replicates"]
DATASET = f"{RUN}/datasets/{{experiment}}/{{negatives}}/{{split}}.h5"
EXPERT = f"{RUN}/experts/{{protocol}}/{{architecture}}/{{experiment}}/seed{{seed}}"
GATE = f"{RUN}/moe/{{protocol}}/{{gate}}/seed{{seed}}"


wildcard_constraints:
    experiment="|".join(map(re.escape, STUDY.experiments)),
    protocol="|".join(STUDY.protocols),
    negatives="[a-z_]+",
    split="train|validation|test",
    architecture="[A-Za-z0-9_]+",
    gate="[A-Za-z0-9_]+",
    seed="[0-9]+",


@cache
def code(script):
    """Return the digest of a script and the library modules it uses, for a rule's params."""
    return code_digest(LIBRARY / "scripts" / script, LIBRARY)


def gpus():
    """Return the number of GPUs that a job asks for; see gpus_per_job in the config."""
    if config["gpus_per_job"] is not None:
        return config["gpus_per_job"]
    wanted = config["device"] == "cuda" or (config["device"] == "auto" and shutil.which("nvidia-smi"))
    return 1 if wanted else 0


def training_negatives(protocol):
    """Return the kind of negatives that a protocol trains on."""
    return config["protocols"][protocol]["training_negatives"]


def training_datasets(protocol, split):
    """Return one split of every training experiment, in the order of the experiments table."""
    negatives = training_negatives(protocol)
    return [DATASET.format(experiment=name, negatives=negatives, split=split) for name in STUDY.training]


def per_test_set(pattern):
    """Expand a path over every test set of the study."""
    return [pattern.format(experiment=test.experiment, negatives=test.negatives) for test in STUDY.test_sets]


def per_protocol_and_test_set(pattern):
    """Expand a path over every protocol and every test set of the study."""
    return [path for protocol in STUDY.protocols for path in per_test_set(pattern.replace("{protocol}", protocol))]


def model_folder(protocol, model, seed):
    """Return the folder of a trained model, by its name in the result tables."""
    kind, name = model.split(".", maxsplit=1)
    pattern = GATE if kind == "moe" else EXPERT
    return pattern.format(protocol=protocol, gate=name, architecture=kind, experiment=name, seed=seed)
