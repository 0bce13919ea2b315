"""Signals that ask a training to end: a cluster's time limit, a shutdown, Ctrl-C."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
# Shells report 128 + n for a process that signal n ended.
_EXIT_BASE = 128


class Interrupted(SystemExit):
    """A signal came and the checkpoint is written: the process ends."""


class SignalWatch:
    """Remembers the first signal."""

    def __init__(self) -> None:
        self.received: int | None = None

    def check(self) -> bool:
        """Return whether a signal has come."""
        return self.received is not None

    def end(self) -> Interrupted:
        """Return the exception that ends the process with a shell's exit status for the signal."""
        assert self.received is not None
        return Interrupted(_EXIT_BASE + self.received)


@contextmanager
def watch_signals() -> Iterator[SignalWatch]:
    """Catch the first of ``SIGNALS`` in the block; a second has its usual effect.

    Outside the main thread, where Python allows no handlers, nothing is caught.
    """
    watch = SignalWatch()
    if threading.current_thread() is not threading.main_thread():
        yield watch
        return

    def remember(number: int, frame: FrameType | None) -> None:
        watch.received = number
        log.info("signal %s: writing a checkpoint after this step", signal.Signals(number).name)
        restore()

    before = {number: signal.signal(number, remember) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        yield watch
    finally:
        restore()
