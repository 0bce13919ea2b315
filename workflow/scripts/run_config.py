"""Write the merged config and the experiments table of a run beside its results."""

from pathlib import Path

import yaml

from tfbs_moe.files import atomic
from tfbs_moe.runtime import step

with step(snakemake.log[0]):
    with atomic(snakemake.output.config) as temporary:
        temporary.write_text(
            yaml.safe_dump(snakemake.params.config, sort_keys=True, allow_unicode=True), encoding="utf-8"
        )
    with atomic(snakemake.output.experiments) as temporary:
        temporary.write_bytes(Path(snakemake.input[0]).read_bytes())
