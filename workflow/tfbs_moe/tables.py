"""Table and file I/O; every file is written under a temporary name and renamed."""

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

# Advice for each system error of a write.
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
    """Yield a temporary path beside ``path``; rename it on success, remove it on failure, InputError if not writable.

    The content is synced to disk before the renaming, so that a power cut leaves the old file or the new one.
    """
    target = Path(path)
    # Random, so that nobody can plant a link there; the suffix stays last, as libraries infer the format from it.
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp.{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
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
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON; InputError if the file is missing or damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON: {_reason(error)}. {_AGAIN}") from None


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
