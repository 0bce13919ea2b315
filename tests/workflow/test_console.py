"""What a run says on the console, and what is left of one that was asked to end."""

import fcntl
import os
import re
import signal
import time
from pathlib import Path

import pytest

from killed_runs import kill_all, start
from plan_study import write_table

pytestmark = pytest.mark.slow

# Stands for every script: makes what the rule promises. Those that train wait until they may end.
MADE_UP = """
import os, time
from pathlib import Path

if "history" in snakemake.output.keys():
    Path(f"begun.{os.getpid()}").touch()
    while not Path("go").exists():
        time.sleep(0.05)
for path in map(Path, snakemake.output):
    path.write_text(str(path))
"""
TRAININGS = 2


@pytest.fixture
def study(project):
    """A small study whose steps are made up, planned up to its experts."""
    rows = [
        ["A", "A", "cell", "train", "in_distribution", "deepbind", "A.seq.gz", ""],
        ["B", "B", "cell", "train", "in_distribution", "deepbind", "B.seq.gz", ""],
        ["T", "T", "cell", "ood", "cross_family", "deepbind", "T.seq.gz", ""],
    ]
    for name in "ABT":
        (project.folder / f"{name}.seq.gz").write_text("never read")
    for script in (project.folder / "workflow/scripts").glob("*.py"):
        script.write_text(MADE_UP)
    write_table(project.folder / "config/small.tsv", rows)
    config = project.config("small", run="small", experiments="config/small.tsv", replicates=[0])
    yield project, ("experts", "--configfile", config)
    (project.folder / "go").touch()
    kill_all(project.folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_ran_when_snakemake_was_asked_to_end_is_kept(study, number):
    """The signal goes to Snakemake alone: its jobs end by themselves, later."""
    project, arguments = study
    log = project.folder / "console.txt"
    process = start(project, log, *arguments)
    while len(list(project.folder.glob("begun.*"))) < TRAININGS:
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    os.kill(process.pid, number)
    while "Will exit after finishing" not in log.read_text():
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    (project.folder / "go").touch()
    assert process.wait() == 128 + number
    said = log.read_text()
    assert said.splitlines()[-1].startswith("interrupted; the same command resumes it: finished steps are kept"), said
    assert said.count("Will exit after") == 1 and "At least one job" not in said and "Traceback" not in said
    again = project.run(*arguments)
    assert again.returncode == 0 and "Training" not in again.stdout, again.stdout


def test_a_run_says_one_line_a_step_and_where_its_results_are(study):
    project, arguments = study
    (project.folder / "go").touch()
    made = project.run(*arguments)
    assert made.returncode == 0, made.stdout
    lines = made.stdout.splitlines()
    (total,) = (int(line.split()[1]) for line in lines if line.startswith("total "))
    steps = [line for line in lines if re.match(rf"\d\d:\d\d:\d\d  \d+ of {total} done  ", line)]
    assert len(steps) == total and not any("Reason" in line or ".h5" in line for line in lines)
    assert steps[0].split("  ")[1] == f"0 of {total} done"
    assert lines[-1] == f"The results: {project.folder / 'results/small'}"
    (log,) = re.findall(r"^Finished. The log: (.*)$", made.stdout, flags=re.M)
    # Nothing is lost: Snakemake's own words are there.
    with open(log, encoding="utf-8") as handle:
        assert len(re.findall(r"\breason: ", handle.read(), flags=re.I)) == total
    changed = project.run("-n", *arguments, "--config", "experts={convnet: {training: {patience: 3}}}")
    assert "(sound, seed 0) — a setting changed: training.patience 5 → 3" in changed.stdout, changed.stdout
    usual = project.run("-n", "--verbose", *arguments, "--config", "experts={convnet: {training: {patience: 3}}}")
    assert "Reason: Params have changed since last execution: Union of" in usual.stdout


def test_a_dry_run_waits_for_no_other_run_that_is_starting(study):
    project, arguments = study
    locks = project.folder / ".snakemake/at_work"
    locks.mkdir(parents=True)
    with open(locks / "starting", "wb") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        planned = project.run("-np", *arguments)
    assert planned.returncode == 0 and "another run is starting" not in planned.stdout
    assert [path.name for path in locks.iterdir()] == ["starting"]


def test_conda_that_is_not_there_is_said_before_any_job(study, monkeypatch):
    project, arguments = study
    folders = [folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder, "conda").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))
    refused = project.run("-n", "--use-conda", *arguments)
    assert refused.returncode == 1 and "Building DAG" not in refused.stdout
    assert "--use-conda needs the program conda, and there is none on the PATH: install Miniforge" in refused.stdout
