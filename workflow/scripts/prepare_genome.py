"""Turn a FASTA file into codes that datasets are cut from without reading it all."""

from tfbs_moe.data.genome import Genome, prepare_genome
from tfbs_moe.runtime import step

with step(snakemake.log[0]):
    prepare_genome(snakemake.input[0], snakemake.output[0])
    # Once for the run; what reads the genome checks no more than it looks at.
    Genome.open(snakemake.output[0]).check()
