"""Train gates over the experts of a protocol and replicate."""

from pathlib import Path

from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.data.motif_prior import read_motif_priors
from tfbs_moe.genome.assemblies import study_genome
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, named_seed, select_device, step
from tfbs_moe.tables import read_json
from tfbs_moe.training.fine_tune import FineTuning
from tfbs_moe.training.gate import train_gate
from tfbs_moe.training.gate_inputs import read_gate_inputs

params, wildcards = snakemake.params, snakemake.wildcards
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, params.deterministic)
    register_own(snakemake.config["experts"])
    device = select_device(snakemake.config["device"])
    # Only a gate that fine-tunes its experts needs the sequences themselves.
    gate_inputs = read_gate_inputs(Path(snakemake.input.gate_inputs).parent)
    experiments = gate_inputs.description["experiments"]
    rows = [
        dict(zip(experiments, map(read_dataset, paths), strict=True))
        for name in ("train", "validation")
        if (paths := snakemake.input.get(name))
    ]
    known = read_motif_priors(read_json(snakemake.input.motif_priors[0])) if rows else {}
    factors = zip(experiments, gate_inputs.description["factors"], strict=True)
    priors = {name: known[factor] for name, factor in factors if factor in known}
    written = snakemake.output.weights
    weights = [written] if isinstance(written, str) else written
    for (name, settings), path in zip(params.gates.items(), weights, strict=True):
        train_gate(
            gate_inputs,
            params.gate_experts,
            gate=settings.get("kind", name),
            hyperparameters=settings["network"],
            # Settings that do not affect the weights are no params, so that a change of them retrains nothing.
            settings=snakemake.config["gates"][name]["training"] | settings["training"],
            seed=named_seed(int(wildcards.seed), "gate", name),
            folder=Path(path).parent,
            device=device,
            expert_dropout=settings["expert_dropout"],
            fine_tuning=FineTuning(settings["fine_tune_epochs"], *rows, priors) if rows else None,
            description={
                "name": name,
                "protocol": wildcards.protocol,
                "replicate": int(wildcards.seed),
                "genome": study_genome(snakemake.config).facts,
            },
        )
