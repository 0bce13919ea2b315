"""A copy of the project to run Snakemake in, so that tests can change code and delete results."""

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from warm_python import warm_python

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
            [warm_python(), *snakemake(*arguments)[1:]],
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
    """Copy what the workflow needs, without anything downloaded or computed; the library comes compiled.

    What was compiled is taken for good as long as its source is as old and as long: a copy's is.
    """
    compile_kernels()
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=_left_behind)
        else:
            shutil.copy2(source, folder / part)
    return Project(folder)


def _left_behind(folder: str, names: list[str]) -> set[str]:
    """Leave downloads, and of a cache what another process is writing, which ends differently until it is whole."""
    compiled = Path(folder).name == "__pycache__"
    return {name for name in names if name == "downloads" or (compiled and not name.endswith((".pyc", ".nbi", ".nbc")))}


@cache
def compile_kernels() -> None:
    """Have numba compile, in the checkout, what most studies run: else each copy would, and twice for two jobs at once.

    Processes of the tests take turns: the first one compiles, the others find it done.
    """
    from tfbs_moe.data.negatives.shuffles import dinucleotide_shuffle
    from tfbs_moe.evaluation.metrics import MetricSettings, Ranked, ranking_metrics
    from tfbs_moe.models.expert import Batch
    from tfbs_moe.models.registry import build
    from tfbs_moe.sequence import one_hot_from_codes

    lock = os.open(ROOT / "workflow", os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        dinucleotide_shuffle(np.zeros((1, 8), np.uint8), np.random.default_rng(0))
        ranking_metrics(
            Ranked(np.array([True, False]), np.array([1.0, 0.0])), np.ones((1, 2), np.uint8), MetricSettings()
        )
        model, sequences = build("convnet", 8, {}, seed=0).eval(), np.zeros((1, 8), np.uint8)
        model.predict(one_hot_from_codes(sequences))
        direct = model.direct_gradients()
        assert direct is not None
        direct(Batch(sequences, np.zeros(1, np.float32), np.zeros(1, np.int64), np.zeros(0, np.bool_), 1.0, 0))
    finally:
        os.close(lock)
