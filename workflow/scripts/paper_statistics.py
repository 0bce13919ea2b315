"""Run the paper's ANOVA and Tukey tests on every test set."""

import pandas as pd

from tfbs_moe.evaluation.scores import read_scores
from tfbs_moe.runtime import step
from tfbs_moe.statistics.paper import paper_anova
from tfbs_moe.tables import read_parquet, write_tsv

params = snakemake.params
with step(snakemake.log[0]):
    tables = [
        paper_anova(
            read_scores(read_parquet(path)),
            identity,
            params.models[identity["protocol"]],
            seed=params.seed,
            model_seed=params.replicate,
            draws=params.draws,
        )
        for path, identity in zip(snakemake.input.predictions, params.identities, strict=True)
    ]
    table = pd.concat(tables, ignore_index=True)
    is_omnibus = table["test"] == "paper's ANOVA"
    write_tsv(table[is_omnibus], snakemake.output.anova)
    write_tsv(table[~is_omnibus], snakemake.output.tukey)
