"""FASTA to codes, prepared genomes, and windows cut from either."""

import gzip

import h5py
import numpy as np
import pyfaidx
import pytest
from Bio import bgzf

from peak_files import as_text, make_genome, random_codes, write_fasta
from tfbs_moe.errors import InputError
from tfbs_moe.genome import fasta
from tfbs_moe.genome.fasta import read_fasta
from tfbs_moe.genome.genome import Genome, prepare_genome
from tfbs_moe.sequence import codes_from_one_hot, encode


def read(path) -> dict[str, str]:
    return {name: as_text(codes) for name, codes in read_fasta(path)}


def test_case_ambiguity_codes_descriptions_and_line_ends(tmp_path):
    path = tmp_path / "a.fa"
    path.write_bytes(b"\xef\xbb\xbf\r\n>chr1 first > of two\r\nACgt\r\nNnRy\r\n\r\n>chr2\nTT TT\nAA")
    assert read(path) == {"chr1": "ACGTNNNN", "chr2": "TTTTAA"}


@pytest.mark.parametrize("block", [1, 7, 61, 1 << 22])
def test_blocks_may_end_anywhere(tmp_path, monkeypatch, block):
    monkeypatch.setattr(fasta, "_BLOCK_BYTES", block)
    sequences = {f"chr{i}": as_text(random_codes(50 * i + 13, i)) for i in range(1, 4)}
    assert read(write_fasta(tmp_path / "a.fa", sequences)) == sequences


@pytest.mark.parametrize("block", [64, 1 << 22])
def test_one_long_line(tmp_path, monkeypatch, block):
    monkeypatch.setattr(fasta, "_BLOCK_BYTES", block)
    sequences = {"chr1": as_text(random_codes(2000)), "chr2": "ACGT"}
    assert read(write_fasta(tmp_path / "a.fa", sequences, width=10_000)) == sequences


def test_plain_gzip_and_bgzip_read_alike_and_as_pyfaidx_reads_them(tmp_path):
    sequences = {"chr1": as_text(random_codes(70_000)), "chr2": as_text(random_codes(300, 1)).lower()}
    plain = write_fasta(tmp_path / "a.fa", sequences)
    (tmp_path / "gzip.fa.gz").write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    with bgzf.BgzfWriter(str(tmp_path / "bgzip.fa.gz")) as handle:
        handle.write(plain.read_bytes())
    with pyfaidx.Fasta(str(plain)) as reference:
        expected = {name: str(reference[name]).upper() for name in sequences}
    for name in ("a.fa", "gzip.fa.gz", "bgzip.fa.gz"):
        assert read(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has no bytes"),
        (b"\n\n", "holds no sequence"),
        (b"ACGT\n", "line 1: a FASTA file opens with a line such as '>chr1'"),
        (b">chr1\nACGT\n>chr1\nAC\n", "line 3: the sequence chr1 occurs twice"),
        (b">chr1\n>chr2\nAC\n", "the sequence chr1 is empty"),
        (b">chr1\nAC\n>\nAC\n", "line 3: a sequence without a name"),
        (b">chr1\nACGT\nACXT\n", "line 3: 'X' is not a base"),
        (b">ch\0r1\nAC\n", "line 1: the name .* holds a control character"),
        (b">prot\nMKL*\n", r"line 2: 'L' is not a base"),
        (b">chr1\nAC\0T\n", "line 2: .* is not a base"),
        (b"<html>oops</html>", "line 1: a FASTA file opens with"),
    ],
)
@pytest.mark.parametrize("block", [3, 1 << 22])
def test_what_is_wrong_with_a_fasta_is_said_with_its_line(tmp_path, monkeypatch, content, message, block):
    monkeypatch.setattr(fasta, "_BLOCK_BYTES", block)
    path = tmp_path / "a.fa"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        read(path)
    assert str(path) in str(raised.value)


def test_a_truncated_gzip_leaves_no_prepared_genome(tmp_path):
    whole = gzip.compress(b">chr1\n" + b"ACGTTGCA\n" * 5000, mtime=0)
    (tmp_path / "a.fa.gz").write_bytes(whole[:-30])
    with pytest.raises(InputError, match="cut short"):
        prepare_genome(tmp_path / "a.fa.gz", tmp_path / "a.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["a.fa.gz"]


@pytest.fixture
def both(tmp_path) -> tuple[dict[str, np.ndarray], Genome, Genome]:
    codes = {"chr1": random_codes(5000), "1/odd": random_codes(700, 1), "chr2": random_codes(150, 2)}
    codes["chr2"][20:30] = 4
    opened = make_genome(tmp_path, codes)
    prepare_genome(opened.path, tmp_path / "genome.h5")
    return codes, opened, Genome.open(tmp_path / "genome.h5")


def test_prepared_and_unprepared_genomes_agree(both):
    codes, *genomes = both
    for genome in genomes:
        assert genome.sizes == {name: len(row) for name, row in codes.items()}
        for name, row in codes.items():
            np.testing.assert_array_equal(genome.codes(name), row)
        assert genome.size_of(["chr2", "absent", "chr1"]).tolist() == [150, 0, 5000]


def test_windows_are_what_a_plain_slice_gives(both):
    codes, *genomes = both
    draw = np.random.default_rng(3)
    names = draw.choice(list(codes), 6000)
    starts = np.array([draw.integers(0, len(codes[name]) - 101 + 1) for name in names])
    expected = np.stack([codes[name][start : start + 101] for name, start in zip(names, starts, strict=True)])
    for genome in genomes:
        np.testing.assert_array_equal(genome.windows(names, starts, 101), expected)
        np.testing.assert_array_equal(codes_from_one_hot(genome.one_hot(list(names), starts, 101)), expected)


def test_the_last_window_of_a_chromosome_and_no_window(both):
    codes, _, genome = both
    np.testing.assert_array_equal(genome.windows(["chr2"], np.array([49]), 101)[0], codes["chr2"][49:])
    assert genome.windows([], np.zeros(0), 101).shape == (0, 101)
    assert genome.one_hot([], np.zeros(0), 101).shape == (0, 4, 101)


@pytest.mark.parametrize(
    ("chrom", "start", "message"),
    [
        ("chr2", 50, "window 1, chr2:50-151, cannot be cut: chr2 is 150 bases long"),
        ("chr2", -1, "chr2:-1-100"),
        ("chrX", 5, "chrX is not in"),
    ],
)
def test_a_window_that_does_not_exist_is_refused(both, chrom, start, message):
    for genome in both[1:]:
        with pytest.raises(InputError, match=message):
            genome.windows(["chr1", chrom], np.array([0, start]), 101)


@pytest.mark.parametrize("start", [-150, -101, -5, 0, 30, 49, 60, 149, 150])
def test_windows_over_the_ends_are_unknown_there(both, start):
    codes, *genomes = both
    around = np.pad(codes["chr2"], 200, constant_values=4)
    starts = np.array([start, 20, start])
    expected = np.stack([around[one + 200 : one + 301] for one in starts])
    for genome in genomes:
        np.testing.assert_array_equal(genome.padded("chr2", starts, 101), expected)
    with pytest.raises(InputError, match="has no chromosome chrX; it has chr1, 1/odd, chr2"):
        genomes[0].padded("chrX", starts, 101)


def test_damage_is_found_where_it_is_looked_at_and_by_a_check_of_the_whole(tmp_path):
    codes = {"chr1": random_codes(20_000), "chr2": random_codes(9000, 1)}
    prepare_genome(make_genome(tmp_path, codes).path, tmp_path / "genome.h5")
    Genome.open(tmp_path / "genome.h5").check()
    whole = bytearray((tmp_path / "genome.h5").read_bytes())
    # A bit of base 10,000 of chr1, in its third block of 4,096.
    whole[whole.index(codes["chr1"].tobytes()) + 10_000] ^= 1
    (tmp_path / "damaged.h5").write_bytes(whole)
    genome = Genome.open(tmp_path / "damaged.h5")
    np.testing.assert_array_equal(genome.codes("chr2"), codes["chr2"])
    np.testing.assert_array_equal(genome.windows(["chr1"], np.array([8091]), 101)[0], codes["chr1"][8091:8192])
    np.testing.assert_array_equal(genome.padded("chr1", np.array([12_288]), 101)[0], codes["chr1"][12_288:12_389])
    found = r"damaged.h5 is damaged: chr1 does not have the checksum noted with it near base 8192; delete it"
    for looked in (
        lambda: genome.windows(["chr2", "chr1"], np.array([5, 8092]), 101),
        lambda: genome.one_hot(["chr1"], np.array([12_287]), 101),
        lambda: genome.padded("chr1", np.array([0, 19_990]), 9000),
        lambda: genome.codes("chr1"),
        genome.check,
    ):
        with pytest.raises(InputError, match=found):
            looked()


def test_damage_to_names_and_checksums_is_found_when_a_prepared_genome_is_opened(tmp_path):
    codes = {"chr1": random_codes(20_000), "chr2": random_codes(9000, 1)}
    prepare_genome(make_genome(tmp_path, codes).path, tmp_path / "genome.h5")
    with h5py.File(tmp_path / "genome.h5", "r+") as file:
        file["chrom"][0] = "chr3"
    with pytest.raises(InputError, match="its list of chromosomes does not have the checksum noted"):
        Genome.open(tmp_path / "genome.h5")
    with h5py.File(tmp_path / "genome.h5", "r+") as file:
        file["chrom"][0] = "chr1"
        file["crc32/1"][0] ^= 1
    with pytest.raises(InputError, match="its list of chromosomes does not have the checksum noted"):
        Genome.open(tmp_path / "genome.h5")


def test_known_letters():
    np.testing.assert_array_equal(encode(["ACGTN"]), [[0, 1, 2, 3, 4]])


def test_damaged_prepared_genomes(tmp_path, both):
    whole = (tmp_path / "genome.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut.h5 (is|cannot be read as HDF5; it is) (damaged|cut short)"):
        Genome.open(tmp_path / "cut.h5")
    with h5py.File(tmp_path / "packed.h5", "w") as file, h5py.File(tmp_path / "genome.h5") as whole:
        file.attrs["format"] = whole.attrs["format"]
        file["chrom"] = whole["chrom"][()]
        for number, codes in enumerate(both[0].values()):
            file.create_dataset(f"codes/{number}", data=codes, compression="gzip")
    with pytest.raises(InputError, match="codes/0 cannot be mapped"):
        Genome.open(tmp_path / "packed.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1]
    with pytest.raises(InputError, match="other.h5 cannot be used as a prepared genome"):
        Genome.open(tmp_path / "other.h5")
    with pytest.raises(InputError, match="there is no such file"):
        Genome.open(tmp_path / "absent.fa")
