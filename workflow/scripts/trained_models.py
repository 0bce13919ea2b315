"""List the trained models of a protocol with the digests of their weights and, of mixtures, of their calibration."""

from pathlib import Path

import pandas as pd

from tfbs_moe.evaluation.calibrated import FILE as CALIBRATION
from tfbs_moe.provenance import sha256_file
from tfbs_moe.runtime import step
from tfbs_moe.tables import read_json, write_tsv

with step(snakemake.log[0]):
    models = []
    for model in snakemake.params.models:
        folder = Path(model["folder"])
        calibration = folder / CALIBRATION
        digests = {
            "weights_sha256": read_json(folder / "model.json")["weights"]["sha256"],
            "calibration_sha256": sha256_file(calibration) if calibration.is_file() else None,
        }
        models.append(model | digests)
    write_tsv(pd.DataFrame(models), snakemake.output[0])
