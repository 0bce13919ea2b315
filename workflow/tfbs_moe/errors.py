"""Exceptions whose messages are for the user."""


class InputError(ValueError):
    """Unusable input; scripts and the command line print its message without a traceback and exit with status 1.

    The message stands alone: which file, which row, what was expected, what to do.
    """


def in_words(error: InputError | MemoryError) -> str:
    """Return what to say of an error; of memory that an input, or what was asked for, needs and there is not."""
    if isinstance(error, InputError):
        return str(error)
    reason = f" ({error})" if str(error) else ""
    return f"there is not enough memory{reason}; give it more, or less to work on"


class LeftOutError(InputError):
    """An experiment or model that is not damaged but yields nothing usable; the study excludes it."""
