"""What Snakemake says on the console: one line a step with a short reason; and how it ends when it is interrupted.

Snakemake's own messages are in its log file as before, below ``.snakemake/log``; ``--verbose`` shows them on the
console too. Only for the Snakefile: the library knows nothing of Snakemake.
"""

import ast
import logging
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from types import FrameType
from typing import Any

from snakemake.logging import ColorizingTextHandler, DefaultFormatter, get_event
from snakemake_interface_executor_plugins.settings import DeploymentMethod
from snakemake_interface_logger_plugins.common import LogEvent

# Said of every step, or of the machine and not of the study.
_LEFT_OUT = (LogEvent.JOB_FINISHED, LogEvent.JOB_STARTED, LogEvent.RESOURCES_INFO, LogEvent.WORKFLOW_STARTED)
_LEFT_OUT_TEXTS = ("Select jobs to execute", "Using shell:", "Some jobs were triggered by provenance")
_END_TEXTS = ("Complete log(s):", "Elapsed time:")
_LISTED = 3
_LONGEST_CHANGE = 80
# A param that is a digest of a step's code.
_DIGEST = re.compile(r"[0-9a-f]{16,}")
# How Snakemake's reasons begin, and what to show for them. A step without outputs yet needs no reason.
_REASONS = {
    "Forced execution": "requested, or left unfinished",
    "Incomplete output files": "left unfinished",
    "Params have changed": "",
    "Code has changed": "its code changed",
    "Software environment definition has changed": "its environment changed",
    "Set of input files has changed": "its set of input files changed",
    "Updated input files": "its input changed",
    "Input files updated by another job": "its input is rebuilt",
}


def short_reason(reason: str) -> str:
    """Return why a step runs in a few words, without lists of files; empty where its files are simply not there."""
    if "Missing output files" in reason:
        return ""
    said = [text or _change(reason) for start, text in _REASONS.items() if start in reason]
    # That something upstream runs as well is news only where it is all there is.
    return ", ".join(
        said[:-1] if len(said) > 1 and said[-1] == _REASONS["Input files updated by another job"] else said
    )


def _change(reason: str) -> str:
    """Return which settings of a step changed, from what Snakemake says of them."""
    found = re.search(r"before: (.*?) now: (.*?) (;|$)", reason, flags=re.S)
    try:
        before, now = (ast.literal_eval(f"[{text}]") for text in found.groups()[:2]) if found else ([], [])
    except (SyntaxError, ValueError):
        return "a setting changed"
    tables = [[value for value in values if isinstance(value, dict)] for values in (before, now)]
    changes = [text for one, other in zip(*tables, strict=False) for text in _differences(one, other)]
    if not changes and all(isinstance(value, str) and _DIGEST.fullmatch(value) for value in [*before, *now]):
        return "its code changed" if found else "a setting changed"
    if not changes and len(before) == len(now) == 1:
        changes = [f"{before[0]!r} → {now[0]!r}"]
    text = "; ".join(changes)
    return f"a setting changed: {text}" if text and len(text) <= _LONGEST_CHANGE else "a setting changed"


def _differences(before: dict[str, Any], now: dict[str, Any], above: str = "") -> Iterable[str]:
    for key in sorted({*before, *now}, key=str):
        one, other = before.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _differences(one, other, f"{above}{key}.")
        elif one != other:
            yield f"{above}{key} {one!r} → {other!r}"


class Console(DefaultFormatter):
    """Says each step in one line when it starts: the time, how many steps are done, its message, a short reason."""

    def __init__(self, usual: DefaultFormatter, dry_run: Callable[[], bool]) -> None:
        """Take over from the formatter that was there; whether jobs are run is asked when the first record comes."""
        super().__init__(usual.quiet, usual.show_failed_logs)
        self._dry_run = dry_run
        # Set once the end is announced: Snakemake then adds nothing to it.
        self.announced_end = self._announced_exit = False
        self._done = self._total = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is said; count the steps on the way."""
        event = get_event(record)
        if event == LogEvent.RUN_INFO:
            self._total = getattr(record, "stats", {}).get("total", 0)
        if event == LogEvent.PROGRESS:
            # A step may add others.
            self._done, self._total = record.__dict__["done"], record.__dict__["total"]
            return False
        if event is None and str(record.msg).startswith("Will exit after"):
            # Said again whenever a running job ends.
            self._announced_exit, before = True, self._announced_exit
            return not before
        if event is None:
            return not str(record.msg).startswith(_LEFT_OUT_TEXTS + (_END_TEXTS if self.announced_end else ()))
        return event not in _LEFT_OUT

    def format_job_info(self, msg: dict[str, Any]) -> str:
        """Return the line of a step."""
        wildcards = ", ".join(f"{name} {value}" for name, value in (msg["wildcards"] or {}).items())
        said = msg["rule_msg"] or msg["rule_name"] + (f" ({wildcards})" if wildcards else "")
        reason = short_reason(msg["reason"] or "")
        counted = "" if self._dry_run() else f"{time.strftime('%H:%M:%S')}  {self._done} of {self._total} done  "
        return counted + said + (f" — {reason}" if reason else "")

    def _format_job_error(self, msg: dict[str, Any]) -> list[str]:
        """Return what went wrong with a step, of long lists of files the first."""
        lists = {key: _shortened(list(msg[key])) for key in ("input", "output") if msg[key]}
        lines: list[str] = super()._format_job_error(msg | lists)
        return lines


def _shortened(names: list[str]) -> list[str]:
    return [*names[:_LISTED], f"and {len(names) - _LISTED} more"] if len(names) > _LISTED + 1 else names


def speak_shortly(logger: logging.Logger, dry_run: Callable[[], bool]) -> list[Console]:
    """Make Snakemake's own handlers of the console say one line a step; its log file keeps its own words."""
    made = []
    for handler in logger.handlers:
        if isinstance(handler, ColorizingTextHandler) and isinstance(handler.formatter, DefaultFormatter):
            made.append(Console(handler.formatter, dry_run))
            handler.setFormatter(made[-1])
            handler.addFilter(made[-1].filter)
    return made


def missing_conda(methods: Collection[DeploymentMethod]) -> str:
    """Return what to do where conda is asked for and not there; empty where nothing is amiss."""
    # In a container it is the container's own.
    if DeploymentMethod.CONDA not in methods or DeploymentMethod.APPTAINER in methods or shutil.which("conda"):
        return ""
    return (
        "--use-conda needs the program conda, and there is none on the PATH: install Miniforge "
        "(https://conda-forge.org/download) and open a new shell, or leave --use-conda out and run in the environment "
        "that `make setup` makes (. .venv/bin/activate)"
    )


def is_dry_run(arguments: Sequence[str]) -> bool:
    """Return whether a command is a dry run, which Snakemake tells only once it is planned: ``-n``, ``-np``."""
    return any(re.fullmatch(r"-[a-zA-Z]*n[a-zA-Z]*|--dry-?run", argument) for argument in arguments)


def report_of_everything(arguments: Sequence[str], rules: Collection[str], folder: str) -> bool:
    """Return whether a command asks for Snakemake's report and names no rule and no file in the folder of results."""
    asked = any(argument.partition("=")[0] == "--report" for argument in arguments)
    return asked and not any(argument in rules or argument.startswith(f"{folder}/") for argument in arguments)


class Interruption:
    """The first signal that asks Snakemake itself to end: what runs is finished and counted, nothing new starts.

    Snakemake 9.27 waits for its running jobs after a SIGINT too, but then forgets that they are finished, and makes
    them again in the next run. After a SIGTERM it counts them, unless the signal comes while it picks jobs: then it
    waits for its own lock for ever, as its handler runs in the thread that holds it.

    Attributes:
        status: that the process is to end with; 0 where nothing came.
    """

    def __init__(self) -> None:
        """Nothing came yet."""
        self.status = 0

    def watch(self, finish_running: Callable[[], object]) -> None:
        """Watch from now on; a second signal does what it did before.

        Args:
            finish_running: tells the scheduler to start nothing new; called in a thread of its own, as it takes a lock.
        """
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def end(number: int, frame: FrameType | None) -> None:
            # As shells say it.
            self.status = 128 + number
            for known, handler in before.items():
                signal.signal(known, handler)
            threading.Thread(target=finish_running, daemon=True).start()

        for number in before:
            signal.signal(number, end)
