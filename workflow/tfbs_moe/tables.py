"""Typed table and file I/O: everything is written under a temporary name and renamed."""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tfbs_moe.errors import InputError

# What a disk or a folder may do to a file that is written, and what to do about it.
_DISK_PROBLEMS = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room within your quota",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or make room",
    errno.EROFS: "mount the file system so that it can be written, or give results another place",
    errno.EACCES: "give yourself the right to write there, or give results another place",
    errno.EPERM: "give yourself the right to write there, or give results another place",
    errno.EEXIST: "move the file that stands where a folder is needed, or give results another place",
    errno.ENOTDIR: "move the file that stands where a folder is needed, or give results another place",
    errno.EIO: "look after the disk, which does not work",
}
_AGAIN = "Delete it and make it again."
_REASON_LENGTH = 300


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it there on success, remove it on failure.

    The bytes are on the disk before the name is, so that a power cut leaves the old file or the new one.

    Raises:
        InputError: the disk is full, or nothing can be written there.
    """
    target = Path(path)
    # Nobody can put a link there beforehand. The suffix stays last: libraries choose a format by it.
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp.{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(target)
        finally:
            # On a folder that cannot be written there is nothing to remove.
            if temporary.is_file():
                temporary.unlink()
    except InputError:
        raise
    # HDF5, Parquet and safetensors each wrap the system's error in one of their own.
    except Exception as error:
        problem = disk_problem(error)
        if problem and getattr(error, "filename", None) in (None, str(temporary), str(target), str(target.parent)):
            raise InputError(
                f"{target} cannot be written: {problem}, and give the same command again; all other results stay"
            ) from error
        raise


def check_space(path: str | Path, size: int, advice: str = "make room on that disk") -> None:
    """Raise InputError where so many bytes more do not fit beside ``path``.

    For what cannot say so itself when it is written: HDF5 and memory that is mapped end the process.

    Args:
        path: that is about to grow.
        size: in bytes.
        advice: what to do about it.
    """
    free = shutil.disk_usage(Path(path).parent).free
    if size > free:
        raise InputError(
            f"{path} cannot be written: no space left on device ({size / 1e6:,.1f} MB are needed, {free / 1e6:,.1f} MB "
            f"are free); {advice}, and give the same command again"
        )


def disk_problem(error: BaseException) -> str | None:
    """Say what the disk has against a write, and what to do, or None where an error is of another kind."""
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
            # pandas' own float_format takes ten times as long, for looks at every number.
            written.isetitem(place, ["" if x != x else f"{x:.10g}" for x in table.iloc[:, place].tolist()])
    with atomic(path) as temporary:
        written.to_csv(temporary, sep="\t", index=False, lineterminator="\n")


def read_tsv(path: str | Path, columns: Iterable[str] = (), **options: Any) -> pd.DataFrame:
    """Read a tab-separated table and check that ``columns`` are there.

    Only the empty field means a missing value: a factor or a cell may be called NA or None.

    Raises:
        InputError: there is no such table, it is cut short or damaged, or it lacks a column.
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
    """Put tables below each other; of one without rows the columns have no types, and it counts only where all are.

    Where none has rows, the header is that of the table with the most columns.
    """
    filled = [part for part in parts if len(part)]
    return pd.concat(filled or [max(parts, key=lambda part: len(part.columns))], ignore_index=True)


def write_parquet(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as Parquet (zstd)."""
    with atomic(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd", write_page_checksum=True)


def read_parquet(path: str | Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read a Parquet table and check that ``columns`` are there (others are read too).

    Raises:
        InputError: there is no such table, it is cut short or damaged, or it lacks a column.
    """
    try:
        table = pd.read_parquet(path, page_checksum_verification=True)
    # Every error of Arrow's is one of these four.
    except (OSError, ValueError, KeyError, pa.ArrowException, MemoryError) as error:
        raise InputError(f"{path} cannot be read as Parquet ({_reason(error)}). {_AGAIN}") from None
    return _with_columns(table, columns, path)


def write_json(value: object, path: str | Path) -> None:
    """Write indented JSON with sorted keys."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON; a damaged file is an InputError that names it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON: {_reason(error)}. {_AGAIN}") from None


def _check_whole(path: Path) -> None:
    """Raise ValueError where a table does not end with a whole line, or holds what a power cut leaves behind."""
    with path.open("rb") as handle:
        if not handle.seek(0, os.SEEK_END):
            return
        handle.seek(-1, os.SEEK_END)
        if handle.read(1) not in b"\r\n":
            raise ValueError("it is cut short: its last line has no end")


def _reason(error: BaseException) -> str:
    """Return an error's message as one line of bounded length."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())[:_REASON_LENGTH] or type(error).__name__


def _with_columns(table: pd.DataFrame, columns: Iterable[str], path: str | Path) -> pd.DataFrame:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(
            f"{path} lacks the column(s) {', '.join(missing)}; it has {', '.join(map(str, table.columns))}"
        )
    return table
