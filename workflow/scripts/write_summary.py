"""Write the summary of a run."""

from pathlib import Path

from tfbs_moe.figures.aggregate import read_published
from tfbs_moe.files import atomic
from tfbs_moe.report.documents.summary import summary_document
from tfbs_moe.report.inputs import read_run
from tfbs_moe.runtime import step
from tfbs_moe.study_checks import load_study

with step(snakemake.log[0]):
    folder = Path(snakemake.input.config).parent
    run = read_run(folder, load_study(folder), read_published(snakemake.input.published))
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_text(summary_document(run), encoding="utf-8")
