"""Compute the gate inputs: embeddings of the gates' training sequences by all experts of a protocol and replicate."""

from pathlib import Path

from tfbs_moe.data.motif_prior import read_knowledge
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, named_seed, select_device, step
from tfbs_moe.tables import read_json
from tfbs_moe.training.gate_inputs import Member, write_views

params, wildcards = snakemake.params, snakemake.wildcards
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, params.deterministic)
    register_own(snakemake.config["experts"])
    known = read_knowledge(read_json(snakemake.input.knowledge))
    members = [
        Member(
            name=member["name"],
            folder=member["folder"],
            learnt=tuple(member["learnt"]),
            factors=tuple(params.factors[name] for name in member["learnt"]),
            folds=tuple(params.folds.get(member["name"], ())),
        )
        for member in params.members
    ]
    write_views(
        members,
        dict(zip(params.factors, zip(snakemake.input.train, snakemake.input.validation, strict=True), strict=True)),
        Path(snakemake.output.views).parent,
        rows=params.rows,
        max_rows=params.max_rows,
        seed=named_seed(int(wildcards.seed), "views"),
        device=select_device(snakemake.config["device"]),
        knowledge={name: known[factor] for name, factor in params.factors.items()},
    )
