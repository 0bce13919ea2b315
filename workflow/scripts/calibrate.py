"""Calibrate a mixture and its out-of-distribution score on validation sets."""

from pathlib import Path

from tfbs_moe.data.motif_prior import read_motif_priors
from tfbs_moe.evaluation.calibrate_mixture import calibrate_mixture
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, named_seed, select_device, step
from tfbs_moe.tables import read_json

params, wildcards = snakemake.params, snakemake.wildcards
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, params.deterministic)
    register_own(snakemake.config["experts"])
    calibrate_mixture(
        Path(snakemake.output.calibration).parent,
        {negatives: snakemake.input[negatives] for negatives in params.negatives},
        snakemake.input.train,
        device=select_device(snakemake.config["device"]),
        seed=named_seed(int(wildcards.seed), "calibration", wildcards.gate),
        batch_size=params.batch_size,
        motif_priors=read_motif_priors(read_json(snakemake.input.motif_priors)),
    )
