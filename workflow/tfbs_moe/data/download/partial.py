"""The unfinished file of a download: ``.<name>.part`` beside the target, locked, resumable, renamed at the end."""

import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tfbs_moe.errors import InputError
from tfbs_moe.tables import read_json, write_json

log = logging.getLogger(__name__)


class PartialFile:
    """The unfinished file beside a target, locked for this process.

    A small JSON file beside it notes the address that the bytes came from and the server's validator of that version,
    so that a later process can ask for the rest of the same version.
    """

    def __init__(self, target: Path, descriptor: int) -> None:
        self.target = target
        self.path = _part_path(target)
        self._state = self.path.with_name(self.path.name + ".json")
        self._descriptor = descriptor

    @property
    def length(self) -> int:
        """The number of bytes received."""
        return os.fstat(self._descriptor).st_size

    @property
    def state(self) -> dict[str, str | int | None]:
        """What was noted about the bytes; empty where nothing readable was."""
        try:
            value = read_json(self._state)
        except InputError:
            return {}
        return value if isinstance(value, dict) else {}

    def restart(self, address: str, validator: str | None, total: int | None) -> None:
        """Empty the file and note the source and version of the bytes to come."""
        with _writing(self.target):
            os.ftruncate(self._descriptor, 0)
        write_json({"address": address, "validator": validator, "total": total}, self._state)

    def append(self, block: bytes) -> None:
        """Append bytes, which survive a kill of this process."""
        with _writing(self.target):
            view = memoryview(block)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def empty(self) -> None:
        """Forget the bytes and the notes on them."""
        os.ftruncate(self._descriptor, 0)
        self._state.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the file and its notes."""
        self.empty()
        self.path.unlink(missing_ok=True)

    def publish(self) -> None:
        """Flush the file to disk and give it its final name."""
        with _writing(self.target):
            os.fsync(self._descriptor)
            self.path.replace(self.target)
            folder = os.open(self.target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self._state.unlink(missing_ok=True)


@contextmanager
def partial_file(target: Path) -> Iterator[PartialFile]:
    """Open and lock the unfinished file of a target; an empty one is removed at the end."""
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _locked_descriptor(_part_path(target))
    part = PartialFile(target, descriptor)
    try:
        yield part
    finally:
        if part.path.exists() and not part.length:
            part.discard()
        os.close(descriptor)


def _part_path(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def _locked_descriptor(path: Path) -> int:
    while True:
        # Its name can be foreseen: somebody who may write here could have planted a link to another file of the user's.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            os.close(descriptor)
            raise InputError(f"{path} is no plain file, but an unfinished download should be there; remove it")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("another process is downloading %s; waiting for it", path)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            # Some network file systems have no locks; the checksum still guards the result.
            log.warning("%s cannot be locked here (%s)", path, error.strerror)
            return descriptor
        # The last holder of the lock may have renamed or removed the file.
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
        os.close(descriptor)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}") from error
