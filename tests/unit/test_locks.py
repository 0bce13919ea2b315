"""Locks of runs and jobs end with their processes; nothing else may take a living run's lock away."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tfbs_moe import locks as run_locks
from tfbs_moe.errors import InputError

CHILD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from tfbs_moe import locks as run_locks
if sys.argv[2] == "job":
    run_locks.hold_as_job()
else:
    start = run_locks.start_run(sys.argv[3], sys.argv[4])
    if sys.argv[2] == "run":
        start.done()
print("there", flush=True)
time.sleep(600)
"""
LIBRARY = Path(run_locks.__file__).parents[1]


@pytest.fixture
def folders(tmp_path, monkeypatch) -> tuple[Path, Path]:
    monkeypatch.setattr(run_locks, "_HELD", [])
    monkeypatch.delenv(run_locks.VARIABLE, raising=False)
    locks = tmp_path / "locks"
    locks.mkdir()
    (locks / "0.output.lock").write_text("results\n")
    return tmp_path / "at_work", locks


@pytest.fixture
def child(folders):
    """Starts a run or a job in a process of its own."""
    started = []

    def begin(kind: str) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", CHILD, str(LIBRARY), kind, *map(str, folders)]
        environment = os.environ | {run_locks.VARIABLE: str(folders[0] / "jobs")}
        process = subprocess.Popen(arguments, text=True, stdout=subprocess.PIPE, env=environment)
        started.append(process)
        assert process.stdout and process.stdout.readline() == "there\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def test_what_a_dead_run_left_locked_is_free(folders, child):
    run = child("run")
    (folders[1]).mkdir(exist_ok=True)
    (folders[1] / "0.output.lock").write_text("results\n")
    run_locks.start_run(*folders).done()
    assert (folders[1] / "0.output.lock").exists(), "the lock of a living run was taken away"
    run_locks._HELD.pop().close()
    run.send_signal(signal.SIGKILL)
    run.wait()
    run_locks.start_run(*folders).done()
    assert not folders[1].exists()


def test_jobs_of_a_dead_run_are_waited_for_and_named(folders, child):
    run_locks.start_run(*folders).done()
    job = child("job")
    run_locks._HELD.pop().close()
    folders[1].mkdir(exist_ok=True)
    with pytest.raises(InputError, match="jobs of a run that was killed are still running"):
        run_locks.start_run(*folders, patience=0.0)
    assert folders[1].exists()
    job.kill()
    job.wait()
    run_locks.start_run(*folders).done()
    assert not folders[1].exists()


def test_another_start_is_told_and_not_waited_for_without_end(folders, child):
    start = child("start")
    said = []
    with pytest.raises(
        InputError, match="another run has been starting in .* for 0 minutes; wait until it has started"
    ):
        run_locks.start_run(*folders, start_patience=0.5, warn=said.append)
    assert len(said) == 1 and "another run is starting in" in said[0]
    start.kill()
    start.wait()
    run_locks.start_run(*folders, warn=said.append).done()
    assert len(said) == 1


def test_a_job_that_no_run_started_holds_nothing(monkeypatch):
    monkeypatch.setattr(run_locks, "_HELD", [])
    monkeypatch.delenv(run_locks.VARIABLE, raising=False)
    run_locks.hold_as_job()
    assert run_locks._HELD == []


def test_where_nothing_can_be_locked_the_lock_stays(folders):
    folders[0].write_text("no folder")
    run_locks.start_run(*folders).done()
    assert (folders[1] / "0.output.lock").exists()


def test_results_that_cannot_be_written(tmp_path, monkeypatch):
    run_locks.check_writable(tmp_path / "results" / "run")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="run cannot be written: .* is read-only for you"):
        run_locks.check_writable(tmp_path / "results" / "run")
