"""Make the genome of a planted study, its peak files and the table of planted sites."""

from pathlib import Path

from tfbs_moe.data.sources import parse_source
from tfbs_moe.data.synthetic import MadeExperiment, StudySettings, make_study
from tfbs_moe.runtime import step

params = snakemake.params
with step(snakemake.log[0]):
    made = tuple(
        MadeExperiment(name, row["factor"], parse_source(row["source"]).matrix_id)
        for name, row in params.experiments.items()
    )
    make_study(StudySettings(experiments=made, **params.settings), params.seed, Path(snakemake.output.sites).parent)
