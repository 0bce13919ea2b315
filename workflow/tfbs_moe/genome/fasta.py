"""Read plain, gzip or bgzip FASTA files as integer codes, a block at a time."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfbs_moe.errors import InputError
from tfbs_moe.files import open_bytes
from tfbs_moe.sequence import ALPHABET, UNKNOWN

_BLOCK_BYTES = 1 << 22
# A definition line is at most this long.
HEADER_BYTES = 1 << 16
_SHOWN = 80
_INVALID = 255
_AMBIGUOUS = "NRYSWKMBDHV"  # IUPAC codes of several bases; hg19 has a few
_BLANKS = b"\r\n\t "
_HEADER = re.compile(rb"^>([^\n]*)\n?", re.MULTILINE)
_BOM = b"\xef\xbb\xbf"


def _translation(rna: bool) -> bytes:
    table = np.full(256, _INVALID, dtype=np.uint8)
    for code, bases in [*((UNKNOWN, base) for base in _AMBIGUOUS), *enumerate(ALPHABET)]:
        table[ord(bases)] = table[ord(bases.lower())] = code
    if rna:
        table[ord("U")] = table[ord("u")] = table[ord("T")]
    return table.tobytes()


_DNA, _RNA = (_translation(rna) for rna in (False, True))


def base_codes(letters: bytes, without: bytes = b"", *, rna: bool = False) -> np.ndarray:
    """Return the codes of bases as ``read_fasta`` reads them, uint8, 255 for other letters; ``without`` are skipped."""
    return np.frombuffer(letters.translate(_RNA if rna else _DNA, without), dtype=np.uint8)


def odd_letter(letter: str) -> str:
    """Say what a letter is that stands in a sequence and is not a base of DNA."""
    if letter in "Uu":
        return f"{letter!r}: this is RNA, where DNA was expected; --rna reads U as T"
    return f"{letter!r} is not a base; DNA was expected (A, C, G, T, N, and R Y S W K M B D H V as N)"


def read_fasta(path: str | Path, *, rna: bool = False) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and codes of each record, uint8 (S,), 0 to 3 for A, C, G, T and 4 for N; one in memory at a time.

    Soft-masked bases read as upper case, ambiguous ones such as R as N, and with ``rna`` U as T. A name ends at its
    first blank. Raises InputError where the file is missing, damaged or not FASTA, a record is empty or occurs twice,
    or a letter is not a base; a message about a name or a letter gives the line.
    """
    seen: set[str] = set()
    name: str | None = None
    parts: list[bytes] = []
    for line, header, letters in _pieces(Path(path)):
        if header is not None:
            if name is not None:
                yield name, _record(path, name, parts)
            name, parts = _name(path, line, header, seen), []
        if name is None and letters.strip():
            raise InputError(f"{path}, line {line}: a FASTA file opens with a line such as '>chr1'; this is not FASTA")
        if letters:
            parts.append(_encode(path, line, letters, rna))
    if name is None:
        raise InputError(f"{path} holds no sequence; a FASTA file was expected")
    yield name, _record(path, name, parts)


def _pieces(path: Path) -> Iterator[tuple[int, bytes | None, bytes]]:
    """Yield (line, header or None, sequence up to the next header or the end of the block)."""
    line = 1
    for block in _whole_lines(path):
        headers = list(_HEADER.finditer(block)) if b">" in block else []
        ends = [*(header.start() for header in headers), len(block)]
        if ends[0]:
            yield line, None, block[: ends[0]]
        start, counted = line, 0
        for header, after in zip(headers, ends[1:], strict=True):
            # Counted on from the previous header: a file may hold a million records.
            start, counted = start + block.count(b"\n", counted, header.start()), header.start()
            # Sequence begins on the line below its header.
            yield start, header.group(1), b""
            yield start + 1, None, block[header.end() : after]
        line += block.count(b"\n")


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Yield blocks that end with a line, so that no header is cut in two."""
    rest = b""
    with open_bytes(path) as handle:
        first = True
        while block := handle.read(_BLOCK_BYTES):
            if first:
                block, first = block.removeprefix(_BOM), False
            block = rest + block
            cut = block.rfind(b"\n") + 1
            # A chromosome may be one long line, which need not be whole.
            if not cut and b">" not in block:
                cut = len(block)
            rest = block[cut:]
            if len(rest) > HEADER_BYTES and b">" in rest:
                raise InputError(f"{path}: a line with '>' of more than {HEADER_BYTES} bytes; this is not FASTA")
            if cut:
                yield block[:cut]
    if rest:
        yield rest


def _name(path: str | Path, line: int, header: bytes, seen: set[str]) -> str:
    words = header.decode("utf-8", errors="replace").split()
    if not words:
        raise InputError(f"{path}, line {line}: a sequence without a name")
    if not words[0].isprintable():
        raise InputError(
            f"{path}, line {line}: the name {words[0][:_SHOWN]!r} holds a control character; this is not FASTA"
        )
    if words[0] in seen:
        raise InputError(f"{path}, line {line}: the sequence {words[0][:_SHOWN]} occurs twice; names must differ")
    seen.add(words[0])
    return words[0]


def _encode(path: str | Path, line: int, letters: bytes, rna: bool) -> bytes:
    valid = _RNA if rna else _DNA
    codes = letters.translate(valid, _BLANKS)
    if _INVALID in codes:
        place = next(at for at, each in enumerate(letters) if each not in _BLANKS and valid[each] == _INVALID)
        line += letters.count(b"\n", 0, place)
        raise InputError(f"{path}, line {line}: {odd_letter(chr(letters[place]))}")
    return codes


def _record(path: str | Path, name: str, parts: list[bytes]) -> np.ndarray:
    if not any(parts):
        raise InputError(f"{path}: the sequence {name} is empty")
    return np.frombuffer(b"".join(parts), dtype=np.uint8)
