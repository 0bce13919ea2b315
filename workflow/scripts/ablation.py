"""Compare each mixture of a study with the first."""

from tfbs_moe.runtime import step
from tfbs_moe.statistics.mixtures import ablation
from tfbs_moe.tables import read_tsv, write_tsv

params = snakemake.params
with step(snakemake.log[0]):
    variants = {(row["protocol"], row["model"]): row["variant"] for row in params.variants}
    write_tsv(ablation(read_tsv(snakemake.input.metrics), variants, params.level), snakemake.output[0])
