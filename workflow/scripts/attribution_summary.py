"""Join the tables of all attribution jobs and compare the methods over factors."""

from tfbs_moe.runtime import step
from tfbs_moe.statistics.attribution_methods import compare_methods
from tfbs_moe.tables import joined, read_tsv, write_tsv

with step(snakemake.log[0]):
    tables = {name: joined([read_tsv(path) for path in snakemake.input[name]]) for name in snakemake.params.tables}
    for name, table in tables.items():
        write_tsv(table, snakemake.output[name])
    write_tsv(compare_methods(tables["summary"], level=snakemake.params.level), snakemake.output.comparison)
