"""Compute motifs of the experts' first-layer filters from bound validation sequences."""

import pandas as pd

from tfbs_moe.attribution.motifs.filters import filter_motifs, has_filters
from tfbs_moe.attribution.motifs.motif import motif_table
from tfbs_moe.data.dataset import concatenate, read_dataset
from tfbs_moe.models import bundle
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, step
from tfbs_moe.tables import labelled, write_tsv

with step(snakemake.log[0]):
    configure_torch(snakemake.threads, snakemake.config["deterministic"])
    register_own(snakemake.config["experts"])
    tables = [labelled(motif_table([]), {"protocol": "", "model": ""})]
    for names, folder, datasets in snakemake.params.models:
        model = bundle.load(folder)
        if has_filters(model) and not bundle.left_out(folder):
            rows = concatenate([read_dataset(path) for path in datasets])
            tables.append(labelled(motif_table(filter_motifs(model, rows.one_hot[rows.label == 1])), names))
    write_tsv(pd.concat(tables, ignore_index=True), snakemake.output[0])
