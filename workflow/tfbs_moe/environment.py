"""Where scripts find the library; standard library only, as the Snakefile imports it."""

import os
from pathlib import Path

VARIABLE = "PYTHONPATH"


def export_library(folder: str | Path) -> None:
    """Put the folder that holds the library first on the Python path of every process started from now on."""
    others = [path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path and path != str(folder)]
    os.environ[VARIABLE] = os.pathsep.join([str(folder), *others])
