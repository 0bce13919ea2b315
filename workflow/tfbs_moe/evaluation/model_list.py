"""The table of a protocol's trained models, an input of rules that need all of them in place of a file per model.

It is joined from a table per seed, in a folder beside it.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.calibration import FILE as CALIBRATION
from tfbs_moe.provenance import sha256_file
from tfbs_moe.study import set_and_stratum
from tfbs_moe.tables import read_json, read_tsv, write_tsv

_COLUMNS = ("model", "seed", "folder")
_TRAINED_ON = ("factor", "cell")
LEFT_OUT, WITHOUT = "left_out", "without"
_DESCRIPTION = "model.json"


def write_list(models: Iterable[Mapping[str, Any]], path: str | Path) -> None:
    """Write name, seed and folder of each model, and the digests of its weights and, for mixtures, calibration.

    ``factor`` and ``cell`` are those that an expert is trained on. ``left_out`` says why a model was not trained,
    ``without`` which networks a mixture lacks beyond those.
    """
    rows = []
    for model in models:
        folder = Path(model["folder"])
        calibration = folder / CALIBRATION
        description = read_json(folder / _DESCRIPTION)
        digests = {
            "weights_sha256": description["weights"]["sha256"],
            "calibration_sha256": sha256_file(calibration) if calibration.is_file() else None,
            LEFT_OUT: description.get(LEFT_OUT),
            WITHOUT: "; ".join(f"{name}: {reason}" for name, reason in description.get(WITHOUT, {}).items()) or None,
        }
        trained_on = {column: model.get(column) for column in _TRAINED_ON}
        rows.append({column: model[column] for column in _COLUMNS} | trained_on | digests)
    write_tsv(pd.DataFrame(rows), path)


def read_list(path: str | Path, prefix: str = "") -> list[tuple[str, int, str]]:
    """Return name, seed and folder of each trained model whose name starts with ``prefix``.

    Raises InputError where a listed model is missing: Snakemake cannot see that, as its input is this table alone.
    """
    table = read_tsv(path, (*_COLUMNS, LEFT_OUT))
    table = table[table["model"].str.startswith(prefix) & table[LEFT_OUT].isna()]
    for folder in table["folder"]:
        if not (Path(folder) / _DESCRIPTION).is_file():
            raise InputError(
                f"{path} lists {folder}, which no longer holds a model. Give the same command again to retrain it."
            )
    return [
        (str(model), int(seed), str(folder))
        for model, seed, folder in zip(table["model"], table["seed"], table["folder"], strict=True)
    ]


def trained_cells(listed: pd.DataFrame) -> dict[str, set[str]]:
    """Return the cells in which a list of models has experts of any seed trained on a factor, by factor."""
    experts = listed[listed["factor"].notna() & listed[LEFT_OUT].isna()]
    return {str(factor): set(cells) for factor, cells in experts.groupby("factor", sort=False)["cell"]}


def identity_as_trained(identity: Mapping[str, str], experts_of: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return a test set's identity with the set that the experts there are (``trained_cells``) give it.

    ``Study.identity`` goes by the experiments table, and an expert may have been left out.
    """
    return {**identity, **dict(zip(("set", "stratum"), set_and_stratum(identity, experts_of), strict=True))}
