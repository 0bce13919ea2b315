"""The head process of a workflow: Snakemake on what stands for the login node, as any user."""

import pwd
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from one_node import OneNode

from project_copy import clean_environment, copy_project

# Snakemake asks for the state of its jobs every few seconds at first, then less often.
PATIENCE = 900
# Tests need not wait as long as people do.
SLURM = ("--workflow-profile", "slurm", "--latency-wait", "5", "--slurm-init-seconds-before-status-checks", "2")
GENERIC = ("--workflow-profile", "generic", "--latency-wait", "5")


def copy_study(folder: Path) -> None:
    """Copy what the workflow needs and the study of these tests, without anything downloaded or computed."""
    copy_project(folder)
    for name in ("study.yaml", "study.tsv"):
        shutil.copy2(Path(__file__).with_name(name), folder / "config" / name)


def interpreter(user: str | None) -> tuple[str, dict[str, str]]:
    """Return a Python that a user can run Snakemake with, and the environment it needs."""
    if user is None:
        return sys.executable, {}
    # The interpreter may lie in a home that others cannot enter, where the system has the same version.
    system = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    environment = {"PYTHONPATH": sysconfig.get_path("purelib")}
    for candidate in (sys.executable, system):
        try:
            subprocess.run([candidate, "-c", "import snakemake"], check=True, env=environment, **_as_user(user))
        except (PermissionError, FileNotFoundError, subprocess.CalledProcessError):
            continue
        return candidate, environment
    pytest.skip(f"the user {user} can read no Python {sysconfig.get_python_version()} with Snakemake here")


def start(slurm: OneNode, folder: Path, *arguments: str, user: str | None = None) -> subprocess.Popen[bytes]:
    """Start Snakemake in a folder; its messages go to the file ``said`` there."""
    python, paths = interpreter(user)
    with (folder / "said").open("wb") as said:
        return subprocess.Popen(
            [python, "-m", "snakemake", *arguments],
            cwd=folder,
            env=clean_environment() | slurm.environment | {"HOME": str(folder)} | paths,
            stdout=said,
            stderr=subprocess.STDOUT,
            **(_as_user(user) if user else {}),
        )


def finish(head: subprocess.Popen[bytes], folder: Path, well: bool = True) -> str:
    """Wait until Snakemake ends well, or not; return its messages."""
    try:
        status = head.wait(PATIENCE)
    finally:
        head.kill()
    said = (folder / "said").read_text(errors="replace")
    assert (status == 0) == well, said[-5000:]
    return said


def snakemake(slurm: OneNode, folder: Path, *arguments: str, user: str | None = None) -> str:
    """Run Snakemake in a folder until it ends well; return its messages."""
    return finish(start(slurm, folder, *arguments, user=user), folder)


def _as_user(name: str) -> dict[str, Any]:
    """Return the arguments that make a process another user's."""
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}
