"""Files of a trained model, to notice when one is missing; imports nothing that a bare Snakemake lacks."""

import json
from pathlib import Path

DESCRIPTION, WEIGHTS, HISTORY = "model.json", "model.safetensors", "history.tsv"
CALIBRATION, FAMILIARITY = "calibration.json", "familiarity.safetensors"


def is_trained(folder: str | Path, mixture: bool = False) -> bool:
    """Return whether all files of a trained model exist; for a mixture, also those of the experts it lists."""
    experts = _experts(Path(folder)) if mixture else []
    return _all_there(folder, DESCRIPTION, WEIGHTS, HISTORY) and all(
        _all_there(Path(folder, expert), DESCRIPTION, WEIGHTS) for expert in experts
    )


def is_calibrated(folder: str | Path) -> bool:
    """Return whether all files of a mixture's calibration exist."""
    return _all_there(folder, CALIBRATION, FAMILIARITY)


def _all_there(folder: str | Path, *names: str) -> bool:
    return all(Path(folder, name).exists() for name in names)


def _experts(folder: Path) -> list[str]:
    """Return the folders of a mixture's experts; none if its description is bad, which ``bundle`` reports when used."""
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        return [str(expert["folder"]) for expert in description["experts"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
