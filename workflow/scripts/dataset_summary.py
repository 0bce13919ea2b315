"""Count the sequences of each dataset, and the test sequences that overlap training."""

from tfbs_moe.data.summary import summarise_datasets
from tfbs_moe.runtime import step
from tfbs_moe.tables import write_tsv

with step(snakemake.log[0]):
    table = summarise_datasets(snakemake.input.datasets, snakemake.input.audits, snakemake.params.gates)
    write_tsv(table, snakemake.output[0])
