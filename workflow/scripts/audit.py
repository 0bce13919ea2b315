"""Audit all datasets of the study and all pairs of them."""

from pathlib import Path

from tfbs_moe.data.audit.audit import audit
from tfbs_moe.data.audit.warnings import AuditThresholds
from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.runtime import step
from tfbs_moe.tables import write_tsv

params = snakemake.params
with step(snakemake.log[0]):
    datasets = {"/".join(Path(path).with_suffix("").parts[-3:]): read_dataset(path) for path in snakemake.input}
    found = audit(
        datasets,
        [name for name, dataset in datasets.items() if dataset.attributes["split"] != "test"],
        k=params.k,
        thresholds=AuditThresholds(**params.settings["thresholds"]),
        composition_rows=params.settings["composition_rows"],
        seed=params.seed,
    )
    for name, path in snakemake.output.items():
        write_tsv(getattr(found, name), path)
