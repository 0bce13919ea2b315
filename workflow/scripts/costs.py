"""Summarise the time and memory of each rule of the run."""

from pathlib import Path

from tfbs_moe.files import atomic
from tfbs_moe.report.documents.costs import in_words, measured
from tfbs_moe.runtime import step
from tfbs_moe.tables import write_tsv

with step(snakemake.log[0]):
    run = Path(snakemake.output.table).parents[1]
    table = measured(run)
    write_tsv(table, snakemake.output.table)
    with atomic(snakemake.output.document) as temporary:
        temporary.write_text(in_words(table, run.name), encoding="utf-8")
