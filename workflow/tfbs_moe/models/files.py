"""Which files a trained model has, to tell whether one is gone; no imports that a bare Snakemake lacks."""

import json
from pathlib import Path

DESCRIPTION, WEIGHTS, HISTORY = "model.json", "model.safetensors", "history.tsv"
CALIBRATION, FAMILIARITY = "calibration.json", "familiarity.safetensors"


def is_trained(folder: str | Path, mixture: bool = False) -> bool:
    """Return whether all that a training leaves is there; of a mixture, with the experts that it says it has."""
    experts = _experts(Path(folder)) if mixture else []
    return _all_there(folder, DESCRIPTION, WEIGHTS, HISTORY) and all(
        _all_there(Path(folder, expert), DESCRIPTION, WEIGHTS) for expert in experts
    )


def is_calibrated(folder: str | Path) -> bool:
    """Return whether all that the calibration of a mixture leaves is there."""
    return _all_there(folder, CALIBRATION, FAMILIARITY)


def _all_there(folder: str | Path, *names: str) -> bool:
    return all(Path(folder, name).exists() for name in names)


def _experts(folder: Path) -> list[str]:
    """Return where a mixture's experts lie below it; what is wrong with its description is said where it is used."""
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        return [str(expert["folder"]) for expert in description["experts"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
