"""Look at what the gates of a protocol do on one test set: with experts away, and how evenly."""

from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.data.factor_knowledge import read_knowledge
from tfbs_moe.evaluation.gate_use import gate_use
from tfbs_moe.evaluation.subsets import evaluate_subsets
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, select_device, step
from tfbs_moe.tables import read_json, read_parquet, write_tsv

params = snakemake.params
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, snakemake.config["deterministic"])
    register_own(snakemake.config["experts"])
    known = read_knowledge(read_json(snakemake.input.knowledge))[params.identity["factor"]]
    mixtures = [(model["name"], model["seed"], model["folder"]) for model in params.models]
    found = evaluate_subsets(
        mixtures,
        read_dataset(snakemake.input.dataset),
        params.identity,
        seed=params.seed,
        device=select_device(snakemake.config["device"]),
        knowledge=known,
    )
    write_tsv(found, snakemake.output.subsets)
    write_tsv(gate_use(read_parquet(snakemake.input.predictions), params.identity), snakemake.output.gate_use)
