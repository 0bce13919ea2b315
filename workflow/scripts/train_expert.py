"""Train one expert, or go on where a killed job left off."""

from pathlib import Path

from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, named_seed, select_device, step
from tfbs_moe.tables import read_json
from tfbs_moe.training.expert import train_expert

params, wildcards = snakemake.params, snakemake.wildcards
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, params.deterministic)
    register_own(snakemake.config["experts"])
    settings = params.settings
    found = read_json(snakemake.input.search) if snakemake.input.get("search") else {"network": {}, "training": {}}
    train_expert(
        read_dataset(snakemake.input.train),
        read_dataset(snakemake.input.validation),
        architecture=settings["architecture"],
        hyperparameters=settings["network"] | found["network"],
        settings=settings["training"] | found["training"],
        seed=named_seed(int(wildcards.seed), "expert", wildcards.architecture, wildcards.experiment),
        folder=Path(snakemake.output.weights).parent,
        device=select_device(snakemake.config["device"]),
        description={
            "experiment": wildcards.experiment,
            "protocol": wildcards.protocol,
            "replicate": int(wildcards.seed),
        },
    )
