"""Files that a command reads and writes, checked before any work."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tfbs_moe.cli.commands import STANDARD
from tfbs_moe.errors import InputError
from tfbs_moe.files import disk_problem, mode_of

_LONGEST_NAME = 255  # bytes, of a file in every usual file system


def check_outputs(outputs: Sequence[str | Path], inputs: Iterable[str | Path | None]) -> None:
    """Raise InputError unless every output can be written and none is an input, or another output, under any name.

    An input that is a folder stands for all files in it. ``-``, a standard stream, is passed over.
    """
    paths = [Path(output) for output in outputs if str(output) != STANDARD]
    # A run may hold a hundred thousand files.
    taken = _identities(inputs) if any(map(mode_of, paths)) else {}
    for place, path in enumerate(paths):
        _check_writable(path)
        if mode_of(path) and (same := taken.get(_identity(path))):
            also = "" if same == path else f", which is {same}"
            raise InputError(f"{path}{also}, is an input and would be overwritten; give the result another name")
        if any(path.resolve() == other.resolve() for other in paths[:place]):
            raise InputError(f"two results would be written to {path}; give one of them another name")


@contextmanager
def regular(path: Path) -> Iterator[Path]:
    """Yield a file that can be read more than once: ``path``, or a temporary copy of a pipe or standard input (``-``).

    Messages about the copy name what it is of.
    """
    mode = mode_of(path)
    if str(path) != STANDARD and (not mode or stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        yield path
        return
    name = "standard input" if str(path) == STANDARD else str(path)
    if str(path) == STANDARD and sys.stdin is None:
        raise InputError("standard input is closed; name a file")
    with tempfile.TemporaryDirectory(prefix="tfbs-moe.") as folder:
        copy = Path(folder, "input")
        try:
            with ExitStack() as stack, copy.open("wb") as file:
                stream = sys.stdin.buffer if str(path) == STANDARD else stack.enter_context(path.open("rb"))
                shutil.copyfileobj(stream, file)
        except OSError as error:
            problem = disk_problem(error) or error.strerror
            raise InputError(f"{name} cannot be copied to {folder} (TMPDIR says where): {problem}") from None
        try:
            yield copy
        except InputError as error:
            raise InputError(str(error).replace(str(copy), name)) from error


def _identity(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_dev, state.st_ino


def _identities(inputs: Iterable[str | Path | None]) -> dict[tuple[int, int], Path]:
    found = {}
    for given in inputs:
        path = Path(given or STANDARD)
        files = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
        for file in files if path.is_dir() else [path]:
            if file.is_file():
                found[_identity(file)] = file
    return found


def _check_writable(path: Path) -> None:
    """Raise InputError unless a file can be written, or replaced, at a path; folders above it may be missing."""
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in path.parts):
        raise InputError(f"{path} cannot be written: a name in it is longer than {_LONGEST_NAME} bytes")
    mode = mode_of(path)
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a folder; give the name of a file in it")
    if mode and not stat.S_ISREG(mode):
        raise InputError(f"{path} is not a file that could be replaced, but a device or a pipe; leave -o out, or use |")
    folder = path.absolute().parent
    while not mode_of(folder) and folder != folder.parent:
        folder = folder.parent
    try:
        # Tried, as permissions do not suffice (a read-only disk, root).
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be written in {folder}: {disk_problem(error) or error.strerror}") from None
