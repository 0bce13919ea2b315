"""Write the attributions of one model on all explained sequences as the arrays that TF-MoDISco reads."""

from pathlib import Path

from tfbs_moe.attribution.motifs.modisco import write_inputs
from tfbs_moe.attribution.store import joined_attributions
from tfbs_moe.runtime import step

with step(snakemake.log[0]):
    write_inputs(*joined_attributions(snakemake.input), Path(snakemake.output[0]).parent)
