"""Summarise over factors how the gates use their experts."""

from tfbs_moe.runtime import step
from tfbs_moe.statistics.calibration import calibration_gains, ood_evidence
from tfbs_moe.statistics.mixtures import by_number, expert_losses, similarity_agreement
from tfbs_moe.tables import read_json, read_tsv, write_tsv

with step(snakemake.log[0]):
    subsets, level = read_tsv(snakemake.input.subsets), snakemake.params.level
    write_tsv(expert_losses(subsets, level), snakemake.output.losses)
    write_tsv(by_number(subsets, level), snakemake.output.numbers)
    weights, motif_priors = read_tsv(snakemake.input.weights), read_json(snakemake.input.motif_priors)
    calibration = read_tsv(snakemake.input.calibration)
    write_tsv(calibration_gains(calibration, level), snakemake.output.calibration)
    write_tsv(ood_evidence(calibration, level), snakemake.output.ood_score)
    write_tsv(similarity_agreement(weights, motif_priors, snakemake.params.factors), snakemake.output.similarity)
