"""Run the paper's ANOVA and Tukey tests on each test set and the authors' draws, with growing numbers of draws."""

from tfbs_moe.evaluation.model_list import identity_as_trained, trained_cells
from tfbs_moe.evaluation.scores import read_scores
from tfbs_moe.runtime import step
from tfbs_moe.statistics.paper import paper_tables, read_published_draws
from tfbs_moe.tables import read_parquet, read_tsv, write_tsv

params = snakemake.params
with step(snakemake.log[0]):
    lists = zip(params.models, snakemake.input.models, strict=True)
    trained = {protocol: trained_cells(read_tsv(path)) for protocol, path in lists}
    identities = (identity_as_trained(one, trained[one["protocol"]]) for one in params.identities)
    predictions = zip(identities, snakemake.input.predictions, strict=True)
    tables = paper_tables(
        ((identity, read_scores(read_parquet(path), path)) for identity, path in predictions),
        params.models,
        read_published_draws(snakemake.input.published_draws),
        seed=params.seed,
        model_seed=params.replicate,
        draws=params.draws,
        level=params.level,
    )
    for name, path in snakemake.output.items():
        write_tsv(tables[name], path)
