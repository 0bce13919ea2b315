"""Draw a batch of figures of a run."""

from pathlib import Path

from tfbs_moe.figures.aggregate import read_published
from tfbs_moe.figures.catalogue import figure_items
from tfbs_moe.figures.draw import Source, draw
from tfbs_moe.figures.style import save
from tfbs_moe.runtime import step
from tfbs_moe.study_checks import load_study

with step(snakemake.log[0]):
    run = Path(snakemake.input.config).parent
    source = Source(run, load_study(run), read_published(snakemake.input.published))
    items = figure_items(source.study)
    for name in snakemake.params.names:
        save(*draw(items[name], source), run / "figures" / name)
