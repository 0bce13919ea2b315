"""Say which rows of a test set share sequence with training."""

from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.data.training_overlap import read_positives, training_overlap
from tfbs_moe.runtime import step
from tfbs_moe.tables import write_parquet

with step(snakemake.log[0]):
    training = read_positives(snakemake.input.training)
    write_parquet(
        training_overlap(read_dataset(snakemake.input.test), training, snakemake.params.k), snakemake.output[0]
    )
