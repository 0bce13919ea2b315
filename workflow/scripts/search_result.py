"""Write the table of a search and its best hyper-parameters."""

from pathlib import Path

from tfbs_moe.runtime import step
from tfbs_moe.training.search import collect_search

with step(snakemake.log[0]):
    collect_search(Path(snakemake.output.best).parent)
