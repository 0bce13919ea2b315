"""The SLURM profile on a real SLURM: GPUs, time limits, resuming, a submitter that is not root."""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from one_node import GPUS, OneNode, why_not

ROOT = Path(__file__).resolve().parents[2]
SUBMITTER = "nobody"
# Snakemake asks for the state of its jobs every forty seconds at first, then less often.
PATIENCE = 900

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.xdist_group("slurm"),
]


@pytest.fixture(scope="module")
def slurm() -> Iterator[OneNode]:
    """A running SLURM in a folder that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="slurm") as folder:
        Path(folder).chmod(0o755)
        with OneNode(Path(folder)) as running:
            yield running


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the toy workflow and the profile, which every user may enter."""
    with tempfile.TemporaryDirectory(prefix="toy") as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copy(Path(__file__).with_name("toy.smk"), folder / "Snakefile")
        shutil.copytree(ROOT / "profiles", folder / "profiles")
        yield folder


def as_user(name: str) -> dict[str, Any]:
    """Return the arguments of subprocess.run that make a process another user's."""
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


def interpreter(user: str | None) -> tuple[str, dict[str, str]]:
    """Return a Python that a user can run Snakemake with, and the environment it needs."""
    if user is None:
        return sys.executable, {}
    # The interpreter may lie in a home that others cannot enter, where the system has the same version.
    system = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    environment = {"PYTHONPATH": sysconfig.get_path("purelib")}
    for candidate in (sys.executable, system):
        try:
            subprocess.run([candidate, "-c", "import snakemake"], check=True, env=environment, **as_user(user))
        except (PermissionError, FileNotFoundError, subprocess.CalledProcessError):
            continue
        return candidate, environment
    pytest.skip(f"the user {user} can read no Python {sysconfig.get_python_version()} with Snakemake here")


def snakemake(slurm: OneNode, folder: Path, *arguments: str, user: str | None = None) -> str:
    """Run Snakemake through the profile until it ends well; return its messages."""
    # Tests need not wait as long as people do.
    python, paths = interpreter(user)
    command = [python, "-m", "snakemake", "--workflow-profile", "slurm", "--latency-wait", "5"]
    command += ["--slurm-init-seconds-before-status-checks", "2", "--slurm-status-command", "squeue", *arguments]
    environment = os.environ | slurm.environment | {"HOME": str(folder)} | paths
    finished = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        **(as_user(user) if user else {}),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-5000:]
    return finished.stdout


def spans(folder: Path) -> list[tuple[float, float, str]]:
    """Return (begin, end, CUDA_VISIBLE_DEVICES) of every GPU job."""
    found = []
    for path in (folder / "gpu").iterdir():
        begin, devices, end = path.read_text().split()
        found.append((float(begin), float(end), devices))
    return sorted(found)


def test_gpu_jobs_wait_for_gpus_and_long_jobs_resume(slurm, place):
    said = snakemake(slurm, place)
    jobs = spans(place)
    for begin, _, _ in jobs:
        running = [devices for other, end, devices in jobs if other <= begin < end]
        assert len(running) <= GPUS
        assert len(set(running)) == len(running), "two jobs at once were given the same GPU"
    assert {devices for *_, devices in jobs} == {"0", "1"}
    assert jobs[1][0] < jobs[0][1], "the first two jobs ran one after the other although there are two GPUs"
    assert (place / "resumed.txt").read_text() == "begun\n"
    assert "Trying to restart job" in said
    assert (place / "where.txt").read_text() == "login\n"
    assert "Nothing to be done" in snakemake(slurm, place)


def test_any_user_may_submit(slurm, place):
    os.chown(place, pwd.getpwnam(SUBMITTER).pw_uid, -1)
    snakemake(slurm, place, "gpu/first.txt", user=SUBMITTER)
    assert (place / "gpu/first.txt").owner() == SUBMITTER
