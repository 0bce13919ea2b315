"""The exceptions a user is meant to read."""


class InputError(ValueError):
    """What a user gave cannot be used.

    The message stands alone: which file, which row, what was expected, what to do. Workflow
    scripts and the command line print it without a traceback and exit with status 1.
    """


class LeftOutError(InputError):
    """One experiment or one model gives nothing that can be used, though nothing is damaged: a study leaves it out."""
