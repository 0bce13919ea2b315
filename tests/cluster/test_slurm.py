"""Profiles on a real SLURM with jobs of a few seconds, submitted by a user who is not root."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from head import GENERIC, SLURM, snakemake
from one_node import GPUS

from project_copy import ROOT

SUBMITTER = "nobody"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of the submitter with the toy workflow and the profiles, which every user may enter."""
    with tempfile.TemporaryDirectory(prefix="toy") as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copy(Path(__file__).with_name("toy.smk"), folder / "Snakefile")
        shutil.copytree(ROOT / "profiles", folder / "profiles")
        os.chown(folder, pwd.getpwnam(SUBMITTER).pw_uid, -1)
        yield folder


def spans(folder: Path) -> list[tuple[float, float, str]]:
    """Return (begin, end, CUDA_VISIBLE_DEVICES) of every GPU job."""
    found = []
    for path in (folder / "gpu").iterdir():
        begin, devices, end = path.read_text().split()
        found.append((float(begin), float(end), devices))
    return sorted(found)


def edit_scheduler(folder: Path) -> None:
    """Do to the generic profile what a site does."""
    path = folder / "profiles/generic/scheduler.sh"
    edited = path.read_text().replace("\nSCHEDULER=lsf\n", "\nSCHEDULER=slurm\n")
    path.write_text(edited.replace("\nGPU_QUEUE=\n", "\nGPU_QUEUE=gpu\n"))


@pytest.mark.parametrize("profile", [SLURM, GENERIC], ids=lambda profile: profile[1])
def test_any_user_may_submit_and_gpu_jobs_wait_for_gpus(slurm, place, profile):
    earlier = {job.id for job in slurm.jobs()}
    edit_scheduler(place)
    snakemake(slurm, place, *profile, user=SUBMITTER)
    jobs = spans(place)
    for begin, _, _ in jobs:
        running = [devices for other, end, devices in jobs if other <= begin < end]
        assert len(running) <= GPUS
        assert len(set(running)) == len(running), "two jobs at once were given the same GPU"
    assert {devices for *_, devices in jobs} == {"0", "1"}
    assert jobs[1][0] < jobs[0][1], "the first two jobs ran one after the other although there are two GPUs"
    partitions = [job.partition for job in slurm.jobs() if job.id not in earlier]
    assert sorted(partitions) == ["cpu", "cpu", "gpu", "gpu", "gpu"]
    assert {path.owner() for path in (place / "gpu").iterdir()} == {SUBMITTER}
    assert (place / "attempt.txt").read_text() == "2\n"
    assert (place / "where.txt").read_text() == "login\n"
    assert "Nothing to be done" in snakemake(slurm, place, *profile, user=SUBMITTER)
