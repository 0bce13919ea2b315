"""Reading and writing of tables, JSON, HDF5 and gzip; every file is written under a temporary name and renamed."""

import errno
import gzip
import hashlib
import io
import json
import os
import re
import secrets
import shlex
import shutil
import socket
import stat
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from tfbs_moe.errors import InputError

if TYPE_CHECKING:
    import h5py

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
_AGAIN = "Delete it and rebuild it."
_OF_OTHERS = "do not use a file that you cannot vouch for"
# Deflate packs at most 1,032 bytes into one; small datasets may be what they like.
_MOST_PACKED, _FREE_BYTES = 1100, 1 << 20
_REASON_LENGTH = 300
_GZIP_LEVEL = 4
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


def write_tsv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as tab-separated text with a header and 10 significant digits."""
    written = table.copy(deep=False)
    for place, kind in enumerate(table.dtypes):
        if isinstance(kind, np.dtype) and kind.kind == "f":
            # pandas' own float_format takes ten times as long.
            written.isetitem(place, ["" if x != x else f"{x:.10g}" for x in table.iloc[:, place].tolist()])
    with atomic(path) as temporary:
        written.to_csv(temporary, sep="\t", index=False, lineterminator="\n")


def read_tsv(path: str | Path, columns: Iterable[str] = (), **options: Any) -> pd.DataFrame:
    """Read a tab-separated table; InputError if it is missing, truncated, damaged or lacks one of ``columns``.

    Only an empty field is a missing value: a factor or cell may be called NA or None.
    """
    settings: dict[str, Any] = {"keep_default_na": False, "na_values": [""]} | options
    try:
        _check_whole(Path(path))
        table = pd.read_csv(path, sep="\t", **settings)
    except pd.errors.EmptyDataError:
        raise InputError(f"{path} is empty; a tab-separated table with a header was expected. {_AGAIN}") from None
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path} cannot be read as a tab-separated table ({_reason(error)}). {_AGAIN}") from None
    return _with_columns(table, columns, path)


def joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Concatenate tables, ignoring empty ones, whose columns have no types.

    If all are empty, return the one with the most columns.
    """
    filled = [part for part in parts if len(part)]
    return pd.concat(filled or [max(parts, key=lambda part: len(part.columns))], ignore_index=True)


def write_parquet(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as Parquet (zstd)."""
    with atomic(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd", write_page_checksum=True)


def read_parquet(path: str | Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read all columns of a Parquet table; InputError if it is missing, damaged or lacks one of ``columns``."""
    try:
        table = pd.read_parquet(path, page_checksum_verification=True)
    # Every error of Arrow's is one of these four.
    except (OSError, ValueError, KeyError, pa.ArrowException, MemoryError) as error:
        raise InputError(f"{path} cannot be read as Parquet ({_reason(error)}). {_AGAIN}") from None
    return _with_columns(table, columns, path)


def write_json(value: object, path: str | Path) -> None:
    """Write indented JSON with sorted keys."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read JSON; InputError if the file is missing, damaged or larger than ``LARGEST_TEXT``."""
    try:
        return json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON: {_reason(error)}. {_AGAIN}") from None


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


def _check_whole(path: Path) -> None:
    """Raise ValueError if a table does not end with a line end, as after a power cut."""
    with path.open("rb") as handle:
        if not handle.seek(0, os.SEEK_END):
            return
        handle.seek(-1, os.SEEK_END)
        if handle.read(1) not in b"\r\n":
            raise ValueError("it is cut short: its last line has no end")


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())[:_REASON_LENGTH] or type(error).__name__


def _with_columns(table: pd.DataFrame, columns: Iterable[str], path: str | Path) -> pd.DataFrame:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(
            f"{path} lacks the column(s) {', '.join(missing)}; it has {', '.join(map(str, table.columns))}"
        )
    return table


@contextmanager
def new_hdf5(path: str | Path) -> Iterator["h5py.File"]:
    """Yield an HDF5 file in memory and write it to ``path`` on success; InputError if it cannot be written.

    HDF5 itself, on a full disk, ends the process without a message when it closes the file.
    """
    import h5py  # only here: most jobs write no HDF5

    with h5py.File(Path(path).name, "w", driver="core", backing_store=False) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with atomic(path) as temporary:
        temporary.write_bytes(image)


def write_arrays(file: "h5py.File", arrays: Mapping[str, np.ndarray], rows: int | None, **options: Any) -> None:
    """Write arrays as gzip-compressed HDF5 datasets in chunks of ``rows`` (None: HDF5's choice), with checksums.

    ``options`` are those of ``h5py.Group.create_dataset``. Empty arrays, which have no chunks, are not compressed.
    """
    for name, values in arrays.items():
        how: dict[str, Any] = {}
        if values.size:
            how = {"compression": "gzip", "compression_opts": _GZIP_LEVEL, "fletcher32": True} | options
            how |= {"chunks": (min(rows, len(values)), *values.shape[1:])} if rows else {}
        file.create_dataset(name, data=values, **how)


class Arrays:
    """Datasets and attributes of an open HDF5 file; see ``open_hdf5``."""

    def __init__(self, file: "h5py.File") -> None:
        self._file = file

    def __getitem__(self, name: str) -> "h5py.Dataset":
        """Return a dataset; InputError where its values lie elsewhere or cannot be in the file, KeyError without it."""
        import h5py

        found = self._found(name)
        if not isinstance(found, h5py.Dataset):
            raise KeyError(name)
        if found.external or found.is_virtual:
            raise InputError(f"the values of {name} lie in another file, which could be any of yours; {_OF_OTHERS}")
        if found.size * found.dtype.itemsize > _MOST_PACKED * found.id.get_storage_size() + _FREE_BYTES:
            raise InputError(f"{name} claims {found.size:,} values, far more than the file can hold")
        return found

    def names(self, group: str) -> list[str]:
        """Return what a group holds; nothing where there is none."""
        try:
            return list(self._found(group))
        except KeyError:
            return []

    def _found(self, name: str) -> Any:
        """Return what has a name; InputError where it is a link, KeyError where there is nothing."""
        import h5py

        found: Any = self._file
        for part in name.split("/"):
            link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
            if link is None:
                raise KeyError(name)
            if not isinstance(link, h5py.HardLink):
                raise InputError(f"{name} is a link, which could lead to another file of yours; {_OF_OTHERS}")
            found = found[part]
        return found

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the file, numpy's numbers as Python's."""
        attributes = self._file.attrs.items()
        return {str(key): value.item() if isinstance(value, np.generic) else value for key, value in attributes}


@contextmanager
def open_hdf5(path: str | Path, what: str, names: Iterable[str]) -> Iterator[Arrays]:
    """Open an HDF5 file that holds the datasets ``names``, for reading; ``what`` it holds is for messages.

    The file may be anybody's: HDF5 can show another file's bytes, any that its reader may read, as its own values.
    InputError where it is missing, damaged, of another kind or does so; those raised while it is open name the file
    too.
    """
    import h5py

    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file; it should hold {what}")
    try:
        with h5py.File(path, "r") as file:
            arrays, missing = Arrays(file), []
            for name in names:
                try:
                    arrays[name]
                except KeyError:
                    missing.append(name)
            if missing:
                raise InputError(f"it is HDF5 but lacks {', '.join(missing)}")
            yield arrays
    except InputError as error:
        raise InputError(f"{path} cannot be used as {what}: {error}") from None
    # Values of another type than was written, such as numbers for names, are ValueErrors and TypeErrors.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{path} cannot be read as HDF5; it is cut short, damaged or of another format ({error}). {_AGAIN}"
        ) from None


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
