"""Join the tables of many jobs into one of each kind, in the order given."""

from tfbs_moe.runtime import step
from tfbs_moe.tables import joined, read_tsv, write_tsv

with step(snakemake.log[0]):
    for name, path in snakemake.output.items():
        write_tsv(joined([read_tsv(part) for part in snakemake.input[name]]), path)
