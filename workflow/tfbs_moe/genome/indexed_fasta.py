"""Random access to FASTA files through pyfaidx (Shirley et al. 2015, PeerJ PrePrints 3:e970v1).

The index is built once and kept beside the file or, where that folder is not writable, in a cache. An index that is
older than its file, or whose records do not begin and end where the file's do, is rebuilt: programs that trust such an
index return wrong sequences.
"""

import gzip
import hashlib
import io
import logging
import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, NoReturn

import numpy as np
import pyfaidx
from tqdm import tqdm

from tfbs_moe.errors import InputError
from tfbs_moe.files import GZIP_MAGIC, atomic, open_bytes
from tfbs_moe.genome.fasta import HEADER_BYTES, base_codes, read_fasta
from tfbs_moe.sequence import UNKNOWN

log = logging.getLogger(__name__)

# pyfaidx recognises bgzip files by these endings.
_BGZIP_SUFFIXES = (".gz", ".bgz")
# Enough of a gzip header to recognise bgzip: the flag "extra field" (byte 3) and the subfield (bytes 12 and 13).
_BGZIP_START = 14
_READ_BYTES = 1 << 22
# Bases per fetch, and the largest gap between windows that are fetched together.
_FETCH_BASES = 1 << 22
_GAP = 2048
# At most so many records and bgzip blocks are checked against the file, evenly spread.
_CHECKED_RECORDS = 2000
_CHECKED_BLOCKS = 64
# Files above this many bytes take seconds to index, which is logged.
_LARGE = 100_000_000
_IRREGULAR = "its lines are not regular enough for an index"
# What pyfaidx and the readers below it raise on an irregular file or index.
_ODD = (
    pyfaidx.FastaIndexingError,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    LookupError,
    OverflowError,
    struct.error,
    zlib.error,
)


class IndexedFasta:
    """A FASTA file, opened by ``open_indexed``, whose bases are read on demand as codes."""

    def __init__(self, path: Path, faidx: "_Faidx") -> None:
        # Lengths in bases, in the order of the file.
        self.sizes = {name: int(record.rlen) for name, record in faidx.index.items()}
        self._path = path
        self._faidx = faidx

    def stretch(self, name: str, first: int, last: int) -> np.ndarray:
        """Return codes of bases [first, last), uint8; InputError names the first line with anything but bases."""
        codes = np.empty(last - first, dtype=np.uint8)
        for start in range(first, last, _FETCH_BASES):
            end = min(last, start + _FETCH_BASES)
            try:
                found = base_codes(self._faidx.lines(name, start, end), without=b"\r\n")
            except _ODD:
                self._refuse()
            if len(found) != end - start or found.max() > UNKNOWN:
                self._refuse()
            codes[start - first : end - first] = found
        return codes

    def windows(self, name: str, start: np.ndarray, length: int) -> np.ndarray:
        """Return windows within one record, uint8 (N, L); neighbours are fetched together."""
        windows = np.empty((len(start), length), dtype=np.uint8)
        order = np.argsort(start, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(start[order]) > length + _GAP) + 1):
            if len(rows):
                first, last = int(start[rows[0]]), int(start[rows[-1]]) + length
                every = np.lib.stride_tricks.sliding_window_view(self.stretch(name, first, last), length)
                windows[rows] = every[start[rows] - first]
        return windows

    def release(self) -> None:
        """Do nothing: no sequence is cached."""

    def _refuse(self) -> NoReturn:
        # ``read_fasta`` names the line, at the cost of reading from the top.
        for _ in read_fasta(self._path):
            continue
        raise InputError(
            f"{self._path} does not fit its index; delete {self._path}.fai and give the same command again"
        )


def open_indexed(path: str | Path) -> IndexedFasta | None:
    """Open a plain or bgzip FASTA for random access, building an index where none fits.

    None, with the reason logged, means that the file must be read whole: plain gzip, lines of unequal length, or
    otherwise irregular. Raises InputError where the file is missing, empty or of another format.
    """
    path = Path(path)
    with open_bytes(path), path.open("rb") as handle:
        start = handle.read(_BGZIP_START)
    zipped = start.startswith(GZIP_MAGIC)
    if zipped and not (len(start) == _BGZIP_START and start[3] & 4 and start[12:] == b"BC"):
        log.info("%s is gzip, which is read whole; bgzip files are read by position, which is faster", path)
        return None
    if zipped and path.suffix.lower() not in _BGZIP_SUFFIXES:
        log.info("%s is bgzip, but not named .gz: it is read whole, which takes more time and memory", path)
        return None
    places = _places(path)
    for place in places:
        faidx = _believed(path, place, zipped)
        if faidx:
            return IndexedFasta(path, faidx)
    try:
        return IndexedFasta(path, _made(path, places, zipped))
    except _ODD as error:
        reason = error if isinstance(error, pyfaidx.FastaIndexingError) else _IRREGULAR
        log.info("%s is read whole, which takes more time and memory than by position: %s", path, reason)
        return None


class _Block(pyfaidx.BgzfBlock):
    """A bgzip block that holds the byte at which it begins; pyfaidx takes that byte to be in the block before."""

    __slots__ = ()

    def __lt__(self, other: int) -> bool:  # type: ignore[override]
        return bool(self.ustart <= other)


class _Faidx(pyfaidx.Faidx):
    """pyfaidx that indexes a file from blocks of lines and shows its progress."""

    file: Any
    gzi_index: list[Any]

    def build_index(self) -> None:
        file = self.file
        try:
            with _lines(Path(self.filename), self._bgzf) as self.file:
                super().build_index()
        finally:
            self.file = file

    def raw(self, first: int, last: int) -> bytes:
        """Return bytes [first, last) of the unpacked file."""
        offset = first
        if self._bgzf:
            below = np.searchsorted(self.block_starts, first, side="right") - 1
            offset = pyfaidx.make_virtual_offset(
                int(self.gzi_index[below].cstart), first - self.gzi_index[below].ustart
            )
        self.file.seek(offset)
        return bytes(self.file.read(last - first))

    def lines(self, name: str, first: int, last: int) -> bytes:
        """Return bases [first, last) of a record, with the line ends among them."""
        record = self.index[name]
        return self.raw(*(record.offset + at // record.lenc * (record.lenb - record.lenc) + at for at in (first, last)))

    def prepare_blocks(self) -> None:
        """Prepare the block offsets of a bgzip file for searching."""
        self.gzi_index = [_Block(*block) for block in self.gzi_index]
        self.block_starts = np.array([block.ustart for block in self.gzi_index], dtype=np.int64)


class _Lines:
    """The lines of a file as pyfaidx reads them to index it; refuses what pyfaidx would index wrongly."""

    def __init__(self, handle: BinaryIO, raw: BinaryIO, bar: "tqdm[None]") -> None:
        self._handle, self._raw, self._bar = handle, raw, bar

    def tell(self) -> int:
        return 0

    def seek(self, offset: int) -> None:
        self._handle.seek(offset)

    def __iter__(self) -> Iterator[bytes]:
        rest: list[bytes] = []
        returns = None
        while block := self._handle.read(_READ_BYTES):
            self._bar.update(self._raw.tell() - self._bar.n)
            cut = block.rfind(b"\n") + 1
            if not cut:
                rest.append(block)
                if rest[0].startswith(b">"):
                    raise pyfaidx.FastaIndexingError(_IRREGULAR)
                continue
            lines, rest = b"".join([*rest, block[:cut]]), [block[cut:]]
            # pyfaidx would take mixed line ends to be of one length, and blanks to be bases.
            found = lines.count(b"\r"), lines.count(b"\r\n")
            usual = (0, 0) if not found[0] else (lines.count(b"\n"),) * 2
            if found != usual or returns not in (None, bool(found[0])):
                raise pyfaidx.FastaIndexingError("its line endings differ")
            returns = bool(found[0])
            yield from self._without_blanks(lines)
        yield from self._without_blanks(b"".join(rest))

    def _without_blanks(self, lines: bytes) -> Iterator[bytes]:
        suspicious = b" " in lines or b"\t" in lines
        for line in io.BytesIO(lines):
            if suspicious and not line.startswith(b">") and (b" " in line or b"\t" in line):
                raise pyfaidx.FastaIndexingError("it has spaces within lines of sequence")
            yield line


@contextmanager
def _lines(path: Path, zipped: bool) -> Iterator[_Lines]:
    size = path.stat().st_size
    if size > _LARGE:
        log.info("%s: indexing it, which is done once", path)
    with (
        path.open("rb") as raw,
        tqdm(total=size, unit="B", unit_scale=True, desc=f"index of {path.name}", delay=1, disable=None) as bar,
    ):
        # gzip reads lines much faster than the bgzip reader.
        yield _Lines(gzip.GzipFile(fileobj=raw) if zipped else raw, raw, bar)  # type: ignore[arg-type]


def _places(path: Path) -> list[Path]:
    """Return the paths that an index may have, without their ending: beside the file, then in the cache."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        # The user has no home directory, as in a container.
        return [path]
    if not cache.is_absolute():
        return [path]
    whole = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
    return [path, cache / "tfbs-moe" / f"{whole}.{path.name}"]


def _files(place: Path, zipped: bool) -> list[Path]:
    return [place.with_name(f"{place.name}{ending}") for ending in ([".fai", ".gzi"] if zipped else [".fai"])]


def _believed(path: Path, place: Path, zipped: bool) -> _Faidx | None:
    """Return the index at ``place`` if it exists, is no older than the file and fits it."""
    files = _files(place, zipped)
    try:
        age = path.stat().st_mtime_ns
        if any(file.stat().st_mtime_ns < age for file in files):
            return None
        return _opened(path, files)
    except _ODD:
        return None


def _opened(path: Path, files: list[Path]) -> _Faidx:
    """Open a file with its index and check one against the other; raises one of ``_ODD`` where they do not fit."""
    faidx = _Faidx(
        path, indexname=files[0], gzi_indexname=files[-1] if len(files) > 1 else None, as_raw=True, rebuild=False
    )
    if len(files) > 1:
        faidx.prepare_blocks()
        _check_blocks(faidx)
    _check_records(faidx)
    return faidx


def _made(path: Path, places: list[Path], zipped: bool) -> _Faidx:
    """Build the index, and keep it at the first place that is writable."""
    before = path.stat()
    with TemporaryDirectory() as folder:
        files = _files(Path(folder, "index"), zipped)
        faidx = _opened(path, files)
        after = path.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise pyfaidx.FastaIndexingError("it was changed while its index was made")
        for place in places:
            try:
                # The block index first: the pair counts as complete once the record index exists.
                for file, kept in reversed(list(zip(files, _files(place, zipped), strict=True))):
                    with atomic(kept) as temporary:
                        shutil.copyfile(file, temporary)
                        # Keeps the index of a file dated in the future from being older than the file.
                        newest = max(after.st_mtime_ns, temporary.stat().st_mtime_ns)
                        os.utime(temporary, ns=(newest, newest))
            except (OSError, InputError):
                continue
            return faidx
    log.info("%s: its index cannot be kept: neither its folder nor the cache (XDG_CACHE_HOME) is writable", path)
    return faidx


def _check_blocks(faidx: _Faidx) -> None:
    """Check for some blocks of a bgzip file that the next begins where the index says."""
    last = len(faidx.gzi_index) - 1
    for number in np.unique(np.linspace(1, last, _CHECKED_BLOCKS).astype(int)) if last > 0 else ():
        block, following = faidx.gzi_index[number - 1 : number + 1]
        size = following.ustart - block.ustart
        faidx.file.seek(pyfaidx.make_virtual_offset(block.cstart, 0))
        if len(faidx.file.read(size)) != size or faidx.file.tell() >> 16 != following.cstart:
            raise pyfaidx.FastaIndexingError(_IRREGULAR)


def _check_records(faidx: _Faidx) -> None:
    """Check that records begin below a line with their name, and that the last ends with the file."""
    wrong = pyfaidx.FastaIndexingError(_IRREGULAR)
    if not faidx.index:
        raise wrong
    every = -(-len(faidx.index) // _CHECKED_RECORDS)
    end = 0
    for number, (name, record) in enumerate(faidx.index.items()):
        if not (record.rlen > 0 and record.lenc > 0 and 0 <= record.lenb - record.lenc <= 2 and name.isprintable()):
            raise wrong
        if not end < record.offset <= end + HEADER_BYTES:
            raise wrong
        if number % every == 0:
            header = faidx.raw(end, record.offset).lstrip()
            words = header[1:].decode("utf-8", errors="replace").split()
            ending = faidx.raw(record.offset + record.lenc, record.offset + record.lenb)
            if (
                (end and faidx.raw(end - 1, end) != b"\n")
                or not (header.startswith(b">") and header.endswith(b"\n") and header.count(b"\n") == 1)
                or words[:1] != [name]
                or (record.rlen > record.lenc and ending not in (b"\n", b"\r\n"))
            ):
                raise wrong
        end = record.bend
    lines, rest = divmod(record.rlen - 1, record.lenc)
    tail = faidx.raw(record.offset + lines * record.lenb + rest, end + HEADER_BYTES)
    if not tail[:1].strip() or tail[1:].strip() or len(tail) > HEADER_BYTES:
        raise wrong
