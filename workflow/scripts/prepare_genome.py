"""Encode a FASTA file for random access."""

from tfbs_moe.genome.genome import Genome, prepare_genome
from tfbs_moe.runtime import step

with step(snakemake.log[0]):
    prepare_genome(snakemake.input[0], snakemake.output[0])
    # A full check once per run: readers check only the parts that they read.
    Genome.open(snakemake.output[0]).check()
