"""Predict one test set with every model of a protocol, and with its mixtures while some of their experts are away."""

from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.data.factor_knowledge import read_knowledge
from tfbs_moe.evaluation.model_list import read_list
from tfbs_moe.evaluation.predict import predict_dataset
from tfbs_moe.evaluation.subsets import evaluate_subsets
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, select_device, step
from tfbs_moe.tables import read_json, write_parquet, write_tsv

params = snakemake.params
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, snakemake.config["deterministic"])
    register_own(snakemake.config["experts"])
    device = select_device(snakemake.config["device"])
    dataset = read_dataset(snakemake.input.dataset)
    known = read_knowledge(read_json(snakemake.input.knowledge))[params.identity["factor"]]
    models = read_list(snakemake.input.models)
    write_parquet(
        predict_dataset(models, dataset, device, params.batch_size, known),
        snakemake.output.predictions,
    )
    mixtures = [model for model in models if model[0].startswith("moe.")]
    worth = evaluate_subsets(mixtures, dataset, params.identity, seed=params.seed, device=device, knowledge=known)
    write_tsv(worth, snakemake.output.subsets)
