"""What rules ask to plan jobs: patterns of names, files of trained models, documents. Standard library only."""

import json
import os
import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from tfbs_moe.errors import InputError
from tfbs_moe.study import Study


def any_of(names: Iterable[str]) -> str:
    """Return a regular expression that matches exactly the given names.

    It is a prefix tree, matched in steps proportional to a name's length, not to the number of names.
    """
    alternatives = []
    for first, alike in groupby(sorted(set(names), reverse=True), key=lambda name: name[:1]):
        rest = [name[1:] for name in alike]
        alternatives.append(re.escape(first) + (any_of(rest) if any(rest) else ""))
    return alternatives[0] if len(alternatives) == 1 else f"(?:{'|'.join(alternatives)})"


VARIABLE = "PYTHONPATH"


def export_library(folder: str | Path) -> None:
    """Put a folder first on the ``PYTHONPATH`` of every process started from now on.

    Raises InputError where its path cannot stand there: jobs would run the library of another checkout, if any.
    """
    if os.pathsep in str(folder):
        raise InputError(
            f"{folder}: the path of this checkout holds {os.pathsep!r}, which separates paths in {VARIABLE}; rename "
            "the folder"
        )
    others = [path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path and path != str(folder)]
    os.environ[VARIABLE] = os.pathsep.join([str(folder), *others])


DESCRIPTION, WEIGHTS, HISTORY = "model.json", "model.safetensors", "history.tsv"
CALIBRATION, OOD_SCORE = "calibration.json", "ood_score.safetensors"


def is_trained(folder: str | Path, mixture: bool = False) -> bool:
    """Return whether all files of a trained model exist; for a mixture, also those of the experts it lists."""
    experts = _experts(Path(folder)) if mixture else []
    return _all_there(folder, DESCRIPTION, WEIGHTS, HISTORY) and all(
        _all_there(Path(folder, expert), DESCRIPTION, WEIGHTS) for expert in experts
    )


def is_calibrated(folder: str | Path) -> bool:
    """Return whether all files of a mixture's calibration exist."""
    return _all_there(folder, CALIBRATION, OOD_SCORE)


def _all_there(folder: str | Path, *names: str) -> bool:
    return all(Path(folder, name).exists() for name in names)


def _experts(folder: Path) -> list[str]:
    """Return the folders of a mixture's experts; none if its description is bad, which ``bundle`` reports when used."""
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        return [str(expert["folder"]) for expert in description["experts"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


METHODS = "methods.md"
CARDS = "cards"
CRATE = "ro-crate-metadata.json"


def document_files(study: Study) -> list[str]:
    """Return the documents of a run, relative to its folder."""
    mixtures = [(protocol, gate) for protocol in study.protocols for gate in study.gates(protocol)]
    models = [f"{CARDS}/model.{protocol}.{gate}.md" for protocol, gate in mixtures]
    experts = [
        f"{CARDS}/expert.{protocol}.{kind}.{name}.md"
        for protocol in study.protocols
        for kind, name in study.experts(protocol)
    ]
    return [METHODS, *models, *experts, f"{CARDS}/datasets.md", CRATE]
