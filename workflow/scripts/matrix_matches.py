"""Scan the bound test sequences of each explained factor with its matrices."""

import numpy as np
import pandas as pd

from tfbs_moe.attribution.motifs.known_sites import matches_in_rows
from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.runtime import step
from tfbs_moe.tables import write_tsv

with step(snakemake.log[0]):
    tables = []
    for path, (experiment, factor) in zip(snakemake.input, snakemake.params.factors.items(), strict=True):
        dataset = read_dataset(path)
        rows = np.flatnonzero(dataset.label)
        found = matches_in_rows(
            dataset.one_hot[rows], rows, factor, seed=snakemake.params.seed, group=snakemake.params.jaspar_group
        )
        tables.append(found.assign(experiment=experiment)[["experiment", *found.columns]])
    write_tsv(pd.concat(tables, ignore_index=True), snakemake.output[0])
