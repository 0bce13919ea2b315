"""Run locks: they end with the process that holds them, however it ends.

Snakemake's own lock files outlive a killed Snakemake and record no owner. Here every Snakemake and every job holds an
operating-system lock (flock) while it lives, so that a new run can tell a held lock from a stale one. Standard library
only, for the Snakefile.
"""

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from tfbs_moe.errors import InputError

log = logging.getLogger(__name__)

# Environment variable with the path of the jobs' lock file: jobs are separate processes, often on other machines.
VARIABLE = "TFBS_MOE_AT_WORK"
# How long the jobs of a killed run may take to end.
PATIENCE_SECONDS = 10.0
# How long another start is waited for: the plan of 14,000 jobs takes a minute.
START_SECONDS = 600.0
_POLL_SECONDS = 0.2
# Kept open while the process lives: closing a file releases its lock.
_HELD: list[IO[Any]] = []


class Start:
    """The start of a run; until it is done no other run can start in the same folder."""

    def __init__(self, handle: IO[Any] | None) -> None:
        """Take over the lock file; None on a file system without locks."""
        self._handle = handle

    def done(self) -> None:
        """Let other runs start; this run stays registered until its process ends."""
        if self._handle:
            self._handle.close()
            self._handle = None


def start_run(
    folder: str | Path,
    locks: str | Path,
    patience: float = PATIENCE_SECONDS,
    start_patience: float = START_SECONDS,
    warn: Callable[[str], object] = log.warning,
) -> Start:
    """Register a run in ``folder``; if no other run is alive there, delete Snakemake's stale ``locks`` folder.

    Another run that is just starting is waited for, which ``warn`` is told. Raises InputError if it still is after
    ``start_patience`` seconds, or jobs of a killed run are still alive after ``patience`` seconds. If another run is
    alive, Snakemake itself decides whether its locks conflict. On a file system without locks nothing is done.
    """
    folder = Path(folder).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        starting, runs, jobs = (open(folder / name, "ab") for name in ("starting", "runs", "jobs"))  # noqa: SIM115
        started = _taken(starting)
        if not started:
            warn(f"another run is starting in {Path.cwd()}; waiting up to {start_patience / 60:.0f} minutes for it")
            started = _taken(starting, start_patience)
        alone = started and _taken(runs)
    except OSError as error:
        log.debug("%s: no locks here (%s)", folder, error)
        return Start(None)
    if not started:
        raise InputError(
            f"another run has been starting in {Path.cwd()} for {start_patience / 60:.0f} minutes; wait until it has "
            "started, or end it, and give the same command again"
        )
    if alone:
        if not _taken(jobs, patience):
            raise InputError(
                f"jobs of a run that was killed are still running in {Path.cwd()}; wait until they have ended, or end "
                "them (a cluster's queue lists them), and give the same command again"
            )
        if Path(locks).is_dir():
            shutil.rmtree(locks)
    jobs.close()
    fcntl.flock(runs, fcntl.LOCK_SH)
    _HELD.append(runs)
    os.environ[VARIABLE] = str(folder / "jobs")
    return Start(starting)


def check_writable(folder: str | Path) -> None:
    """Raise InputError if a folder, or the nearest existing one above it, is not writable."""
    place = Path(folder)
    while not place.exists() and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(
            f"{folder} cannot be written: {place} is read-only for you; give yourself write permission there, "
            "or mount it writable, and give the same command again"
        )


def hold_as_job() -> None:
    """Register this process as a job of the run that started it, if any."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    try:
        handle = open(path, "ab")  # noqa: SIM115
        fcntl.flock(handle, fcntl.LOCK_SH)
    except OSError as error:
        log.debug("%s cannot be locked (%s)", path, error)
        return
    _HELD.append(handle)


def _taken(handle: IO[Any], patience: float = 0.0) -> bool:
    """Try for ``patience`` seconds to take an exclusive lock; return whether that succeeded."""
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True
