"""Variants from VCF, BCF or a table, one allele at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pysam

from tfbs_moe.errors import InputError
from tfbs_moe.tables import open_bytes, text_lines

TABLE_COLUMNS = ("chrom", "pos", "ref", "alt")
_BCF_MAGIC = b"BCF"
_NONE = "."


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
            if not (row["pos"].isascii() and row["pos"].isdigit()):
                raise InputError(f"{path}, line {number}: pos is {row['pos']!r}; a 1-based position was expected")
            for alternative in row["alt"].split(between):
                yield Allele(row["chrom"], int(row["pos"]), row.get("id") or _NONE, row["ref"], alternative or _NONE)
