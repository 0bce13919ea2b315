"""Compare the mixtures by stratum of factors, similarity to training and kind of negatives."""

from tfbs_moe.data.jaspar import matrices
from tfbs_moe.evaluation.model_list import trained_cells
from tfbs_moe.runtime import step
from tfbs_moe.statistics.generalisation import generalisation_tables
from tfbs_moe.tables import read_tsv, write_tsv

params = snakemake.params
with step(snakemake.log[0]):
    metrics = read_tsv(snakemake.input.metrics)
    lists = zip(params.trained_on, snakemake.input.models, strict=True)
    known = matrices(params.jaspar_group)
    tables = generalisation_tables(
        metrics,
        read_tsv(snakemake.input.datasets),
        {protocol: list(trained_cells(read_tsv(path))) for protocol, path in lists},
        params.trained_on,
        params.mixtures,
        params.level,
        known,
    )
    for name, path in snakemake.output.items():
        write_tsv(tables[name], path)
