"""A copy of the project to run Snakemake in, so that tests can change code and delete results."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
# Seconds that nothing takes, however busy the machine is: a command still running then hangs.
HANGS = 7200.0
PARTS = ("Snakefile", "workflow", "config", "envs", "profiles", "resources", "pyproject.toml")


def snakemake(*arguments: str) -> list[str]:
    """Return the command that runs Snakemake on two cores."""
    return [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]


def clean_environment() -> dict[str, str]:
    """Return an environment in which a copy of the project finds its own library."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


@dataclass(frozen=True)
class Project:
    """A copy of the project in a folder of its own."""

    folder: Path

    def run(
        self, *arguments: str, timeout: float = HANGS, python_path: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake there on two cores; its output and messages come back together."""
        return subprocess.run(
            snakemake(*arguments),
            cwd=self.folder,
            env=clean_environment() | ({"PYTHONPATH": str(python_path)} if python_path else {}),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )

    def config(self, name: str, **settings: object) -> str:
        """Write a config file and return its path for ``--configfile``."""
        path = self.folder / "config" / f"{name}.yaml"
        path.write_text(yaml.safe_dump(settings))
        return str(path)

    def table(self, name: str, *rows: str) -> str:
        """Write an experiments table from rows whose fields are separated by blanks; ``-`` is empty."""
        header = "name factor cell role stratum format source checksum"
        lines = ["\t".join("" if cell == "-" else cell for cell in row.split()) for row in (header, *rows)]
        path = self.folder / "config" / f"{name}.tsv"
        path.write_text("\n".join(lines) + "\n")
        return f"config/{name}.tsv"


def copy_project(folder: Path) -> Project:
    """Copy what the workflow needs, without anything downloaded or computed."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("downloads", "__pycache__"))
        else:
            shutil.copy2(source, folder / part)
    return Project(folder)
