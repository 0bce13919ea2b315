"""Train one expert or pooled network, resuming from the checkpoint of a killed job."""

from pathlib import Path

from tfbs_moe.data.dataset import concatenate, read_dataset, subset, with_random_labels
from tfbs_moe.data.folds import deal_folds
from tfbs_moe.genome.assemblies import study_genome
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, named_seed, select_device, step
from tfbs_moe.tables import read_json
from tfbs_moe.training.expert import train_expert

params, wildcards = snakemake.params, snakemake.wildcards
fold, without = wildcards.get("fold"), params.get("without")
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, params.deterministic)
    register_own(snakemake.config["experts"])
    device = select_device(snakemake.config["device"])
    settings = params.settings
    found = read_json(snakemake.input.search) if snakemake.input.get("search") else {"network": {}, "training": {}}
    train, validation = (
        concatenate([read_dataset(path) for path in paths])
        for paths in (snakemake.input.train, snakemake.input.validation)
    )
    name = {"experiment": wildcards.experiment, "protocol": wildcards.protocol, "replicate": int(wildcards.seed)}
    name |= {"genome": study_genome(snakemake.config).facts}
    names = ["expert", wildcards.architecture, wildcards.experiment]
    learning = train
    if fold is not None:
        name |= {"fold": int(fold), "folds": params.folds}
        names += ["fold", fold]
        learning = subset(train, deal_folds(train, params.folds) != int(fold))
    if without:
        name |= {"without_factors": without}
        names += ["without", *without]
    # Settings that do not affect the weights are no params, so that a change of them retrains nothing.
    given = snakemake.config["experts"][wildcards.architecture]
    others = given["training"] | given["factors"].get(wildcards.experiment, {}).get("training", {})
    training = others | settings["training"] | found["training"]
    if params.get("permuted_labels"):
        name |= {"labels": "permuted"}
        names.append("permuted labels")
        learning, validation = (
            with_random_labels(rows, named_seed(int(wildcards.seed), *names, split))
            for rows, split in ((learning, "train"), (validation, "validation"))
        )
        # With permuted labels an unbound sequence is no shuffle of a bound one.
        training = training | {"fresh_negatives": False}
    folder = Path(snakemake.output.weights).parent
    train_expert(
        learning,
        validation,
        architecture=settings["architecture"],
        hyperparameters=settings["network"] | found["network"],
        settings=training,
        seed=named_seed(int(wildcards.seed), *names),
        folder=folder,
        device=device,
        description=name,
    )
