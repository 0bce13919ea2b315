"""Predict an experiment's test sets with all models of a protocol, and with mixtures without some experts."""

from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.data.motif_prior import read_motif_priors
from tfbs_moe.evaluation.model_list import read_list
from tfbs_moe.evaluation.predict import predict_datasets
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, select_device, step
from tfbs_moe.tables import read_json, write_parquet, write_tsv

params = snakemake.params
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, snakemake.config["deterministic"])
    register_own(snakemake.config["experts"])
    device = select_device(snakemake.config["device"])
    datasets = [read_dataset(path) for path in snakemake.input.datasets]
    known = read_motif_priors(read_json(snakemake.input.motif_priors))[params.identities[0]["factor"]]
    models = read_list(snakemake.input.models)
    found = predict_datasets(models, datasets, device, params.batch_size, known, params.seed)
    outputs = zip(snakemake.output.predictions, snakemake.output.subsets, params.identities, strict=True)
    for (predictions, subsets), (path, subsets_path, identity) in zip(found, outputs, strict=True):
        write_parquet(predictions, path)
        for place, (column, value) in enumerate(identity.items()):
            subsets.insert(place, column, value)
        write_tsv(subsets, subsets_path)
