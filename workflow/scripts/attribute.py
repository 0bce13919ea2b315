"""Explain one test set with every method, for every model of one replicate of a protocol."""

from pathlib import Path

import pandas as pd

from tfbs_moe.attribution.explain import chosen_rows, explain, request
from tfbs_moe.attribution.store import write_attributions
from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.runtime import configure_torch, select_device, step
from tfbs_moe.tables import read_parquet, read_tsv, write_tsv

params = snakemake.params
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, snakemake.config["deterministic"])
    device = select_device(snakemake.config["device"])
    settings = params.settings
    predictions = read_parquet(snakemake.input.predictions)
    what = request(
        read_dataset(snakemake.input.dataset),
        chosen_rows(predictions, params.mixture, params.replicate, settings["sequences"]),
        read_tsv(snakemake.input.sites) if snakemake.input.get("sites") else None,
        methods=tuple(settings["methods"]),
        settings={"n": settings["shifts"], "draws": settings["noise_draws"], "sd": settings["noise_sd"]},
        batch_size=settings["batch_size"],
        seed=params.seed,
        draws=params.draws,
    )
    outputs = {(Path(path).parts[-3], Path(path).stem): path for path in snakemake.output[:-1]}
    summaries = []
    for model, folder in params.models.items():
        for found in explain(model, folder, what, device):
            write_attributions(found.attributions, outputs[model, found.method])
            names = params.identity | {"model": model, "seed": params.replicate, "method": found.method}
            summaries.append(found.summary.assign(**names)[[*names, *found.summary.columns]])
    write_tsv(pd.concat(summaries, ignore_index=True), snakemake.output.summary)
