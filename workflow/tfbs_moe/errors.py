"""Exceptions whose messages are for the user."""


class InputError(ValueError):
    """Unusable input; scripts and the command line print its message without a traceback and exit with status 1.

    The message stands alone: which file, which row, what was expected, what to do.
    """


class LeftOutError(InputError):
    """An experiment or model that is not damaged but yields nothing usable; the study excludes it."""
