"""Copies of the project to run Snakemake in: a fresh one, and ones in which the demo has run."""

import fcntl
import shutil
from pathlib import Path

import pytest

from project_copy import ROOT, Project, copy_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh copy of the project."""
    return copy_project(tmp_path)


@pytest.fixture(scope="session")
def finished_demo(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project in which the demo has run from data to report; tests leave it as it is.

    One for all processes of the tests, whichever comes first makes it. What `make demo` left in the checkout is taken
    along; Snakemake makes anew what is not up to date.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base
    made, outcome = Project(shared / "finished_demo"), shared / "finished_demo.txt"
    with open(shared / "finished_demo.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.folder.exists():
            copy_project(made.folder)
            for part in ("results/demo", ".snakemake/metadata"):
                if (ROOT / part).is_dir():
                    shutil.copytree(ROOT / part, made.folder / part)
            finished = made.run("--configfile", "config/demo.yaml")
            outcome.write_text(finished.stdout[-6000:] if finished.returncode else "finished")
    assert outcome.read_text() == "finished", outcome.read_text()
    return made


@pytest.fixture
def demo(finished_demo: Project, tmp_path: Path) -> Project:
    """The finished demo in a copy of the test's own, to do with as it likes."""
    shutil.copytree(finished_demo.folder, tmp_path / "demo")
    return Project(tmp_path / "demo")
