"""Copies of the project to run Snakemake in: a fresh one, and one in which the demo has run."""

import shutil
from pathlib import Path

import pytest

from project_copy import ROOT, Project, copy_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh copy of the project."""
    return copy_project(tmp_path)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project in which the demo has run from data to report.

    What `make demo` left in the checkout is taken along; Snakemake makes anew what is not up to date.
    """
    made = copy_project(tmp_path_factory.mktemp("demo"))
    for part in ("results/demo", ".snakemake/metadata"):
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, made.folder / part)
    finished = made.run("--configfile", "config/demo.yaml")
    assert finished.returncode == 0, finished.stdout[-6000:]
    return made
