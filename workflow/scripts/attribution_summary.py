"""Join the tables of all attribution jobs, in the order given, and compare the methods over factors."""

import pandas as pd

from tfbs_moe.attribution.compare import compare_methods
from tfbs_moe.runtime import step
from tfbs_moe.tables import read_tsv, write_tsv

with step(snakemake.log[0]):
    joined = {
        name: pd.concat([read_tsv(path) for path in snakemake.input[name]], ignore_index=True)
        for name in snakemake.params.tables
    }
    for name, table in joined.items():
        write_tsv(table, snakemake.output[name])
    write_tsv(compare_methods(joined["summary"]), snakemake.output.comparison)
