"""List the trained models of a protocol with the digest of their weights."""

from pathlib import Path

import pandas as pd

from tfbs_moe.runtime import step
from tfbs_moe.tables import read_json, write_tsv

with step(snakemake.log[0]):
    models = [
        model | {"weights_sha256": read_json(Path(model["folder"]) / "model.json")["weights"]["sha256"]}
        for model in snakemake.params.models
    ]
    write_tsv(pd.DataFrame(models), snakemake.output[0])
