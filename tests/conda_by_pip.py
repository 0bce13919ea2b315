"""A stand-in for the program ``conda`` that makes environments from the same files with uv.

    python conda_by_pip.py make FOLDER      write FOLDER/bin/conda and FOLDER/bin/activate

It answers what Snakemake asks of conda under ``--use-conda``, and no more, so that the workflow's own path through
environments is tried where no conda channel can be reached. An environment holds the packages that its file names and
what these require, in the versions of the project's lock; programs that are no Python packages come from the machine.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
# Where conda's name is another than that of Python's package index.
NAMES = {"pytorch": "torch", "pytorch-cpu": "torch", "matplotlib-base": "matplotlib"}
# No Python packages, and what every environment of Python has.
PROGRAMS = {"python", "bedtools", "pip"}


def requirements(path: Path) -> dict[str, str]:
    """Return what a conda environment file asks for, as pip reads it, by the name in Python's package index."""
    found = {}
    for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]:
        for line in entry["pip"] if isinstance(entry, dict) else [entry]:
            name, versions = line.split(" ")
            if name not in PROGRAMS:
                found[NAMES.get(name, name)] = NAMES.get(name, name) + versions
    return found


def write_lock(path: Path) -> Path:
    """Write the project's own versions as a file of pip's constraints."""
    locks = [(ROOT / "requirements" / name).read_text().splitlines() for name in ("run.txt", "torch.txt")]
    path.write_text("\n".join(line for lines in locks for line in lines), encoding="utf-8")
    return path


def install(prefix: Path, requirements: Iterable[str]) -> None:
    """Make an environment of some packages and of what they require, versions by the lock."""
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(prefix)], check=True)
    lock = write_lock(prefix / "lock.txt")
    python, wanted = str(prefix / "bin" / "python"), ["--constraint", str(lock), *requirements]
    if subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", python, "--torch-backend", "cpu", *wanted],
        env=os.environ | {"UV_HTTP_RETRIES": "1"}, stderr=subprocess.DEVNULL, check=False,
    ).returncode:  # fmt: skip
        # As envs/setup.sh: pip knows a site's own mirror, where uv does not reach PyTorch's index.
        subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *wanted], check=True)


def make_conda(folder: Path) -> Path:
    """Write the stand-in's programs; return the folder to put on the PATH."""
    binaries = folder / "bin"
    binaries.mkdir(parents=True)
    conda = binaries / "conda"
    conda.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "$@"\n')
    conda.chmod(0o755)
    # What the real one does for Snakemake: the environment's programs come first.
    (binaries / "activate").write_text('export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n')
    return binaries


def answer(arguments: list[str]) -> str:
    """Do what conda would do with these arguments; return what it would write."""
    if arguments == ["info", "--json"]:
        return json.dumps({"conda_prefix": os.environ["CONDA_BY_PIP"], "platform": "linux-64"})
    if arguments == ["--version"]:
        return "conda 25.1.0"
    if arguments[:3] == ["config", "--get", "channel_priority"]:
        return json.dumps({"get": {"channel_priority": "strict"}})
    if arguments[0] == "clean":
        return ""
    if arguments[:2] == ["env", "create"]:
        file, prefix = (Path(arguments[arguments.index(option) + 1]) for option in ("--file", "--prefix"))
        install(prefix, requirements(file).values())
        return ""
    raise SystemExit(f"the stand-in for conda does not know: conda {' '.join(arguments)}")


if __name__ == "__main__":
    sys.stdout.write(answer(sys.argv[1:]) + "\n")
