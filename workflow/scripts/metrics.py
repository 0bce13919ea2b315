"""Measure every model of a protocol on one test set."""

import numpy as np

from tfbs_moe.evaluation.calibrated import read_calibrations
from tfbs_moe.evaluation.evaluate import evaluate
from tfbs_moe.evaluation.gate import gate_weights
from tfbs_moe.evaluation.gate_use import MIXTURE, gate_use
from tfbs_moe.evaluation.metrics import MetricSettings
from tfbs_moe.evaluation.model_list import read_list
from tfbs_moe.evaluation.roc import curve_points
from tfbs_moe.evaluation.scores import overlap_free, read_scores
from tfbs_moe.evaluation.seed_averages import seed_averages
from tfbs_moe.evaluation.trust import trust
from tfbs_moe.runtime import step
from tfbs_moe.tables import read_parquet, write_tsv

params = snakemake.params
with step(snakemake.log[0]):
    predictions = read_parquet(snakemake.input.predictions)
    scores = read_scores(predictions)
    audit = read_parquet(snakemake.input.audit)
    row_sets = {
        "all": np.ones(len(scores.row), dtype=bool),
        "overlap_free": overlap_free(audit, scores, snakemake.input.audit),
    }
    settings = MetricSettings(
        **{name: params.settings[name] for name in ("specificity", "enrichment_fraction", "calibration_bins")}
    )
    draws = {"draws": params.settings["bootstrap"], "level": params.settings["confidence"], "seed": params.seed}
    write_tsv(evaluate(scores, params.identity, row_sets, settings=settings, **draws), snakemake.output.metrics)
    write_tsv(seed_averages(scores, params.identity, row_sets), snakemake.output.seed_averages)
    write_tsv(curve_points(scores, params.identity), snakemake.output.curves)
    write_tsv(gate_weights(predictions, params.identity, **draws), snakemake.output.gate_weights)
    write_tsv(gate_use(predictions, params.identity), snakemake.output.gate_use)
    calibrations = {
        (model, seed): read_calibrations(folder) for model, seed, folder in read_list(snakemake.input.models, MIXTURE)
    }
    write_tsv(trust(predictions, calibrations, params.identity), snakemake.output.trust)
