"""FASTA files read by place: what can be, what is read whole, and indexes that are not believed."""

import gzip
import logging
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyfaidx
import pysam
import pytest
from Bio import bgzf

from peak_files import as_text, random_codes, write_fasta
from tfbs_moe.errors import InputError
from tfbs_moe.genome import indexed_fasta
from tfbs_moe.genome.fasta import read_fasta
from tfbs_moe.genome.genome import Genome, prepare_genome
from tfbs_moe.genome.indexed_fasta import open_indexed

# What may stand in a file that people have, what it reads as, and why it cannot be read by place, if so.
ODD = {
    "lower case": (b">a\nACgt\nNnaa\n>b\nTT\n", {"a": "ACGTNNAA", "b": "TT"}, None),
    "letters for several bases": (b">a\nARYS\nwkmb\n>b\ndhvN\n", {"a": "ANNNNNNN", "b": "NNNN"}, None),
    "descriptions": (b">a of > one\tday\nACGT\n>b   b\nTT\n", {"a": "ACGT", "b": "TT"}, None),
    "blank after >": (b"> a\nACGT\nAC\n>\tb x\nTT\n", {"a": "ACGTAC", "b": "TT"}, None),
    "CRLF": (b">a x\r\nACGT\r\nACG\r\n>b\r\nTT\r\n", {"a": "ACGTACG", "b": "TT"}, None),
    "CRLF, no end": (b">a\r\nACGT\r\nACGG\r\nT", {"a": "ACGTACGGT"}, None),
    "no end": (b">a\nACGT\nACGG\n>b\nTTAA\nTTAA", {"a": "ACGTACGG", "b": "TTAATTAA"}, None),
    "no end, one line": (b">a\nACGT\n>b\nTTA", {"a": "ACGT", "b": "TTA"}, None),
    "empty line between": (b">a\nACGT\nACG\n\n>b\nTT\n\n", {"a": "ACGTACG", "b": "TT"}, None),
    "empty line after whole lines": (b">a\nACGT\nACGT\n\n>b\nTT\n", {"a": "ACGTACGT", "b": "TT"}, None),
    "empty lines first": (b"\n\n>a\nACGT\n", {"a": "ACGT"}, None),
    "several empty lines": (b">a\nACGT\n\n\n>b\nTT\n\n\n\n", {"a": "ACGT", "b": "TT"}, "not regular enough"),
    "CRLF, empty line": (b">a\r\nACGT\r\nA\r\n\r\n>b\r\nTT\r\n", {"a": "ACGTA", "b": "TT"}, "is not consistent"),
    "unequal lines": (b">a\nACGT\nAC\nACGT\n>b\nTT\n", {"a": "ACGTACACGT", "b": "TT"}, "Inconsistent line found in >a"),
    "longer last line": (b">a\nAC\nACGT\n>b\nTT\n", {"a": "ACACGT", "b": "TT"}, "not regular"),
    "longer last line at the end": (b">a\nAC\nACGTACGT\n", {"a": "ACACGTACGT"}, "not regular"),
    "BOM": (b"\xef\xbb\xbf>a\nACGT\n", {"a": "ACGT"}, "before the first sequence"),
    "blanks within lines": (b">a\nAC GT\nAC GT\n>b\nTT\n", {"a": "ACGTACGT", "b": "TT"}, "spaces within"),
    "a blank in place of a base": (b">a\nACGT\nA TT\nCCCC\n", {"a": "ACGTATTCCCC"}, "spaces within"),
    "blanks at the end of lines": (b">a\nACGT \nACGT\t\n", {"a": "ACGTACGT"}, "spaces within"),
    "mixed ends": (b">a\nACGTA\nACGT\r\nCCCCC\n", {"a": "ACGTAACGTCCCCC"}, "its line endings differ"),
    "empty line below the name": (b">a\n\nACGT\n>b\nTT\n", {"a": "ACGT", "b": "TT"}, "is not consistent"),
    "Latin-1 in a description": (b">a caf\xe9\nACGT\n", {"a": "ACGT"}, "not regular enough"),
}


def bgzipped(path: Path) -> Path:
    """Return a copy of a file as bgzip."""
    packed = path.with_name(f"{path.name}.gz")
    pysam.tabix_compress(str(path), str(packed), force=True)
    return packed


def texts(genome: Genome) -> dict[str, str]:
    return {name: as_text(genome.codes(name)) for name in genome.sizes}


@pytest.mark.parametrize(("content", "expected", "reason"), ODD.values(), ids=ODD)
@pytest.mark.parametrize("pack", [lambda path: path, bgzipped], ids=["plain", "bgzip"])
def test_odd_files_read_by_place_as_they_read_whole(tmp_path, caplog, content, expected, reason, pack):
    caplog.set_level(logging.INFO)
    plain = tmp_path / "a.fa"
    plain.write_bytes(content)
    path = pack(plain)
    whole = tmp_path / "whole.fa.gz"
    whole.write_bytes(gzip.compress(content))
    assert open_indexed(whole) is None
    assert {name: as_text(codes) for name, codes in read_fasta(path)} == texts(Genome.open(whole)) == expected
    caplog.clear()
    for again in range(2):
        by_place = open_indexed(path)
        assert (by_place is None) == (reason is not None)
        if reason is not None:
            assert f"{path} is read whole" in caplog.text
            assert reason in caplog.text
        assert Path(f"{path}.fai").exists() == (reason is None), again
    genome = Genome.open(path)
    assert texts(genome) == expected
    for name, text in expected.items():
        starts = np.arange(-2, len(text) + 1)
        padded = f"NN{text}NNN"
        assert [as_text(row) for row in genome.padded(name, starts, 2)] == [padded[at : at + 2] for at in starts + 2]
    prepare_genome(path, tmp_path / "genome.h5")
    assert texts(Genome.open(tmp_path / "genome.h5")) == expected


@pytest.fixture
def sequences() -> dict[str, str]:
    return {"chr1": as_text(random_codes(200_000)), "chr2": as_text(random_codes(70_001, 1)), "chr10": "ACGT"}


def biopython(path: Path) -> Path:
    """Return a copy of a file as bgzip with blocks of 65,536 bytes, where bgzip's own are smaller."""
    packed = path.with_name(f"{path.name}.gz")
    with bgzf.BgzfWriter(str(packed)) as handle:
        handle.write(path.read_bytes())
    return packed


@pytest.mark.parametrize("pack", [lambda path: path, bgzipped, biopython], ids=["plain", "bgzip", "whole blocks"])
@pytest.mark.parametrize("width", [50, 61, 1 << 20])
def test_windows_read_by_place(tmp_path, monkeypatch, sequences, pack, width):
    monkeypatch.setattr(indexed_fasta, "_FETCH_BASES", 10_000)
    path = pack(write_fasta(tmp_path / "a.fa", sequences, width))
    assert open_indexed(path) is not None
    genome = Genome.open(path)
    assert texts(genome) == sequences
    draw = np.random.default_rng(0)
    names = draw.choice(["chr1", "chr2"], 400)
    starts = np.array([draw.integers(0, len(sequences[name]) - 101 + 1) for name in names])
    expected = [sequences[name][start : start + 101] for name, start in zip(names, starts, strict=True)]
    assert [as_text(row) for row in genome.windows(names, starts, 101)] == expected
    # Every place about the edges of the blocks of bgzip and of this reader.
    for edge in (10_000, 65_280 * 50 // 51, 65_536 * 50 // 51, 65_280, 65_536, 130_560, 131_072):
        for start in range(edge - 30, edge + 30):
            assert as_text(genome.windows(["chr1"], np.array([start]), 3)[0]) == sequences["chr1"][start : start + 3]


def test_gzip_is_read_whole_with_advice(tmp_path, caplog, sequences):
    caplog.set_level(logging.INFO)
    path = tmp_path / "a.fa.gz"
    path.write_bytes(gzip.compress(write_fasta(tmp_path / "a.fa", sequences).read_bytes()))
    assert texts(Genome.open(path)) == sequences
    assert "bgzip files are read by position, which is faster" in caplog.text
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.fa", "a.fa.gz"]


def test_a_large_file_says_that_its_index_is_made_and_only_once(tmp_path, caplog, monkeypatch, sequences):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(indexed_fasta, "_LARGE", 100)
    path = write_fasta(tmp_path / "a.fa", sequences)
    for _ in range(2):
        Genome.open(path)
    assert caplog.text.count(f"{path}: indexing it, which is done once") == 1


def edited(path: Path, old: bytes, new: bytes) -> None:
    path.write_bytes(path.read_bytes().replace(old, new, 1))


@pytest.mark.parametrize("pack", [lambda path: path, bgzipped], ids=["plain", "bgzip"])
def test_an_index_older_than_its_file_is_made_anew(tmp_path, pack, sequences):
    path = write_fasta(tmp_path / "a.fa", sequences)
    open_indexed(pack(path))
    # Of the same size, with records that begin elsewhere.
    moved = dict(sequences, chr1=sequences["chr1"][:-50], chr2="A" * 50 + sequences["chr2"])
    write_fasta(path, moved)
    packed = pack(path)
    index = Path(f"{packed}.fai")
    os.utime(packed, ns=(index.stat().st_mtime_ns + 1,) * 2)
    assert texts(Genome.open(packed)) == moved
    assert pyfaidx.Fasta(str(packed))["chr2"][:10].seq == "A" * 10


def replaced(sequences: dict[str, str], name: str, text: str) -> dict[str, str]:
    return {key: text if key == name else value for key, value in sequences.items()}


OTHERS = {
    "another order": lambda s: (dict(reversed(s.items())), 50),
    "another name": lambda s: ({"chrA" if name == "chr1" else name: text for name, text in s.items()}, 50),
    "another width": lambda s: (s, 60),
    "a longer chromosome": lambda s: (replaced(s, "chr1", s["chr1"] + "A"), 50),
    "a longer last one": lambda s: (replaced(s, "chr10", "ACGTACGT"), 50),
    "a shorter last one": lambda s: (replaced(s, "chr10", "A"), 50),
    "one more": lambda s: ({**s, "chr11": "ACGT"}, 50),
    "one less": lambda s: ({name: text for name, text in s.items() if name != "chr10"}, 50),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("pack", [lambda path: path, bgzipped], ids=["plain", "bgzip"])
def test_an_index_of_another_file_is_made_anew(tmp_path, sequences, pack, other):
    path = pack(write_fasta(tmp_path / "a.fa", sequences))
    (tmp_path / "other").mkdir()
    changed, width = other(sequences)
    foreign = pack(write_fasta(tmp_path / "other" / "a.fa", changed, width))
    assert open_indexed(foreign) is not None
    for index in foreign.parent.glob("*i"):
        shutil.copy(index, path.with_name(index.name))
    assert texts(Genome.open(path)) == sequences
    fresh = {name: record.rlen for name, record in pyfaidx.Faidx(str(path)).index.items()}
    assert fresh == {name: len(text) for name, text in sequences.items()}


RUBBISH = {
    "nothing": b"",
    "bytes": b"\0\xff" * 40,
    "two columns": b"chr1\t5\n",
    "a size below 0": b"chr1\t-5\t6\t50\t51\n",
    "lines of nothing": b"chr1\t9\t6\t0\t0\n",
}


@pytest.mark.parametrize("content", RUBBISH.values(), ids=RUBBISH)
@pytest.mark.parametrize("ending", [".fai", ".gzi"])
def test_an_index_of_rubbish_is_made_anew(tmp_path, sequences, content, ending):
    path = bgzipped(write_fasta(tmp_path / "a.fa", sequences))
    open_indexed(path)
    Path(f"{path}{ending}").write_bytes(content)
    assert texts(Genome.open(path)) == sequences
    assert Path(f"{path}{ending}").read_bytes() != content


@pytest.mark.parametrize("pack", [lambda path: path, bgzipped], ids=["plain", "bgzip"])
def test_an_index_that_fits_is_believed_and_samtools_believes_ours(tmp_path, monkeypatch, sequences, pack):
    path = pack(write_fasta(tmp_path / "a.fa", sequences))
    pysam.faidx(str(path))
    theirs = {each.name: each.read_bytes() for each in tmp_path.glob("*i")}
    with monkeypatch.context() as without:
        without.setattr(indexed_fasta, "_made", None)
        assert texts(Genome.open(path)) == sequences
    for index in tmp_path.glob("*i"):
        index.unlink()
    open_indexed(path)
    assert {each.name: each.read_bytes() for each in tmp_path.glob("*i")} == theirs
    with pysam.FastaFile(str(path)) as reference:
        assert {name: reference.fetch(name) for name in reference.references} == sequences


@pytest.mark.parametrize("pack", [lambda path: path, bgzipped], ids=["plain", "bgzip"])
def test_where_the_folder_cannot_be_written_the_index_lies_in_the_cache(tmp_path, monkeypatch, caplog, sequences, pack):
    caplog.set_level(logging.INFO)
    path = pack(write_fasta(tmp_path / "a.fa", sequences))
    # Root may write anywhere; a folder where the index should be cannot be replaced by anyone.
    Path(f"{path}.fai").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert texts(Genome.open(path)) == sequences
    kept = sorted(each.name.split(".", 1)[1] for each in (tmp_path / "cache" / "tfbs-moe").iterdir())
    assert kept == ([f"{path.name}.fai"] if pack is not bgzipped else [f"{path.name}.fai", f"{path.name}.gzi"])
    with monkeypatch.context() as without:
        without.setattr(indexed_fasta, "_made", None)
        assert texts(Genome.open(path)) == sequences
    # Another file of that name elsewhere has an index of its own; a later file in this place a new one.
    changed = replaced(sequences, "chr1", "ACGTT")
    again = pack(write_fasta(tmp_path / "a.fa", changed))
    os.utime(again, ns=(path.stat().st_mtime_ns + 10**9,) * 2)
    assert texts(Genome.open(again)) == changed
    assert "cannot be kept" not in caplog.text


@pytest.mark.parametrize("relative", [False, True], ids=["a file", "no whole path"])
def test_where_nothing_can_be_written_it_is_read_by_place_all_the_same(
    tmp_path, monkeypatch, caplog, sequences, relative
):
    caplog.set_level(logging.INFO)
    path = write_fasta(tmp_path / "a.fa", sequences)
    Path(f"{path}.fai").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "cache" if relative else str(tmp_path / "file"))
    by_place = open_indexed(path)
    assert by_place is not None
    assert as_text(by_place.stretch("chr2", 100, 200)) == sequences["chr2"][100:200]
    assert f"{path}: its index cannot be kept" in caplog.text
    assert {each.name for each in tmp_path.iterdir()} == {"a.fa", "a.fa.fai", "file"}


def test_a_file_dated_in_the_future_is_indexed_once(tmp_path, monkeypatch, sequences):
    path = write_fasta(tmp_path / "a.fa", sequences)
    os.utime(path, (4e9, 4e9))
    assert open_indexed(path) is not None
    monkeypatch.setattr(indexed_fasta, "_made", None)
    assert texts(Genome.open(path)) == sequences


def read_together(path: Path, barrier_file: Path) -> dict[str, str]:
    """Wait for the others, then read."""
    while not barrier_file.exists():
        pass
    return texts(Genome.open(path))


@pytest.mark.parametrize("pack", [lambda path: path, bgzipped], ids=["plain", "bgzip"])
def test_processes_may_make_an_index_at_once(tmp_path, sequences, pack):
    folder = tmp_path / "genome"
    folder.mkdir()
    path = pack(write_fasta(folder / "a.fa", sequences))
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        readers = [pool.submit(read_together, path, tmp_path / "go") for _ in range(4)]
        (tmp_path / "go").touch()
        assert [reader.result(60) for reader in readers] == [sequences] * 4
    endings = [".fai", ".gzi"] if pack is bgzipped else [".fai"]
    assert {each.name for each in folder.iterdir()} == {"a.fa", path.name, *(f"{path.name}{end}" for end in endings)}


def test_bad_letters_are_refused_where_they_are_met(tmp_path):
    path = tmp_path / "a.fa"
    path.write_bytes(b">chr1\n" + b"ACGTACGTAC\n" * 30 + b">chr2\nACGT\nAXGT\n")
    genome = Genome.open(path)
    assert as_text(genome.codes("chr1")) == "ACGTACGTAC" * 30
    assert as_text(genome.windows(["chr2"], np.array([0]), 5)[0]) == "ACGTA"
    with pytest.raises(InputError, match="a.fa, line 34: 'X' is not a base"):
        genome.windows(["chr2"], np.array([3]), 3)
    with pytest.raises(InputError, match="line 34: 'X' is not a base"):
        prepare_genome(path, tmp_path / "genome.h5")
    assert not (tmp_path / "genome.h5").exists()


NO_FASTA = {
    "name twice": (b">a\nACGT\n>b\nAC\n>a\nACGT\n", "line 5: the sequence a occurs twice"),
    "empty record": (b">a\n>b\nAC\n", "the sequence a is empty"),
    "empty last record": (b">a\nAC\n>b\n", "the sequence b is empty"),
    "no name": (b">a\nAC\n>\nAC\n", "line 3: a sequence without a name"),
    "comment": (b"; a comment\n>a\nAC\n", "line 1: a FASTA file opens with"),
    "control character": (b">a\0b\nAC\n", "line 1: the name .* holds a control character"),
    "HTML": (b"<html>", "line 1: a FASTA file opens with"),
}


@pytest.mark.parametrize(("content", "message"), NO_FASTA.values(), ids=NO_FASTA)
def test_what_is_no_fasta_is_refused_when_it_is_opened_and_leaves_no_index(tmp_path, content, message):
    path = tmp_path / "a.fa"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        Genome.open(path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.fa"]


def test_a_file_that_changes_while_it_is_open_is_refused(tmp_path, sequences):
    path = write_fasta(tmp_path / "a.fa", sequences)
    genome = Genome.open(path)
    with path.open("r+b") as handle:
        handle.truncate(100_000)
    with pytest.raises(InputError, match=r"a.fa does not fit its index; delete .*a.fa.fai"):
        genome.windows(["chr2"], np.array([500]), 101)
