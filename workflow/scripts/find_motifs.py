"""Discover motifs in the attributions of each model; match them and its filters to known matrices."""

from tfbs_moe.attribution.motifs.discovered import discovered_motifs, filters_of, grouped, joined, patterns_of
from tfbs_moe.data.jaspar import matrices
from tfbs_moe.runtime import step
from tfbs_moe.tables import read_tsv, write_tsv

with step(snakemake.log[0]):
    known = matrices(snakemake.params.jaspar_group)
    found = joined(
        discovered_motifs(grouped(snakemake.input.attributions), known, members=snakemake.params.least),
        patterns_of(snakemake.input.get("modisco", []), known),
        filters_of(read_tsv(snakemake.input.filters), snakemake.params.experts, known),
    )
    write_tsv(found.motifs, snakemake.output.motifs)
    write_tsv(found.matches, snakemake.output.matches)
    write_tsv(found.summary, snakemake.output.summary)
