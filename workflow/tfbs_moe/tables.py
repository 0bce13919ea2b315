"""Reading and writing of tables and JSON."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tfbs_moe.errors import InputError
from tfbs_moe.files import atomic, read_text

_AGAIN = "Delete it and rebuild it."
_REASON_LENGTH = 300
# Columns of names that a user gives, which may look like numbers: a cell 697, an experiment 001, a chromosome 1.
_NAMES = (
    "experiment", "factor", "factors", "cell", "stratum", "protocol", "model", "expert", "absent", "present",
    "training", "most_used", "most_weight", "most_alike", "nearest_factor", "name", "chrom",
)  # fmt: skip


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

    Only an empty field is a missing value: a factor or cell may be called NA or None. Names are text (``_NAMES``).
    """
    settings: dict[str, Any] = {"keep_default_na": False, "na_values": [""], "dtype": dict.fromkeys(_NAMES, str)}
    settings |= options
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


def labelled(table: pd.DataFrame, names: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table with constant columns ``names`` put before its own."""
    # Assigning one column after another takes far longer.
    return pd.DataFrame({**names, **table}, index=table.index)


def labelled_and_joined(parts: Sequence[tuple[Mapping[str, Any], pd.DataFrame]]) -> pd.DataFrame:
    """Concatenate tables, each with constant columns of the same names put before its own; see ``joined``."""
    # Labelling one table after another takes far longer.
    counts = [len(table) for _, table in parts]
    names = {name: np.repeat([own[name] for own, _ in parts], counts) for name in parts[0][0]}
    return labelled(joined([table for _, table in parts]), names)


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
    except InputError as error:
        raise InputError(f"{error}. {_AGAIN}") from None
    except (ValueError, RecursionError) as error:
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
