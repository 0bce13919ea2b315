"""Where scripts find the library. Standard library only, for the Snakefile."""

import os
from pathlib import Path

VARIABLE = "PYTHONPATH"


def export_library(folder: str | Path) -> None:
    """Put a folder first on the ``PYTHONPATH`` of every process started from now on."""
    others = [path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path and path != str(folder)]
    os.environ[VARIABLE] = os.pathsep.join([str(folder), *others])
