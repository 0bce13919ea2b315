"""Build one split of one experiment with one kind of negatives."""

from tfbs_moe.data.build import PeakSettings, build_peaks
from tfbs_moe.data.candidates import NegativeSettings
from tfbs_moe.data.dataset import write_dataset
from tfbs_moe.data.deepbind import build_deepbind
from tfbs_moe.data.genome import Genome
from tfbs_moe.data.splits import ChromosomeSplit
from tfbs_moe.provenance import digest
from tfbs_moe.runtime import step
from tfbs_moe.tables import write_tsv

params, wildcards, files = snakemake.params, snakemake.wildcards, snakemake.input
with step(snakemake.log[0]):
    splits, length = params.splits, params.window["length"]
    names = {"experiment": wildcards.experiment}
    names |= {column: params.experiment[column] for column in ("factor", "cell")}
    settings = {name: getattr(params, name) for name in ("window", "splits", "peaks", "negatives", "genome")}
    common = {
        "seed": params.seed,
        "name": wildcards.experiment,
        "attributes": names
        | {
            "assembly": params.genome["assembly"],
            "config_digest": digest(settings),
            "code_digest": params.code,
        },
    }
    if params.experiment["format"] == "deepbind":
        dataset, counts = build_deepbind(
            files.source,
            wildcards.split,
            wildcards.negatives,
            length=length,
            validation_fraction=splits["validation_fraction"],
            # The authors' own shuffle comes with their own split, row by row.
            grouped=wildcards.negatives != "block_shuffle",
            **common,
        )
    else:
        ratio = params.negatives.pop("ratio")
        dataset, counts = build_peaks(
            files.source,
            wildcards.split,
            wildcards.negatives,
            Genome.open(files.genome),
            ChromosomeSplit(tuple(splits["validation_chromosomes"]), tuple(splits["test_chromosomes"])),
            peak_settings=PeakSettings(length=length, **params.peaks),
            negative_settings=NegativeSettings(**params.negatives),
            ratio=ratio,
            other_peaks=list(files.get("others", [])),
            blacklist=files.get("blacklist") or None,
            **common,
        )
    write_dataset(dataset, snakemake.output.dataset)
    write_tsv(counts, snakemake.output.counts)
