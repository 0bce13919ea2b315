"""Query the ENCODE portal for experiments missing from the lock table."""

from tfbs_moe.data.download.encode import update_lock
from tfbs_moe.data.download.sources import LOCK
from tfbs_moe.runtime import step

with step(snakemake.log[0]):
    update_lock(snakemake.params.experiments, LOCK, snakemake.params.assembly)
