"""Train gates over the experts of a protocol and replicate."""

from pathlib import Path

from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.genome.assemblies import study_genome
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, named_seed, select_device, step
from tfbs_moe.training.fine_tune import FineTuning
from tfbs_moe.training.gate import train_gate
from tfbs_moe.training.gate_inputs import read_gate_inputs
from tfbs_moe.training.motif_evidence import Simulation

params, wildcards = snakemake.params, snakemake.wildcards
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, params.deterministic)
    register_own(snakemake.config["experts"])
    device = select_device(snakemake.config["device"])
    # Only a gate that fine-tunes its experts or learns from simulated factors needs sequences.
    gate_inputs = read_gate_inputs(Path(snakemake.input.gate_inputs).parent)
    experiments = gate_inputs.description["experiments"]
    rows = {
        split: dict(zip(experiments, map(read_dataset, paths), strict=True))
        for split in ("train", "validation")
        if (paths := snakemake.input.get(split))
    }
    genome = study_genome(snakemake.config)
    written = snakemake.output.weights
    weights = [written] if isinstance(written, str) else written
    for (name, settings), path in zip(params.gates.items(), weights, strict=True):
        kind = settings.get("kind", name)
        train_gate(
            gate_inputs,
            params.gate_experts,
            gate=kind,
            hyperparameters=settings["network"],
            # Settings that do not affect the weights are no params, so that a change of them retrains nothing.
            settings=snakemake.config["gates"][name]["training"] | settings["training"],
            # A motif gate is the attention gate and what is added to it, so that the two differ by that alone.
            seed=named_seed(int(wildcards.seed), "gate", "attention" if kind == "motif" else name),
            folder=Path(path).parent,
            device=device,
            expert_dropout=settings["expert_dropout"],
            fine_tuning=FineTuning(epochs, **rows) if (epochs := settings.get("fine_tune_epochs")) else None,
            simulation=(
                Simulation(rows["validation"], gate_inputs.description["factors"], genome.jaspar_group)
                if "validation" in rows
                else None
            ),
            description={
                "name": name,
                "protocol": wildcards.protocol,
                "replicate": int(wildcards.seed),
                "genome": genome.facts,
            },
        )
