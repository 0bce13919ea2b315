"""Draw the windows that background networks learn to tell from their shuffles."""

from pathlib import Path

from tfbs_moe.data.background import NAME, BackgroundSettings, bound_rows, build_background
from tfbs_moe.data.dataset import write_dataset
from tfbs_moe.data.splits import ChromosomeSplit
from tfbs_moe.genome.genome import Genome
from tfbs_moe.provenance import digest
from tfbs_moe.runtime import step
from tfbs_moe.tables import write_tsv

params, files = snakemake.params, snakemake.input
places = params.chromosomes
settings = {name: getattr(params, name) for name in ("window", "chromosomes", "genome", "background", "by_chromosome")}
with step(snakemake.log[0]):
    made = build_background(
        Genome.open(files.genome),
        ChromosomeSplit(tuple(places["validation_chromosomes"]), tuple(places["test_chromosomes"]))
        if params.by_chromosome
        else None,
        bound_rows(files.bound),
        BackgroundSettings(
            length=params.window["length"],
            validation_fraction=places["validation_fraction"],
            k=params.k,
            minimum_rows=params.minimum_rows,
            **params.background,
        ),
        blacklist=files.get("blacklist") or None,
        translate_names=params.genome["names"] is not None,
        seed=params.seed,
        attributes={
            "experiment": NAME,
            "factor": NAME,
            "cell": "",
            "assembly": params.assembly,
            "config_digest": digest(settings),
            "code_digest": params.code,
        },
    )
    for path, table in zip(snakemake.output.datasets, snakemake.output.counts, strict=True):
        dataset, counts = made[Path(path).stem]
        write_dataset(dataset, path)
        write_tsv(counts, table)
