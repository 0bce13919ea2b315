"""Compute the gate inputs: embeddings of the gates' training sequences by all experts of a protocol and replicate."""

from pathlib import Path

from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, named_seed, select_device, step
from tfbs_moe.training.gate_inputs import GateExpert, write_gate_inputs

params, wildcards = snakemake.params, snakemake.wildcards
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, params.deterministic)
    register_own(snakemake.config["experts"])
    gate_experts = [
        GateExpert(
            name=gate_expert["name"],
            folder=gate_expert["folder"],
            trained_on=tuple(gate_expert["trained_on"]),
            factors=tuple(params.factors[name] for name in gate_expert["trained_on"]),
            folds=tuple(params.folds.get(gate_expert["name"], ())),
            without=params.without.get(gate_expert["name"], {}),
        )
        for gate_expert in params.gate_experts
    ]
    write_gate_inputs(
        gate_experts,
        dict(zip(params.factors, zip(snakemake.input.train, snakemake.input.validation, strict=True), strict=True)),
        Path(snakemake.output.gate_inputs).parent,
        rows=params.rows,
        max_rows=params.max_rows,
        seed=named_seed(int(wildcards.seed), "views"),
        device=select_device(snakemake.config["device"]),
    )
