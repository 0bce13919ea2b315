"""Compare the mixtures with every other model, the factor being the unit."""

import pandas as pd

from tfbs_moe.runtime import step
from tfbs_moe.statistics.factors import compare_models
from tfbs_moe.tables import read_tsv, write_tsv

with step(snakemake.log[0]):
    metrics = read_tsv(snakemake.input.metrics)
    tables = [
        compare_models(metrics[metrics["protocol"] == protocol], mixture)
        for protocol, mixtures in snakemake.params.mixtures.items()
        for mixture in mixtures
    ]
    write_tsv(pd.concat(tables, ignore_index=True), snakemake.output[0])
