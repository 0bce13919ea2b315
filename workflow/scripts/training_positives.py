"""Collect the bound sequences of all training experiments, which test sets are audited against."""

from tfbs_moe.data.audit.training_overlap import write_positives
from tfbs_moe.runtime import step

with step(snakemake.log[0]):
    write_positives(snakemake.input, snakemake.output[0])
