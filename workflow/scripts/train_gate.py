"""Train gates over the experts of a protocol and replicate."""

from pathlib import Path

from tfbs_moe.assemblies import study_genome
from tfbs_moe.data.dataset import concatenate, read_dataset
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, named_seed, select_device, step
from tfbs_moe.training.gate import FineTuning, train_gate
from tfbs_moe.training.views import read_views

params, wildcards = snakemake.params, snakemake.wildcards
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, params.deterministic)
    register_own(snakemake.config["experts"])
    device = select_device(snakemake.config["device"])
    # Only a gate whose experts learn on needs the sequences themselves.
    parts = [[read_dataset(path) for path in snakemake.input.get(name, [])] for name in ("train", "validation")]
    pooled = [concatenate(datasets) for datasets in parts if datasets]
    views = read_views(Path(snakemake.input.views).parent)
    written = snakemake.output.weights
    weights = [written] if isinstance(written, str) else written
    for (name, settings), path in zip(params.gates.items(), weights, strict=True):
        train_gate(
            views,
            params.members,
            gate=settings.get("kind", name),
            hyperparameters=settings["network"],
            # What the weights do not hang on is no param: a change of it trains nothing anew.
            settings=snakemake.config["gates"][name]["training"] | settings["training"],
            seed=named_seed(int(wildcards.seed), "gate", name),
            folder=Path(path).parent,
            device=device,
            unseen=settings["unseen"],
            fine_tuning=FineTuning(settings["fine_tune_epochs"], *pooled) if pooled else None,
            description={
                "name": name,
                "protocol": wildcards.protocol,
                "replicate": int(wildcards.seed),
                "genome": study_genome(snakemake.config).facts,
            },
        )
