"""Find the sequences of an experiment's test sets that overlap training."""

from tfbs_moe.data.audit.training_overlap import read_positives, training_overlaps
from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.runtime import step
from tfbs_moe.tables import write_parquet

with step(snakemake.log[0]):
    tests = [read_dataset(path) for path in snakemake.input.tests]
    overlaps = training_overlaps(tests, read_positives(snakemake.input.training), snakemake.params.k)
    for table, path in zip(overlaps, snakemake.output, strict=True):
        write_parquet(table, path)
