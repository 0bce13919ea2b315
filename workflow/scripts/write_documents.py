"""Write the documents beside the report: methods, model cards, provenance."""

from pathlib import Path

from tfbs_moe.figures.aggregate import read_published
from tfbs_moe.report.documents.write import commit_date, surroundings, write_documents
from tfbs_moe.runtime import step
from tfbs_moe.study_checks import load_study

with step(snakemake.log[0]):
    run, checkout = Path(snakemake.input.config).parent, Path(snakemake.input.schema).parent
    published = read_published(snakemake.input.published)
    write_documents(run, load_study(run), published, surroundings(checkout), commit_date(checkout))
