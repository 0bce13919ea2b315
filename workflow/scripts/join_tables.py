"""Join the tables of many jobs into one, in the order given."""

from tfbs_moe.runtime import step
from tfbs_moe.tables import joined, read_tsv, write_tsv

with step(snakemake.log[0]):
    write_tsv(joined([read_tsv(path) for path in snakemake.input]), snakemake.output[0])
