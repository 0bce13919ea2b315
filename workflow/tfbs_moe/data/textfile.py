"""Opening files that may be gzip, with plain errors where they are unfit."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from tfbs_moe.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
_OTHER_FORMATS = {
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"PK\x03\x04": "a zip archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\xeb\xf2\x89\x87": "a bigBed",
    b"\x87\x89\xf2\xeb": "a bigBed",
    b"\x1a\x41\x27\x43": "a 2bit genome",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


@contextmanager
def open_bytes(path: str | Path) -> Iterator[BinaryIO]:
    """Open a plain, gzip or bgzip file, recognised by its first bytes, for reading bytes.

    Raises InputError where it is missing, empty, of another format or falsely named .gz, or its gzip stream is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
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


def _check_start(path: Path, start: bytes) -> None:
    if not start:
        raise InputError(f"{path} is empty: it has no bytes. Fetch it again.")
    for magic, name in _OTHER_FORMATS.items():
        if start.startswith(magic):
            raise InputError(f"{path} is {name}; plain text or gzip was expected. Convert it first.")
    if path.suffix == ".gz" and not start.startswith(GZIP_MAGIC):
        raise InputError(f"{path} is named .gz but is no gzip file: it starts with {start!r}. Fetch it again.")
