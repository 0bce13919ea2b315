"""A study through the SLURM profile: on GPUs side by side, and through everything that ends a job before its time."""

import hashlib
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from head import SLURM, copy_study, finish, snakemake, start
from one_node import GPUS, Job, OneNode, wait

STUDY = ("--configfile", "config/study.yaml")
RUN = Path("results/cluster")
METRICS = RUN / "evaluation/metrics.tsv"
EXPERTS = RUN / "experts/sound/convnet"
# What follows from the experts.
LATER = ("experts", "gate_inputs", "moe", "baselines", "predictions", "evaluation")
PATIENCE = 900.0
LONGER_THAN_SLURM_NEEDS = 3.0


@pytest.fixture(scope="module")
def local(slurm: OneNode) -> Iterator[Path]:
    """The study computed on this machine without a scheduler."""
    with tempfile.TemporaryDirectory(prefix="local") as name:
        folder = Path(name)
        copy_study(folder)
        snakemake(slurm, folder, "--cores", "2", "--resources", f"gpu={GPUS}", *STUDY, "--", str(METRICS))
        yield folder


@pytest.fixture
def untrained(local: Path, tmp_path: Path) -> Path:
    """A copy of the study that stands before the training of its experts."""
    folder = tmp_path / "study"
    shutil.copytree(local, folder)
    for stage in LATER:
        shutil.rmtree(folder / RUN / stage)
    return folder


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every model, its history, and the metrics, by path."""
    paths = [
        *(path for stage in ("experts", "moe", "baselines") for path in (folder / RUN / stage).rglob("*.safetensors")),
        *(folder / EXPERTS).rglob("history.tsv"),
        folder / METRICS,
    ]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()
    }


def training_log(folder: Path, factor: str) -> str:
    return (folder / RUN / f"logs/experts/sound.convnet.{factor}.seed0.log").read_text()


def gpu(folder: Path, job: Job) -> str:
    """Return what SLURM gave the training of a job."""
    return re.search(r"CUDA_VISIBLE_DEVICES=(\S+?)\)", training_log(folder, factor(job)))[1]


def factor(job: Job) -> str:
    """Return the factor whose expert a job trains."""
    return re.fullmatch(r"rule_expert_wildcards_sound_convnet_(\w+)_0", job.comment)[1]


def has_checkpoint(folder: Path, job: Job) -> bool:
    return (folder / EXPERTS / factor(job) / "seed0/checkpoint.safetensors").is_file()


def wait_for_training(slurm: OneNode, folder: Path, number: int) -> list[Job]:
    """Wait until so many experts are being trained, each with a checkpoint; return their jobs."""

    def training() -> list[Job]:
        return [job for job in slurm.jobs("rule_expert", "RUNNING") if has_checkpoint(folder, job)]

    wait(lambda: len(training()) == number, f"{number} trainings at once", PATIENCE)
    return training()


def state(slurm: OneNode, job: Job) -> str:
    return next(other.state for other in slurm.jobs() if other.id == job.id)


def stop_training(job: Job) -> None:
    """Make the training of a job hang."""
    stopped = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, variables = ((process / name).read_bytes().split(b"\0") for name in ("cmdline", "environ"))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if f"SLURM_JOB_ID={job.id}".encode() in variables and any(b"train_expert.py" in word for word in command):
            os.kill(int(process.name), signal.SIGSTOP)
            stopped += 1
    assert stopped


def test_the_study_gives_what_it_gives_without_a_scheduler(slurm, local, tmp_path):
    earlier = {job.id for job in slurm.jobs()}
    copy_study(tmp_path)
    head = start(slurm, tmp_path, *SLURM, *STUDY, "--", str(METRICS))
    try:
        cancelled, left = wait_for_training(slurm, tmp_path, 2)
        (waiting,) = slurm.jobs("rule_expert", "PENDING")
        assert sorted(map(factor, (cancelled, left, waiting))) == ["GABPA", "JUND", "MAX"]
        assert {gpu(tmp_path, cancelled), gpu(tmp_path, left)} == {"0", "1"}
    finally:
        # As by a crash of the login node: jobs know nothing of it.
        head.kill()
        head.wait()
    # A job that still trains would write what a new one writes: there is one message until it is cancelled. Nobody
    # has to unlock anything. It hangs, as on a quick machine it would be done before the new head looks.
    stop_training(left)
    slurm.run("scancel", cancelled.id)
    assert state(slurm, left) == "RUNNING"
    refused = finish(start(slurm, tmp_path, *SLURM, *STUDY, "--", str(METRICS)), tmp_path, well=False)
    assert "jobs of a run that was killed are still running" in refused
    slurm.run("scancel", left.id, waiting.id)
    wait(lambda: state(slurm, left) != "RUNNING", "the end of a job that was cancelled", PATIENCE)
    before = {job.id for job in slurm.jobs()}
    snakemake(slurm, tmp_path, *SLURM, *STUDY, "--", str(METRICS))
    assert digests(tmp_path) == digests(local)
    assert "resuming from epoch" in training_log(tmp_path, factor(cancelled))

    jobs = [job for job in slurm.jobs() if job.id not in earlier]
    assert {job.state for job in jobs if job.id not in before} == {"COMPLETED"}
    on_gpu = tuple(
        f"rule_{rule}_" for rule in ("expert", "gate_inputs", "gate", "baseline_gates", "calibration", "evaluate")
    )
    assert all(job.partition == ("gpu" if job.comment.startswith(on_gpu) else "cpu") for job in jobs)
    assert {job.comment for job in jobs} >= {"rule_audits_audit_rows"}, "nothing was grouped"
    for job in jobs:
        at_once = [other for other in jobs if other.partition == "gpu" and other.begin <= job.begin < other.end]
        assert len(at_once) <= GPUS
    assert "Nothing to be done" in snakemake(slurm, tmp_path, *SLURM, *STUDY, "--", str(METRICS))


def test_interrupted_trainings_go_on_where_they_were(slurm, local, untrained):
    earlier = {job.id for job in slurm.jobs()}
    head = start(slurm, untrained, *SLURM, *STUDY, "--", "experts")
    try:
        too_long, drained = wait_for_training(slurm, untrained, 2)
        stop_training(too_long)

        slurm.set_node("State=drain", "Reason=test")
        wait(lambda: state(slurm, drained) == "COMPLETED", "the job on a draining node to end", PATIENCE)
        time.sleep(LONGER_THAN_SLURM_NEEDS)
        (waiting,) = slurm.jobs("rule_expert", "PENDING")
        slurm.set_node("State=resume")
        # The shortest limit that SLURM knows.
        slurm.run("scontrol", "update", f"JobId={too_long.id}", "TimeLimit=1")

        wait(lambda: state(slurm, waiting) == "RUNNING" and has_checkpoint(untrained, waiting), "the third", PATIENCE)
        slurm.run("scancel", waiting.id)
        said = finish(head, untrained)
    finally:
        head.kill()
    assert said.count("Trying to restart job") == 2
    first, second = "2:00:00", "4:00:00"
    made = [(factor(job), job.state, job.limit) for job in slurm.jobs("rule_expert") if job.id not in earlier]
    assert sorted(made) == sorted(
        [
            (factor(too_long), "TIMEOUT", "1:00"),
            (factor(too_long), "COMPLETED", second),
            (factor(drained), "COMPLETED", first),
            (factor(waiting), "CANCELLED", first),
            (factor(waiting), "COMPLETED", second),
        ]
    )
    for job in (too_long, waiting):
        log = training_log(untrained, factor(job))
        resumed = re.search(r"resuming from epoch (\d+)", log)
        assert int(resumed[1]) > 1 and "epoch 1:" not in log
    assert "resuming from" not in training_log(untrained, factor(drained))
    made = digests(untrained)
    assert len(made) == 6 and made.items() <= digests(local).items()
