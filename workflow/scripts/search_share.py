"""Run one worker's share of a hyper-parameter search."""

from pathlib import Path

from tfbs_moe.data.dataset import concatenate, read_dataset
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, named_seed, select_device, step
from tfbs_moe.tables import write_json
from tfbs_moe.training.search import SearchSettings, search_share

params, wildcards = snakemake.params, snakemake.wildcards
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, params.deterministic)
    register_own(snakemake.config["experts"])
    given = snakemake.config["experts"][wildcards.architecture]
    search = dict(params.search)
    space = search.pop("space")
    name = search_share(
        *(
            concatenate([read_dataset(path) for path in paths])
            for paths in (snakemake.input.train, snakemake.input.validation)
        ),
        architecture=params.settings["architecture"],
        hyperparameters=params.settings["network"],
        # Settings that do not affect the weights are no params, so that a change of them repeats no search.
        settings=given["training"]
        | given["factors"].get(wildcards.experiment, {}).get("training", {})
        | params.settings["training"],
        space=space,
        search=SearchSettings(**search),
        worker=int(wildcards.worker),
        seed=named_seed(params.seed, "search", wildcards.architecture, wildcards.experiment),
        folder=Path(snakemake.output[0]).parent,
        device=select_device(snakemake.config["device"]),
    )
    write_json({"worker": int(wildcards.worker), "search": search, "name": name}, snakemake.output[0])
