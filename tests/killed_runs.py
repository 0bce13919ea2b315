"""Runs that are ended by signals, and what is left of them."""

import hashlib
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from project_copy import Project, clean_environment, snakemake

# What differs from run to run: measured times, and logs.
MEASURED_FOLDERS = {"logs", "benchmarks"}
MEASURED_FILES = {"timing.json"}
# A kill falls so long after a job ended, or after a start that ends no job.
DELAY_SECONDS = 4.0
START_SECONDS = 10.0
# So many kills fall into a start, while Snakemake reads its files and takes its lock.
STARTING_SHARE = 0.1
# What a shutdown or a cluster gives a process that it asks to end, before it kills it. Snakemake 9.27 may wait for its
# own lock for ever when a SIGTERM comes while it picks its next jobs.
GRACE_SECONDS = 15.0
_POLL_SECONDS = 0.05


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of every result that is not a measured time or a log, by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in MEASURED_FILES
        and not MEASURED_FOLDERS & set(path.relative_to(folder).parts)
    }


def processes_in(folder: Path) -> list[int]:
    """Return the processes that work in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                here = (entry / "cwd").readlink()
            except OSError:
                continue
            if here == folder:
                found.append(int(entry.name))
    return found


def start(project: Project, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start Snakemake in a process group of its own; its messages go to a file."""
    with log.open("wb") as handle:
        return subprocess.Popen(
            snakemake(*arguments),
            cwd=project.folder,
            env=clean_environment(),
            stdout=handle,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end(project: Project, process: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to Snakemake and all its jobs at once, see them all end, and return whether they did so by it."""
    os.killpg(process.pid, number)
    try:
        process.wait(0.0 if number == signal.SIGKILL else GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        obeyed = number == signal.SIGKILL
    else:
        obeyed = True
    kill_all(project.folder)
    process.wait()
    return obeyed


def kill_all(folder: Path) -> None:
    """Kill whatever works in a folder, whichever process group it is in."""
    while left := processes_in(folder):
        for process in left:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(_POLL_SECONDS)


@dataclass
class Kills:
    """What was killed, and when.

    Attributes:
        signals: that were sent, one per kill.
        rules: the rules whose jobs were at work, by kill.
        complaints: what a continued run said that a user would have to act on.
    """

    signals: list[str] = field(default_factory=list)
    rules: list[list[str]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def kill_at_random(project: Project, arguments: tuple[str, ...], signals: list[int], seed: int) -> Kills:
    """Run a study that a signal ends again and again, each time continued with the same command.

    Each kill falls at a random moment of what is left of the run, drawn such that the kills spread over all of it.
    """
    rng = np.random.default_rng(seed)
    done = Kills()
    for left, number in zip(range(len(signals), 0, -1), signals, strict=True):
        share, delay = rng.random(), rng.random()
        log = project.folder / f"killed.{left}.log"
        process = start(project, log, *arguments)
        target, early = None, share < STARTING_SHARE
        began = time.monotonic()
        while process.poll() is None:
            text = log.read_text(errors="replace")
            total = re.search(r"^total +(\d+)", text, flags=re.M)
            if total and target is None:
                target = int(share * min(2 / (left + 1), 1) * int(total[1]))
            if target and finished(text) >= target:
                break
            if (early or target == 0) and time.monotonic() - began > delay * START_SECONDS:
                break
            time.sleep(_POLL_SECONDS)
        wait = delay * DELAY_SECONDS if target else 0.0
        until = time.monotonic() + wait
        while process.poll() is None and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        text = log.read_text(errors="replace")
        if process.poll() is None:
            obeyed = end(project, process, number)
            done.signals.append(signal.Signals(number).name + ("" if obeyed else ", then SIGKILL"))
            done.rules.append(at_work(project))
        elif process.returncode:
            done.complaints.append(text[-3000:])
    return done


def finished(text: str) -> int:
    """Return how many jobs had ended when a run last said on the console that one starts."""
    return max(map(int, re.findall(r"^[\d:]{8}  (\d+) of \d+ done", text, flags=re.M)), default=0)


def at_work(project: Project) -> list[str]:
    """Return what the jobs were doing that the last run had started and not finished, by Snakemake's own log."""
    text = max((project.folder / ".snakemake/log").glob("*.log")).read_text(errors="replace")
    begun = dict(re.findall(r"^Job (\d+): (.*)", text, flags=re.M))
    ended = re.findall(r"^Finished jobid: (\d+)", text, flags=re.M)
    return sorted(begun[job] for job in begun.keys() - set(ended))
