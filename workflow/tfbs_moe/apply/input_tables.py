"""A user's tables: sequences from text, and variants from VCF, BCF or a table, one allele at a time."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pysam

from tfbs_moe.errors import InputError
from tfbs_moe.files import open_bytes, text_lines
from tfbs_moe.genome.fasta import base_codes, odd_letter
from tfbs_moe.sequence import UNKNOWN

BATCH_LINES = 16384
_SEQUENCE_COLUMNS = ("sequence", "seq")
_NAME_COLUMNS = ("name", "id", "eventid")
_SHOWN = 40
TABLE_COLUMNS = ("chrom", "pos", "ref", "alt")
_BCF_MAGIC = b"BCF"
_NONE = "."
# What a 64-bit number holds.
_POSITION = re.compile(r"\d{1,18}", re.ASCII)
_ALLELE = re.compile(r"[ACGTUNRYSWKMBDHV*.]+|<.*>", re.IGNORECASE)

Numbered = tuple[int, str]


def read_sequences(path: str | Path, *, rna: bool = False) -> Iterator[tuple[list[str], list[np.ndarray] | np.ndarray]]:
    """Yield names and codes of sequences, ``BATCH_LINES`` lines at a time.

    Codes are uint8 (N, S) where all sequences of the batch have S bases, else one array each. Fields are separated by
    tabs, in a .csv by commas; the file may be gzipped. Where the first line names a column ``sequence`` (or ``seq``),
    that column is read, and names from ``name`` or ``id`` if there is one. Otherwise a line is a sequence, or a name
    and a sequence. A sequence without a name is named by its line; blank lines are skipped; with ``rna`` U reads as T.
    InputError where the file is missing, damaged or empty, or a line, which the message names, is no sequence.
    """
    path = Path(path)
    separator = "," if ".csv" in (suffix.lower() for suffix in path.suffixes) else "\t"
    with open_bytes(path) as handle:
        numbered = enumerate(text_lines(handle, path), start=1)
        lines: Iterator[Numbered] = (each for each in numbered if each[1].strip())
        first = next(lines, None)
        if first is not None:
            titles = [title.strip().lower() for title in first[1].split(separator)]
            sequence = _place(titles, _SEQUENCE_COLUMNS)
            if sequence is None:
                sequence, name = len(titles) - 1, 0 if len(titles) > 1 else None
                lines = chain([first], lines)
            else:
                name = _place(titles, _NAME_COLUMNS)
        empty = True
        while batch := list(islice(lines, BATCH_LINES)):
            assert sequence is not None
            empty = False
            yield _read(path, batch, separator, sequence, name, rna)
    if empty:
        raise InputError(f"{path} holds no sequence; one per line, or a table with a column 'sequence', was expected")


def _place(titles: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((titles.index(title) for title in wanted if title in titles), None)


def _read(
    path: Path, batch: list[Numbered], separator: str, sequence: int, name: int | None, rna: bool
) -> tuple[list[str], list[np.ndarray] | np.ndarray]:
    names, sequences = [], []
    least = max(sequence, name or 0)
    for number, line in batch:
        fields = line.rstrip("\r\n").split(separator)
        if len(fields) <= least:
            raise InputError(
                f"{path}, line {number}: {len(fields)} column(s) where the first line has at least {least + 1}"
            )
        sequences.append(fields[sequence].strip())
        names.append(fields[name].strip() if name is not None else f"line{number}")
    return names, _codes(path, batch, sequences, rna)


def _codes(path: Path, batch: list[Numbered], sequences: list[str], rna: bool) -> list[np.ndarray] | np.ndarray:
    lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
    if not lengths.all():
        raise InputError(f"{path}, line {batch[int(np.argmin(lengths))][0]}: the sequence is empty")
    # A non-ASCII character becomes one byte, so that positions are kept.
    codes = base_codes("".join(sequences).encode("ascii", "replace"), rna=rna)
    ends = np.cumsum(lengths)
    if (codes > UNKNOWN).any():
        row = int(np.searchsorted(ends, np.flatnonzero(codes > UNKNOWN)[0], side="right"))
        wrong = (base_codes(one.encode("ascii", "replace"), rna=rna)[0] > UNKNOWN for one in sequences[row])
        letter = next(one for one, is_wrong in zip(sequences[row], wrong, strict=True) if is_wrong)
        raise InputError(f"{path}, line {batch[row][0]}, in {sequences[row][:_SHOWN]!r}: {odd_letter(letter)}")
    if (lengths == lengths[0]).all():
        return codes.reshape(len(sequences), -1)
    return np.split(codes, ends[:-1])


@dataclass(frozen=True)
class Allele:
    """One alternative allele of a variant, as in the file.

    Attributes:
        chrom: chromosome.
        position: 1-based, of the first base of the reference allele.
        name: of the variant; ``.`` where it has none.
        reference: the reference allele.
        alternative: the alternative allele; ``.`` where the row has none.
    """

    chrom: str
    position: int
    name: str
    reference: str
    alternative: str


def read_variants(path: str | Path) -> Iterator[Allele]:
    """Yield every alternative allele of every row, in the order of the file.

    Args:
        path: BCF; or VCF or any table (plain, gzip, bgzip) with the columns chrom, pos (1-based), ref, alt and
            optionally id, separated by tabs, and several alternatives by commas; in a .csv, by commas and ``/``.

    Raises:
        InputError: the file is missing, damaged or of another format; the message names the line where there is one.
    """
    path = Path(path)
    with open_bytes(path) as handle:
        binary = handle.read(len(_BCF_MAGIC)) == _BCF_MAGIC
    return _from_bcf(path) if binary else _from_text(path)


def _from_bcf(path: Path) -> Iterator[Allele]:
    # Silence htslib's own messages on standard error, such as chromosomes missing in the header.
    before = pysam.set_verbosity(0)
    rows = 0
    try:
        with pysam.VariantFile(str(path)) as file:
            for record in file:
                rows += 1
                for alternative in record.alts or (_NONE,):
                    yield Allele(record.chrom, record.pos, record.id or _NONE, record.ref or "", alternative)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as BCF after row {rows} ({error}). Check it with bcftools view, or give a table "
            f"with the columns {' '.join(TABLE_COLUMNS)}"
        ) from None
    finally:
        pysam.set_verbosity(before)


def _from_text(path: Path) -> Iterator[Allele]:
    commas = ".csv" in (suffix.lower() for suffix in path.suffixes)
    separator, between = (",", "/") if commas else ("\t", ",")
    with open_bytes(path) as handle:
        lines = ((number, line.rstrip("\r\n")) for number, line in enumerate(text_lines(handle, path), start=1))
        lines = ((number, line) for number, line in lines if line.strip() and not line.startswith("##"))
        header = next(lines, None)
        if header is None:
            raise InputError(f"{path} is empty; VCF or a table with the columns {' '.join(TABLE_COLUMNS)} was expected")
        titles = [title.strip().lstrip("#").lower() for title in header[1].split(separator)]
        missing = [name for name in TABLE_COLUMNS if name not in titles]
        if missing and (advice := _how_to_name(header[1].split(separator), titles)):
            raise InputError(f"{path}, line {header[0]}: {advice}")
        if missing:
            raise InputError(
                f"{path}, line {header[0]}: the table lacks {', '.join(missing)}; it has {', '.join(titles)}. Columns "
                f"{' '.join(TABLE_COLUMNS)} (and id) were expected, as VCF has them"
            )
        for number, line in lines:
            fields = [field.strip() for field in line.split(separator)]
            if len(fields) < len(titles):
                raise InputError(f"{path}, line {number}: {len(fields)} columns where the header has {len(titles)}")
            row = dict(zip(titles, fields, strict=False))
            if not _POSITION.fullmatch(row["pos"]):
                shown = row["pos"][:_SHOWN]
                raise InputError(f"{path}, line {number}: pos is {shown!r}; a 1-based position was expected")
            for alternative in row["alt"].split(between):
                yield Allele(row["chrom"], int(row["pos"]), row.get("id") or _NONE, row["ref"], alternative or _NONE)


def _how_to_name(fields: list[str], titles: list[str]) -> str | None:
    """Return what to do about a first line that has no titles or other ones; None where that is not clear."""
    if len(fields) == 1 and len(fields[0].split()) >= len(TABLE_COLUMNS):
        return "its columns are separated by blanks; separate them by tabs: tr -s ' ' '\\t' < FILE"
    if "uploaded_variation" in titles:
        return "this is VEP's output, which lacks the reference alleles; give the VCF that it was made from"
    if len(fields) < len(TABLE_COLUMNS) or not _POSITION.fullmatch(fields[1]):
        return None
    for names, alleles in (("chrom pos id ref alt", fields[3:5]), ("chrom pos ref alt", fields[2:4])):
        if len(alleles) == 2 and all(_ALLELE.fullmatch(each) for text in alleles for each in text.split(",")):
            wanted = "\\t".join(names.split())
            return (
                f"this is a variant, and a line with the titles of the columns is missing above it: {names}, separated "
                f"by tabs, as (printf '{wanted}\\n'; cat FILE) > WITH_TITLES writes it"
            )
    return None
