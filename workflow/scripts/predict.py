"""Predict an experiment's test sets with every model of a protocol, and with mixtures while experts are away."""

from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.data.factor_knowledge import read_knowledge
from tfbs_moe.evaluation.model_list import read_list
from tfbs_moe.evaluation.predict import predict_datasets
from tfbs_moe.evaluation.subsets import evaluate_subsets
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, select_device, step
from tfbs_moe.tables import read_json, write_parquet, write_tsv

params = snakemake.params
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, snakemake.config["deterministic"])
    register_own(snakemake.config["experts"])
    device = select_device(snakemake.config["device"])
    datasets = [read_dataset(path) for path in snakemake.input.datasets]
    known = read_knowledge(read_json(snakemake.input.knowledge))[params.identities[0]["factor"]]
    models = read_list(snakemake.input.models)
    predictions = predict_datasets(models, datasets, device, params.batch_size, known)
    for table, path in zip(predictions, snakemake.output.predictions, strict=True):
        write_parquet(table, path)
    mixtures = [model for model in models if model[0].startswith("moe.")]
    tests = list(zip(datasets, params.identities, strict=True))
    worth = evaluate_subsets(mixtures, tests, seed=params.seed, device=device, knowledge=known)
    for table, path in zip(worth, snakemake.output.subsets, strict=True):
        write_tsv(table, path)
