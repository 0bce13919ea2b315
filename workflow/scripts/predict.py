"""Predict one test set with every model of a protocol."""

from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.data.factor_knowledge import read_knowledge
from tfbs_moe.evaluation.predict import predict_dataset
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, select_device, step
from tfbs_moe.tables import read_json, write_parquet

params = snakemake.params
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, snakemake.config["deterministic"])
    register_own(snakemake.config["experts"])
    models = [(model["name"], model["seed"], model["folder"]) for model in params.models]
    device = select_device(snakemake.config["device"])
    known = read_knowledge(read_json(snakemake.input.knowledge))[params.factor]
    predictions = predict_dataset(models, read_dataset(snakemake.input.dataset), device, params.batch_size, known)
    write_parquet(predictions, snakemake.output[0])
