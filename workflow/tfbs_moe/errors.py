"""Exceptions whose messages are for the user, and how a process ends early."""

import logging
import re
import signal
import threading
from types import FrameType

# Shells report 128 + n for a process that signal n ended.
_EXIT_BASE = 128

# Control characters but tab and line end, and those that turn the direction of text.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return a text with an escape in place of each character that a terminal would obey."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class PrintableFormatter(logging.Formatter):
    """Formats messages of the log so that a terminal obeys no name in them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message of a record."""
        return printable(super().format(record))


class InputError(ValueError):
    """Unusable input; scripts and the command line print its message without a traceback and exit with status 1.

    The message stands alone: which file, which row, what was expected, what to do. Names in it may be anybody's.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class LeftOutError(InputError):
    """An experiment or model that is not damaged but yields nothing usable; the study excludes it."""


def in_words(error: InputError | MemoryError) -> str:
    """Return what to say of an error; of memory that an input, or what was asked for, needs and there is not."""
    if isinstance(error, InputError):
        return str(error)
    reason = f" ({error})" if str(error) else ""
    return f"there is not enough memory{reason}; give it more, or less to work on"


def unwind_on_termination() -> None:
    """Let SIGTERM and SIGHUP end the process as an error does, so that what is half written is removed.

    A signal that is ignored (``nohup``) or has a handler keeps it; outside the main thread nothing is done.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(_EXIT_BASE + number)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, end)
