"""Compute attributions of one test set by all methods, for the models of one replicate of a protocol."""

from pathlib import Path

import pandas as pd

from tfbs_moe.attribution.explain import chosen_rows, examine, explain, prepare, request
from tfbs_moe.attribution.store import no_attributions, write_attributions
from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.evaluation.model_list import identity_as_trained, trained_cells
from tfbs_moe.genome.genome import Genome
from tfbs_moe.models import bundle
from tfbs_moe.models.registry import register_own
from tfbs_moe.runtime import configure_torch, select_device, step
from tfbs_moe.tables import labelled_and_joined, read_parquet, read_tsv, write_tsv

params = snakemake.params
with step(snakemake.log[0]):
    configure_torch(snakemake.threads, snakemake.config["deterministic"])
    register_own(snakemake.config["experts"])
    device = select_device(snakemake.config["device"])
    settings = params.settings
    predictions = read_parquet(snakemake.input.predictions)
    dataset = read_dataset(snakemake.input.dataset)
    # Sequences are chosen by the mixture's predictions: without it or the test set nothing is explained.
    nothing = not len(dataset) or bundle.left_out(params.models[params.mixture])
    explained = {model: path for model, path in params.models.items() if not nothing and not bundle.left_out(path)}
    what = (
        None
        if nothing
        else request(
            dataset,
            chosen_rows(predictions, params.mixture, params.replicate, settings["sequences"]),
            read_tsv(snakemake.input.sites) if snakemake.input.get("sites") else None,
            read_tsv(snakemake.input.matches) if snakemake.input.get("matches") else None,
            Genome.open(snakemake.input.genome) if snakemake.input.get("genome") else None,
            methods=tuple(params.methods),
            settings={
                "n": settings["shifts"],
                "draws": settings["noise_draws"],
                "sd": settings["noise_sd"],
                "shuffles": settings["reference_shuffles"],
                "tolerance": settings["path_tolerance"],
            },
            faithfulness=settings["faithfulness_sequences"],
            sanity_methods=tuple(settings["sanity_methods"]),
            shift_curve=tuple(settings["shift_curve"]),
            batch_size=settings["batch_size"],
            seed=params.seed,
            level=params.level,
        )
    )
    outputs = {(Path(path).parts[-3], Path(path).stem): path for path in snakemake.output if path.endswith(".h5")}
    tables = {name: [] for name in ("summary", "equivariance", "sanity", "shifts", "site_profiles")}
    for model in params.models.keys() - explained.keys():
        for method in params.methods:
            described = {"method": method, "model": model, "root_seed": params.seed}
            write_attributions(no_attributions(dataset.length, described), outputs[model, method])
    identity = identity_as_trained(params.identity, trained_cells(read_tsv(snakemake.input.trained)))
    for model, folder in explained.items():
        subject = prepare(model, folder, what, device)
        names = identity | {"model": model, "seed": params.replicate}
        for found in explain(subject, what):
            write_attributions(found.attributions, outputs[model, found.method])
            tables["summary"].append((names | {"method": found.method, "passes": found.passes}, found.summary))
            tables["site_profiles"].append((names | {"method": found.method}, found.profiles))
        relabelled = params.relabelled.get(model)
        if relabelled and bundle.left_out(relabelled):
            relabelled = None
        examined = examine(subject, what, bundle.load(relabelled, device) if relabelled else None)
        for name in ("equivariance", "sanity", "shifts"):
            tables[name].append((names, getattr(examined, name)))
    nothing_found = pd.DataFrame(columns=[*identity, "model", "seed"])
    for name, parts in tables.items():
        write_tsv(labelled_and_joined(parts) if parts else nothing_found, snakemake.output[name])
