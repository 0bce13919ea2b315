"""Files of any kind: written under a temporary name and renamed, and read as text or as bytes, plain or gzip."""

import errno
import gzip
import hashlib
import io
import os
import re
import secrets
import shlex
import shutil
import socket
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO, cast

from tfbs_moe.errors import InputError

# Advice for each system error of a write.
_DISK_PROBLEMS = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room within your quota",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or make room",
    errno.EROFS: "mount the file system writable, or put the results elsewhere",
    errno.EACCES: "give yourself write permission there, or put the results elsewhere",
    errno.EPERM: "give yourself write permission there, or put the results elsewhere",
    errno.EEXIST: "move the file that is where a folder is needed, or put the results elsewhere",
    errno.ENOTDIR: "move the file that is where a folder is needed, or put the results elsewhere",
    errno.EIO: "check the disk, which does not work",
}
# Machine, process and random digits.
_TEMPORARY = re.compile(r"\.([0-9a-f]{8})([0-9a-f]{8})[0-9a-f]{16}\.tmp\..*", flags=re.DOTALL)
# No process takes a week for one file.
_FORSAKEN_SECONDS = 7 * 24 * 3600
# Characters, of up to four bytes each, of a temporary file's name.
_KEPT_NAME = 50


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it on success, remove it on failure, InputError if not writable.

    The content is synced to disk before the renaming, so that a power cut leaves the old file or the new one. What a
    killed process left of the same file is removed.
    """
    target = Path(path)
    # Random, so that nobody can plant a link there; the suffix stays last, as libraries infer the format from it.
    # Of the name only the end, or a long one would get too long.
    kept = f".tmp.{target.name[-_KEPT_NAME:]}"
    temporary = target.with_name(f".{_machine()}{os.getpid():08x}{secrets.token_hex(8)}{kept}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent, kept)
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(target)
        finally:
            # In a folder that is not writable there is nothing to remove.
            if temporary.is_file():
                temporary.unlink()
    except InputError:
        raise
    # HDF5, Parquet and safetensors wrap the system's error in their own.
    except Exception as error:
        problem = disk_problem(error)
        if problem and getattr(error, "filename", None) in (None, str(temporary), str(target), str(target.parent)):
            raise InputError(
                f"{target} cannot be written: {problem}, and give the same command again; all other results stay"
            ) from error
        raise


@cache
def _machine() -> str:
    """Return 8 hexadecimal digits of what a process's number means something on: the machine, in it the container."""
    try:
        container = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        container = ""
    return hashlib.sha256(f"{socket.gethostname()} {container}".encode()).hexdigest()[:8]


def _sweep(folder: Path, ending: str) -> None:
    """Remove temporary files of a name whose process is gone; of another machine's processes only the age is known."""
    # A folder in which one may write, but not look, keeps them.
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if not match or not entry.name.endswith(ending):
                continue
            old = time.time() - entry.stat(follow_symlinks=False).st_mtime > _FORSAKEN_SECONDS
            if old or (match[1] == _machine() and not _is_alive(int(match[2], 16))):
                Path(entry.path).unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def check_space(path: str | Path, size: int, advice: str = "make room on that disk") -> None:
    """Raise InputError if ``size`` more bytes do not fit on the disk of ``path``.

    For HDF5 and memory-mapped files, which end the process without a message on a full disk.
    """
    free = shutil.disk_usage(Path(path).parent).free
    if size > free:
        raise InputError(
            f"{path} cannot be written: no space left on device ({size / 1e6:,.1f} MB are needed, {free / 1e6:,.1f} MB "
            f"are free); {advice}, and give the same command again"
        )


def disk_problem(error: BaseException) -> str | None:
    """Return a disk error with advice as a phrase, or None if an error is of another kind."""
    text = str(error)
    for number, advice in _DISK_PROBLEMS.items():
        said = os.strerror(number)
        if getattr(error, "errno", None) == number or said.lower() in text.lower():
            return f"{said[0].lower()}{said[1:]}; {advice}"
    return None


def read_text(path: str | Path) -> str:
    """Return a plain text file, in UTF-8; InputError if it is missing, no text or larger than ``LARGEST_TEXT``."""
    try:
        with Path(path).open("rb") as handle:
            return read_whole(handle, path).decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text in UTF-8") from None


# Bytes or letters, unpacked, that are read at once: more than a peak file or a chromosome on one line has, and little
# enough for the memory of a small machine. A kilobyte of gzip can unpack to a megabyte.
LARGEST_TEXT = 1 << 28


def read_whole(handle: BinaryIO, path: str | Path) -> bytes:
    """Return the rest of an open file; InputError where it is larger than ``LARGEST_TEXT``."""
    data = handle.read(LARGEST_TEXT + 1)
    if len(data) > LARGEST_TEXT:
        raise InputError(f"{path} holds more than {LARGEST_TEXT >> 20} MB of text, unpacked; split it")
    return data


def text_lines(handle: BinaryIO, path: str | Path) -> Iterator[str]:
    """Yield the lines of an open file with their ends; InputError where one is longer than ``LARGEST_TEXT``.

    Bytes outside UTF-8 are replaced, a byte-order mark is skipped.
    """
    text = io.TextIOWrapper(handle, encoding="utf-8-sig", errors="replace")
    number = 0
    while line := text.readline(LARGEST_TEXT):
        number += 1
        if len(line) == LARGEST_TEXT and not line.endswith("\n"):
            raise InputError(f"{path}, line {number}: more than {LARGEST_TEXT >> 20} MB in one line; this is no text")
        yield line


GZIP_MAGIC = b"\x1f\x8b"
_UTF_16 = ("UTF-16 text", "iconv -f UTF-16 -t UTF-8 {} > utf8.txt")
_BIGBED = ("a bigBed", "bigBedToBed {} peaks.bed")
_BIGWIG = ("a bigWig, which holds a signal and no peaks", "")
# By the first bytes: what a file is, and the command that turns it into what can be read.
_OTHER_FORMATS = {
    b"BZh": ("a bzip2 archive", "bunzip2 {}"),
    b"\xfd7zXZ": ("an xz archive", "unxz {}"),
    b"PK\x03\x04": ("a zip archive (as .xlsx is)", "unzip {}"),
    b"\x28\xb5\x2f\xfd": ("a zstd archive", "unzstd {}"),
    b"\xeb\xf2\x89\x87": _BIGBED,
    b"\x87\x89\xf2\xeb": _BIGBED,
    b"\x26\xfc\x8f\x88": _BIGWIG,
    b"\x88\x8f\xfc\x26": _BIGWIG,
    b"\x1a\x41\x27\x43": ("a 2bit genome", "twoBitToFa {} genome.fa"),
    b"CRAM": ("CRAM, which holds reads", ""),
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
}


@contextmanager
def open_bytes(path: str | Path) -> Iterator[BinaryIO]:
    """Open a plain, gzip or bgzip file, recognised by its first bytes, for reading bytes.

    Raises InputError where it is missing, empty, of another format or falsely named .gz, or its gzip stream is damaged.
    """
    path = Path(path)
    check_is_file(path)
    try:
        with path.open("rb") as raw:
            start = raw.read(max(map(len, _OTHER_FORMATS)))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    _check_start(path, start)
    try:
        with cast(BinaryIO, gzip.open(path, "rb") if start.startswith(GZIP_MAGIC) else path.open("rb")) as handle:
            yield handle
    except EOFError:
        raise InputError(f"{path} is cut short: the gzip stream ends early. Fetch it again.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is damaged: {error}. Fetch it again.") from None


def check_is_file(path: str | Path) -> None:
    """Raise InputError, which says what is there instead, unless a path is that of a file."""
    mode = mode_of(path)
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a folder; the name of a file was expected")
    if mode:
        raise InputError(f"{path} is a pipe or a device, which can be read once only; save what it gives as a file")
    raise InputError(f"{path}: there is no such file")


def mode_of(path: str | Path) -> int:
    """Return type and rights of what is at a path, as of ``os.stat``; 0 where nothing is, or can be seen."""
    try:
        return Path(path).stat().st_mode
    except OSError:
        return 0


def _check_start(path: Path, start: bytes) -> None:
    if not start:
        raise InputError(f"{path} is empty: it has no bytes. Fetch it again.")
    for magic, (name, command) in _OTHER_FORMATS.items():
        if start.startswith(magic):
            advice = f" Convert it first: {command.format(shlex.quote(str(path)))}" if command else ""
            raise InputError(f"{path} is {name}; plain text or gzip was expected.{advice}")
    if path.suffix == ".gz" and not start.startswith(GZIP_MAGIC):
        raise InputError(f"{path} is named .gz but is not a gzip file: it starts with {start!r}. Fetch it again.")
