"""Look up the motif priors of the study's factors."""

from tfbs_moe.data.motif_prior import motif_priors_of
from tfbs_moe.runtime import step
from tfbs_moe.tables import write_json

with step(snakemake.log[0]):
    found = motif_priors_of(snakemake.params.factors, snakemake.params.training, snakemake.params.jaspar_group)
    write_json({name: known.as_json() for name, known in found.items()}, snakemake.output[0])
