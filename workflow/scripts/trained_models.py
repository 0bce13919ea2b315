"""List the trained models of a protocol."""

from tfbs_moe.evaluation.model_list import write_list
from tfbs_moe.runtime import step

with step(snakemake.log[0]):
    write_list(snakemake.params.models, snakemake.output[0])
