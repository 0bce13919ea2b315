"""Look for motifs in the attributions of every model, and for the known matrices they are like."""

from tfbs_moe.attribution.recovered import grouped, recovered
from tfbs_moe.data.jaspar import matrices
from tfbs_moe.runtime import step
from tfbs_moe.tables import write_tsv

with step(snakemake.log[0]):
    found = recovered(grouped(snakemake.input), matrices(), members=snakemake.params.least)
    write_tsv(found.motifs, snakemake.output.motifs)
    write_tsv(found.matches, snakemake.output.matches)
    write_tsv(found.summary, snakemake.output.summary)
