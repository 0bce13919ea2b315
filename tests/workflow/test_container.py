"""One image with every environment: what Snakemake asks of it, and what its recipe puts there.

No image is built here: stand-ins take the place of Apptainer and conda. Apptainer's runs on this machine what it was
asked to run in the image, with a folder in the place of the image's; conda's writes down what it was requested.
"""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from project_copy import HANGS, ROOT, clean_environment, snakemake

RECIPE = ROOT / "envs" / "container.def"
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
APPTAINER = """#!/bin/sh
if [ "$1" = --version ]; then echo "apptainer version 1.4.0"; exit; fi
echo "$*" >>"{folder}/apptainer.log"
for command; do :; done
exec bash -c "$(echo "$command" | sed "s#/conda-envs/#{folder}/conda-envs/#g")"
"""
CONDA = """#!/bin/sh
echo "$*" >>"{folder}/conda.log"
case "$*" in
  "info --json") echo '{{"conda_prefix": "{folder}", "platform": "linux-64"}}' ;;
  "config --get channel_priority --json") echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
  --version) echo "conda 25.3.1" ;;
esac
"""


def place(path: Path) -> str:
    """Return where Snakemake looks in an image for the environment of a file."""
    return f"/conda-envs/{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder whose ``bin`` holds the stand-ins, and which their logs are written to."""
    folder = tmp_path / "programs"
    (folder / "bin").mkdir(parents=True)
    for name, text in (("apptainer", APPTAINER), ("conda", CONDA)):
        path = folder / "bin" / name
        path.write_text(text.format(folder=folder))
        path.chmod(0o755)
    for path in ENVIRONMENTS:
        Path(f"{folder}{place(path)}").mkdir(parents=True)
    (folder / "bin" / "activate").write_text(f'echo "$1" >>"{folder}/activated.log"\n')
    return folder


def test_a_job_runs_in_the_image_in_the_environment_that_the_recipe_puts_there(project, programs):
    """With an image in the config, a job's environment is the one of its rule, where the recipe makes it."""
    (project.folder / "tfbs-moe.sif").touch()
    target = "results/demo/config.yaml"
    finished = subprocess.run(
        snakemake(
            target, "--configfile", "config/demo.yaml", "--config", "container=tfbs-moe.sif",
            "--sdm", "conda", "apptainer",
        ),
        cwd=project.folder,
        env=clean_environment()
        | {"PATH": os.pathsep.join([str(programs / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=HANGS,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout[-3000:]
    assert (project.folder / target).is_file()
    assert " exec " in (programs / "apptainer.log").read_text()
    assert all("tfbs-moe.sif" in line for line in (programs / "apptainer.log").read_text().splitlines())
    activated = set((programs / "activated.log").read_text().split())
    assert activated
    assert activated <= {f"{programs}{place(path)}" for path in ENVIRONMENTS}
    assert "env create" not in (programs / "conda.log").read_text()


def section(name: str) -> str:
    """Return a section of the recipe."""
    return re.search(rf"^%{name}\n(.*?)(?=^%|\Z)", RECIPE.read_text(), flags=re.M | re.S)[1]


@pytest.mark.parametrize(("argument", "driver"), [("none", ""), ("13.0", "13.0")])
def test_the_recipe_makes_every_environment_where_it_is_looked_for(tmp_path, programs, argument, driver):
    """Its commands, with folders of this test in the place of the image's."""
    conda = programs / "bin" / "conda"
    conda.write_text(conda.read_text().replace('echo "$*"', 'echo "$CONDA_OVERRIDE_CUDA: $*"'))
    commands = section("post").replace("{{ CUDA }}", argument).replace("/opt/conda/bin/conda", str(conda))
    subprocess.run(["sh", "-c", commands.replace("/envs/*", f"{ROOT}/envs/*")], check=True, cwd=tmp_path)
    asked = (programs / "conda.log").read_text().splitlines()
    assert [line for line in asked if "env create" in line] == [
        f"{driver}: env create --quiet --yes --prefix {place(path)} --file {path}" for path in ENVIRONMENTS
    ]


def test_the_base_is_pinned_by_its_digest():
    """Nobody can put another image in its place."""
    assert re.search(r"^From: condaforge/miniforge3:[0-9.]+-\d+@sha256:[0-9a-f]{64}$", RECIPE.read_text(), flags=re.M)
