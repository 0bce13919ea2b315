"""Evaluate all models of a protocol on the test sets of an experiment."""

import numpy as np

from tfbs_moe.evaluation.calibration import calibration_quality, read_calibrations
from tfbs_moe.evaluation.curves import curve_points
from tfbs_moe.evaluation.gate_use import MIXTURE, gate_use
from tfbs_moe.evaluation.gate_weights import gate_weights
from tfbs_moe.evaluation.metrics import MetricSettings
from tfbs_moe.evaluation.metrics_with_intervals import evaluate, seed_averages
from tfbs_moe.evaluation.model_list import read_list
from tfbs_moe.evaluation.scores import overlap_free, read_scores
from tfbs_moe.runtime import step
from tfbs_moe.tables import read_parquet, write_tsv

params = snakemake.params
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
    calibrations = {
        (model, seed): read_calibrations(folder) for model, seed, folder in read_list(snakemake.input.models, MIXTURE)
    }
    tests = zip(snakemake.input.predictions, snakemake.input.audits, params.identities, strict=True)
    for number, (predictions, audit, identity) in enumerate(tests):
        for name, table in measure(read_parquet(predictions), audit, calibrations, identity).items():
            write_tsv(table, snakemake.output[name][number])
