"""Join the tables of many jobs into one, in the order given."""

import pandas as pd

from tfbs_moe.runtime import step
from tfbs_moe.tables import read_tsv, write_tsv

with step(snakemake.log[0]):
    parts = [read_tsv(path) for path in snakemake.input]
    # The columns of a table without rows have no types, and would take those of the others.
    filled = [part for part in parts if len(part)] or parts[:1]
    write_tsv(pd.concat(filled, ignore_index=True), snakemake.output[0])
