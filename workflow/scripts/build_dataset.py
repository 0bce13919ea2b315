"""Build splits of one experiment with one or more kinds of negatives."""

from collections import defaultdict
from pathlib import Path

from tfbs_moe.data.build import PeakSettings, build_split, cut_peaks
from tfbs_moe.data.dataset import in_or_out_together, write_dataset
from tfbs_moe.data.download.sources import parse_checksum
from tfbs_moe.data.negatives.candidates import NegativeSettings
from tfbs_moe.data.splits import ChromosomeSplit
from tfbs_moe.genome.genome import Genome
from tfbs_moe.provenance import digest
from tfbs_moe.runtime import step
from tfbs_moe.tables import write_tsv

params, wildcards, files = snakemake.params, snakemake.wildcards, snakemake.input
places, length = params.chromosomes, params.window["length"]
settings = {name: getattr(params, name) for name in ("window", "chromosomes", "peaks", "negatives", "genome")}
common = {
    "seed": params.seed,
    "name": wildcards.experiment,
    "attributes": {
        "experiment": wildcards.experiment,
        "factor": params.experiment["factor"],
        "cell": params.experiment["cell"],
        "assembly": params.assembly,
        "config_digest": digest(settings),
        "code_digest": params.code,
    },
}


def build(split, negatives):
    """Return one split with one kind of negatives as a dataset, and its counts table."""
    if params.experiment["format"] == "deepbind":
        # Its scipy.sparse.csgraph takes a second to import, which peak files do not need.
        from tfbs_moe.data.deepbind import build_deepbind

        return build_deepbind(
            files.source,
            split,
            negatives,
            length=length,
            validation_fraction=places["validation_fraction"],
            # The paper's block shuffle comes with the paper's own split, sequence by sequence.
            grouped=negatives != "block_shuffle",
            minimum_rows=params.negatives["minimum_rows"],
            **common,
        )
    chosen = dict(params.negatives)
    ratio = chosen.pop("ratio")
    return build_split(
        cut,
        split,
        negatives,
        ChromosomeSplit(tuple(places["validation_chromosomes"]), tuple(places["test_chromosomes"])),
        negative_settings=NegativeSettings(**chosen),
        ratio=ratio,
        other_peaks=list(files.get("others", [])),
        **common,
    )


with step(snakemake.log[0]):
    # Again, though it was downloaded or planned with: the checksum may have come to the table later.
    if checksum := parse_checksum(params.experiment["checksum"]):
        checksum.check(files.source)
    if params.experiment["format"] == "peaks":
        cut = cut_peaks(
            files.source,
            Genome.open(files.genome),
            settings=PeakSettings(length=length, **params.peaks),
            blacklist=files.get("blacklist") or None,
            assembly=params.genome["assembly"],
            translate_names=params.genome["names"] is not None,
        )
    # All are built before the first is written, so that an error leaves no partial output.
    paths = [Path(path) for path in snakemake.output.datasets]
    built = [build(path.stem, path.parent.name) for path in paths]
    together = defaultdict(list)
    for path, (dataset, _) in zip(paths, built, strict=True):
        together[path.parent.name].append(dataset)
    # Splits of one kind of negatives are used or excluded together, independent of other kinds.
    datasets = [dataset for kind in together.values() for dataset in in_or_out_together(kind)]
    for (_, counts), dataset, path, table in zip(built, datasets, paths, snakemake.output.counts, strict=True):
        write_dataset(dataset, path)
        write_tsv(counts, table)
