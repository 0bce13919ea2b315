"""Signals that ask a training to end: a cluster's time limit, a shutdown, Ctrl-C."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
# What a shell reports for a process that a signal ended.
_EXIT_BASE = 128


class Interrupted(SystemExit):
    """A signal came, the checkpoint is written, and the process is to end."""


class SignalWatch:
    """Remembers the first signal that came."""

    def __init__(self) -> None:
        """Watch from now on."""
        self.received: int | None = None

    def check(self) -> bool:
        """Return whether a signal has come."""
        return self.received is not None

    def end(self) -> Interrupted:
        """Return the exception that ends the process with the status shells use for this signal."""
        assert self.received is not None
        return Interrupted(_EXIT_BASE + self.received)


@contextmanager
def watch_signals() -> Iterator[SignalWatch]:
    """Catch the first of ``SIGNALS`` within the block; a second one does what it always does.

    Outside the main thread Python takes no handlers; there the watch sees nothing.
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
