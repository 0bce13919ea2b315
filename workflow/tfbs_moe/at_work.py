"""Who is at work in a folder: locks that end with the process that holds them, however it ends.

Snakemake's own locks are files that outlive a killed Snakemake and know no owner. Here every Snakemake and every
job holds a lock of the system's for as long as it lives, so that a start can tell a lock that someone holds from
one that a dead process left. Standard library only, as the Snakefile imports it.
"""

import fcntl
import logging
import os
import shutil
import time
from pathlib import Path
from typing import IO, Any

from tfbs_moe.errors import InputError

log = logging.getLogger(__name__)

# Names the file that jobs hold; jobs are processes of their own, often on machines of their own.
VARIABLE = "TFBS_MOE_AT_WORK"
# A killed run's jobs get so long to end.
PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.2
# Open as long as the process lives, and with them its locks.
_HELD: list[IO[Any]] = []


class Start:
    """The start of a run, during which no other run starts in the same folder."""

    def __init__(self, handle: IO[Any] | None) -> None:
        """Take the lock that the start holds, or None where there are no locks."""
        self._handle = handle

    def done(self) -> None:
        """Let others start; the run itself stays known until its process ends."""
        if self._handle:
            self._handle.close()
            self._handle = None


def start_run(folder: str | Path, locks: str | Path, patience: float = PATIENCE_SECONDS) -> Start:
    """Make a run known in a folder; where nobody else is at work there, take away the locks of runs that died.

    Where others are at work, the locks stay, and it is for the workflow manager to say whether theirs are in the way.
    On a file system without locks nothing is done: the locks of a dead run stay until the user takes them away.

    Args:
        folder: takes the files that are locked.
        locks: the workflow manager's own folder of locks.
        patience: seconds that the jobs of a run that died get to end.

    Raises:
        InputError: such jobs are still at work, and would write what this run writes.
    """
    folder = Path(folder).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        starting, runs, jobs = (open(folder / name, "a") for name in ("starting", "runs", "jobs"))  # noqa: SIM115
        fcntl.flock(starting, fcntl.LOCK_EX)
        alone = _taken(runs)
    except OSError as error:
        log.debug("%s: no locks here (%s)", folder, error)
        return Start(None)
    if alone:
        if not _taken(jobs, patience):
            raise InputError(
                f"jobs of a run that was killed are still at work in {Path.cwd()}; wait until they have ended, or end "
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
    """Raise InputError where a run's results, or the folder that they are to be made in, cannot be written."""
    place = Path(folder)
    while not place.exists() and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(
            f"{folder} cannot be written: {place} is read-only for you; give yourself the right to write there, "
            "or mount it so that it can be written, and give the same command again"
        )


def hold_as_job() -> None:
    """Make this process known as a job of the run that started it, if one did."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    try:
        handle = open(path, "a")  # noqa: SIM115
        fcntl.flock(handle, fcntl.LOCK_SH)
    except OSError as error:
        log.debug("%s cannot be locked (%s)", path, error)
        return
    _HELD.append(handle)


def _taken(handle: IO[Any], patience: float = 0.0) -> bool:
    """Take a lock for this process alone; return whether that was possible within some seconds."""
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
