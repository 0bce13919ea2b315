"""Summarise over factors how the gates use their experts."""

from tfbs_moe.runtime import step
from tfbs_moe.statistics.calibration import calibration_gains, familiarity_evidence
from tfbs_moe.statistics.mixtures import by_number, expert_losses, likeness_agreement
from tfbs_moe.tables import read_json, read_tsv, write_tsv

with step(snakemake.log[0]):
    subsets, level = read_tsv(snakemake.input.subsets), snakemake.params.level
    write_tsv(expert_losses(subsets, level), snakemake.output.losses)
    write_tsv(by_number(subsets, level), snakemake.output.numbers)
    weights, knowledge = read_tsv(snakemake.input.weights), read_json(snakemake.input.knowledge)
    trust = read_tsv(snakemake.input.trust)
    write_tsv(calibration_gains(trust, level), snakemake.output.calibration)
    write_tsv(familiarity_evidence(trust, level), snakemake.output.familiarity)
    write_tsv(likeness_agreement(weights, knowledge, snakemake.params.factors), snakemake.output.likeness)
