"""Write the table of a search and its best hyper-parameters."""

from pathlib import Path

from tfbs_moe.runtime import step
from tfbs_moe.tables import read_json
from tfbs_moe.training.search import SearchSettings, collect_search

with step(snakemake.log[0]):
    # All workers must name the same search; the name is a digest of all that its result depends on.
    shares = [read_json(path) for path in snakemake.input.shares]
    (name,) = {share["name"] for share in shares}
    collect_search(Path(snakemake.output.best).parent, name, SearchSettings(**shares[0]["search"]))
