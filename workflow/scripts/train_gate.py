"""Train one gate over the experts of a protocol and replicate."""

from pathlib import Path

from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, named_seed, select_device, step
from tfbs_moe.training.gate import train_gate

params, wildcards = snakemake.params, snakemake.wildcards
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, params.deterministic)
    register_own(snakemake.config["experts"])
    train_gate(
        params.experts,
        list(snakemake.input.train),
        list(snakemake.input.validation),
        gate=wildcards.gate,
        hyperparameters=params.settings["network"],
        settings=params.settings["training"],
        seed=named_seed(int(wildcards.seed), "gate", wildcards.gate),
        folder=Path(snakemake.output.weights).parent,
        device=select_device(snakemake.config["device"]),
        rows=params.rows,
        description={
            "protocol": wildcards.protocol,
            "replicate": int(wildcards.seed),
        },
    )
