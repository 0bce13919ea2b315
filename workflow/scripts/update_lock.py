"""Ask the ENCODE portal for the experiments that the lock table does not know yet."""

from tfbs_moe.data.encode import update_lock
from tfbs_moe.data.sources import LOCK
from tfbs_moe.runtime import step

with step(snakemake.log[0]):
    update_lock(snakemake.params.experiments, LOCK, snakemake.params.assembly)
