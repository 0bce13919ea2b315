"""Predict an experiment's test sets with all models of a protocol, and evaluate the predictions."""

import numpy as np

from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.data.motif_prior import read_motif_priors
from tfbs_moe.evaluation.calibration import calibration_quality, read_calibrations
from tfbs_moe.evaluation.curves import curve_points
from tfbs_moe.evaluation.gate_weights import gate_use, gate_weights
from tfbs_moe.evaluation.metrics import MetricSettings
from tfbs_moe.evaluation.metrics_with_intervals import evaluate, seed_averages
from tfbs_moe.evaluation.model_list import identity_as_trained, read_list, trained_cells
from tfbs_moe.evaluation.predict import predict_datasets
from tfbs_moe.evaluation.scores import MIXTURE, overlap_free, read_scores
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, select_device, step
from tfbs_moe.tables import labelled, read_json, read_parquet, read_tsv, write_parquet, write_tsv

params, inputs = snakemake.params, snakemake.input
settings = MetricSettings(
    **{name: params.settings[name] for name in ("specificity", "enrichment_fraction", "calibration_bins")}
)
draws = {"draws": params.settings["bootstrap"], "level": params.settings["confidence"], "seed": params.seed}


def measure(predictions, audit, calibrations, identity):
    """Return the tables of one test set by name."""
    scores = read_scores(predictions)
    row_sets = {
        "all": np.ones(len(scores.row), dtype=bool),
        "overlap_free": overlap_free(read_parquet(audit), scores, audit),
    }
    return {
        "metrics": evaluate(scores, identity, row_sets, settings=settings, **draws),
        "seed_averages": seed_averages(scores, identity, row_sets),
        "curves": curve_points(scores, identity),
        "gate_weights": gate_weights(predictions, identity, **draws),
        "gate_use": gate_use(predictions, identity),
        "calibration": calibration_quality(predictions, calibrations, identity),
    }


with step(snakemake.log[0]):
    configure_torch(snakemake.threads, snakemake.config["deterministic"])
    register_own(snakemake.config["experts"])
    device = select_device(snakemake.config["device"])
    datasets = [read_dataset(path) for path in inputs.datasets]
    known = read_motif_priors(read_json(inputs.motif_priors))[params.identities[0]["factor"]]
    calibrations = {
        (model, seed): read_calibrations(folder) for model, seed, folder in read_list(inputs.models, MIXTURE)
    }
    trained = trained_cells(read_tsv(inputs.models))
    found = predict_datasets(read_list(inputs.models), datasets, device, params.batch_size, known, params.seed)
    for number, (planned, (predictions, subsets)) in enumerate(zip(params.identities, found, strict=True)):
        identity = identity_as_trained(planned, trained)
        write_parquet(predictions, snakemake.output.predictions[number])
        tables = measure(predictions, inputs.audits[number], calibrations, identity)
        tables["subsets"] = labelled(subsets, identity)
        for name, table in tables.items():
            write_tsv(table, snakemake.output[name][number])
