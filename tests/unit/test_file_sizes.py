"""Files larger than they look, or endless: sizes are looked at before memory is taken, and the answer is a message."""

import gzip
import time
import tracemalloc
from pathlib import Path

import pytest

from tfbs_moe import files, tables
from tfbs_moe.apply.input_tables import read_sequences, read_variants
from tfbs_moe.data.deepbind import read_deepbind
from tfbs_moe.data.peaks import read_intervals, read_peaks
from tfbs_moe.errors import InputError
from tfbs_moe.genome.fasta import read_fasta
from tfbs_moe.genome.genome import Genome

MEGABYTE = 1 << 20


def bomb(path: Path, start: bytes, size: int) -> Path:
    """Write a small gzip file that unpacks to ``size`` letters in one line."""
    with gzip.open(path, "wb", compresslevel=1) as handle:
        handle.write(start)
        for _ in range(size // MEGABYTE):
            handle.write(b"A" * MEGABYTE)
    return path


@pytest.mark.parametrize(
    ("read", "start"),
    [
        (read_peaks, b"chr1\t1\t2\t"),
        (read_intervals, b"chr1\t1\t2\t"),
        (read_deepbind, b"FoldID\tEventID\tseq\tBound\n"),
        (lambda path: list(read_sequences(path)), b"name\tsequence\na\t"),
        (lambda path: list(read_variants(path)), b"chrom\tpos\tref\talt\nchr1\t1\tA\t"),
        (tables.read_json, b'{"a": "'),
    ],
    ids=["peaks", "intervals", "deepbind", "sequences", "variants", "json"],
)
def test_a_text_that_unpacks_to_far_more_is_refused_before_memory_is_full(tmp_path, monkeypatch, read, start):
    monkeypatch.setattr(files, "LARGEST_TEXT", 2 * MEGABYTE)
    path = bomb(tmp_path / "a.gz", start, 64 * MEGABYTE)
    if read is tables.read_json:
        path.write_bytes(gzip.decompress(path.read_bytes()))
    tracemalloc.start()
    with pytest.raises(InputError, match="more than 2 MB"):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * MEGABYTE


@pytest.mark.parametrize("name", ["a.fa", "a.fa.gz"])
@pytest.mark.parametrize("start", [b">", b">chr1\nACGT\n>"])
def test_a_header_without_end_is_no_fasta(tmp_path, name, start):
    path = bomb(tmp_path / "a.fa.gz", start, 96 * MEGABYTE)
    if name == "a.fa":
        (tmp_path / name).write_bytes(gzip.decompress(path.read_bytes()))
    began = time.process_time()
    for read in (lambda path: list(read_fasta(path)), Genome.open):
        with pytest.raises(InputError, match="a line with '>' of more than 65536 bytes; this is not FASTA"):
            read(tmp_path / name)
    assert time.process_time() - began < 5


def test_a_chromosome_on_one_long_line_is_read(tmp_path):
    path = tmp_path / "a.fa"
    path.write_bytes(b">chr1\n" + b"ACGT" * (3 * MEGABYTE) + b"\n>chr2\nAC")
    assert {name: len(codes) for name, codes in read_fasta(path)} == {"chr1": 12 * MEGABYTE, "chr2": 2}
    assert Genome.open(path).sizes == {"chr1": 12 * MEGABYTE, "chr2": 2}
