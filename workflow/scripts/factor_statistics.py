"""Compare the mixtures with all other models, with the factor as the unit."""

from tfbs_moe.runtime import step
from tfbs_moe.statistics.factors import ComparisonSettings, factor_tables
from tfbs_moe.tables import read_tsv, write_tsv

params = snakemake.params
with step(snakemake.log[0]):
    settings = ComparisonSettings(params.level, params.margin, **params.power)
    tables = factor_tables(read_tsv(snakemake.input.metrics), params.mixtures, settings, params.seed)
    for name, path in snakemake.output.items():
        write_tsv(tables[name], path)
