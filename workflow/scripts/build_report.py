"""Write the report of a run."""

from pathlib import Path

from tfbs_moe.figures.aggregate import read_published
from tfbs_moe.report.build import build_report
from tfbs_moe.report.documents.write import surroundings
from tfbs_moe.runtime import step
from tfbs_moe.study_checks import load_study

with step(snakemake.log[0]):
    run = Path(snakemake.input.config).parent
    published = read_published(snakemake.input.published)
    build_report(
        run, load_study(run), published, snakemake.output[0], surroundings(Path(snakemake.input.schema).parent)
    )
