"""What is known of chromosomes before any job: default splits, sizes of a FASTA, and what is refused at planning."""

import gzip
import os
from pathlib import Path

import pytest

from tfbs_moe.config import complete_config
from tfbs_moe.data.splits import ChromosomeSplit
from tfbs_moe.genome.assemblies import find_assembly, known_assemblies
from tfbs_moe.genome.chromosomes import fasta_sizes, genome_faults


def completed(splits=None, synthetic=None, **genome):
    parts = {"genome": genome, "splits": splits or {}} | ({"synthetic": synthetic} if synthetic else {})
    return complete_config({"run": "r", "experiments": "e.tsv", **parts})


def held_out(config):
    return config["splits"]["validation_chromosomes"], config["splits"]["test_chromosomes"]


def indexed(folder, sizes, name="genome.fa"):
    """Return a FASTA file of which the index alone says anything."""
    path = folder / name
    path.write_text(">nothing\n")
    path.with_name(f"{name}.fai").write_text("".join(f"{chrom}\t{size}\t0\t60\t61\n" for chrom, size in sizes.items()))
    return str(path)


@pytest.mark.parametrize(
    ("assembly", "validation", "test"),
    [
        ("hg19", ["chr8", "chr9"], ["chr1", "chr21"]),
        ("GRCh38", ["chr8", "chr9"], ["chr1", "chr21"]),
        ("T2T-CHM13", ["chr8", "chr9"], ["chr1", "chr21"]),
        ("mm10", ["chr2"], ["chr1"]),
        ("GRCm39", ["chr2"], ["chr1"]),
        ("dm6", ["chr2R"], ["chr2L"]),
        ("ce11", ["chrI"], ["chrIII"]),
        ("sacCer3", ["chrVII"], ["chrXV"]),
        ("danRer11", ["chr7"], ["chr4"]),
        ("tair10", ["2"], ["4"]),
        ("none", [], []),
    ],
)
def test_held_out_chromosomes_where_none_are_named(assembly, validation, test):
    assert held_out(completed(assembly=assembly)) == (validation, test)


@pytest.mark.parametrize("assembly", [name for name in known_assemblies() if name != "sacCer3"])
def test_the_rule_by_size_holds_out_about_a_tenth(assembly):
    config, sizes = completed(assembly=assembly), known_assemblies()[assembly].chromosomes
    for names in held_out(config):
        assert 0.05 < sum(sizes[name] for name in names) / sum(sizes.values()) < 0.2
    assert genome_faults(config) == []


def test_what_the_user_names_stays_and_the_rest_is_chosen_beside_it():
    assert held_out(completed({"test_chromosomes": ["chr2"]}, assembly="hg38")) == (["chr8", "chr9"], ["chr2"])
    # The usual ones are taken: the chromosome nearest to a tenth of the genome is the longest that is left.
    assert held_out(completed({"test_chromosomes": ["chr8:1-500"]}, assembly="hg38")) == (["chr1"], ["chr8:1-500"])
    assert held_out(completed({"test_chromosomes": [1], "validation_chromosomes": [2]})) == (["2"], ["1"])


def test_a_local_genome_says_what_its_chromosomes_are(tmp_path):
    human = {name.removeprefix("chr"): size for name, size in known_assemblies()["hg38"].chromosomes.items()}
    config = completed(assembly="hg38", fasta=indexed(tmp_path, human))
    assert held_out(config) == (["8", "9"], ["1", "21"])
    assert genome_faults(config) == []
    own = indexed(tmp_path, {"I": 100, "II": 90, "III": 300, "IV": 500, "X": 100, "MtDNA": 10})
    config = completed(assembly="worm", fasta=own, jaspar_group="nematodes", names="ensembl")
    assert held_out(config) == (["II"], ["I"])
    assert genome_faults(config) == []


def test_the_made_genome_is_split_by_its_own_chromosomes():
    synthetic = {"chromosomes": {"a": 100_000, "b": 20_000, "c": 30_000, "d": 90_000}}
    assert held_out(completed(synthetic=synthetic, assembly="planted")) == (["c"], ["b"])


def test_few_chromosomes_or_a_genome_in_pieces_must_be_split_by_hand(tmp_path):
    part = completed(assembly="GRCh38", fasta=indexed(tmp_path, {"chr2": 2_333_275}))
    assert held_out(part) == ([], [])
    (fault,) = genome_faults(part)
    assert fault == (
        "config: splits.validation_chromosomes and splits.test_chromosomes: name what is held out: none can be chosen "
        "by size of chr2; name parts such as chr1:1-500,000"
    )
    pieces = {f"contig{number}": 1000 for number in range(200)}
    (fault,) = genome_faults(completed(assembly="x", fasta=indexed(tmp_path, pieces), jaspar_group="plants"))
    assert "none can be chosen by size of contig0, contig1" in fault


def test_a_large_file_without_an_index(tmp_path, monkeypatch):
    monkeypatch.setattr("tfbs_moe.genome.chromosomes._SMALL_BYTES", 10)
    path = tmp_path / "genome.fa"
    path.write_text(">chr1\nACGTACGT\n")
    assert fasta_sizes(path) is None
    (fault,) = genome_faults(completed(assembly="x", fasta=str(path), jaspar_group="plants"))
    assert "are unknown until the file is read (or indexed by `samtools faidx`)" in fault
    # Of a known assembly the names are known; either way of writing them may be the file's.
    for named in (["chr1"], ["1"]):
        assert genome_faults(completed({"test_chromosomes": named}, assembly="hg38", fasta=str(path))) == []
    (fault,) = genome_faults(completed({"test_chromosomes": ["chr30"]}, assembly="hg38", fasta=str(path)))
    assert fault.startswith("config: splits: the genome has no chr30; it has chr1, chr2, chr3")


def test_sizes_of_a_small_file_and_of_an_index(tmp_path):
    text = ">chr1 first\nACGT\nAC\n\n> chr2\r\nACG\r\n"
    plain, packed = tmp_path / "a.fa", tmp_path / "a.fa.gz"
    plain.write_bytes(text.encode())
    packed.write_bytes(gzip.compress(text.encode(), mtime=0))
    assert fasta_sizes(plain) == fasta_sizes(packed) == {"chr1": 6, "chr2": 3}
    index = tmp_path / "a.fa.fai"
    index.write_text("chr1\t7\t6\t4\t5\n")
    os.utime(plain, (1000, 1000))
    assert fasta_sizes(plain) == {"chr1": 7}
    # An index older than its file is of another one.
    os.utime(index, (500, 500))
    assert fasta_sizes(plain) == {"chr1": 6, "chr2": 3}
    assert fasta_sizes(tmp_path / "none.fa") is None
    packed.write_bytes(b"\x1f\x8bnot gzip")
    assert fasta_sizes(packed) is None


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"test_chromosomes": ["chr30"]}, "splits: the genome has no chr30; it has chr1, chr2"),
        ({"test_chromosomes": ["chr8"], "validation_chromosomes": ["chr8"]}, "chr8 is named twice"),
        ({"test_chromosomes": ["chr8:1-500", "chr8"]}, "two parts of chr8 overlap at base 1"),
        ({"test_chromosomes": ["chr21:1-50,000,000"]}, "chr21:1-50,000,000 is not a part of chr21, which has bases"),
    ],
)
def test_splits_that_cannot_be_are_refused_before_any_job(splits, said):
    (fault,) = genome_faults(completed(splits, assembly="hg38"))
    assert said in fault
    assert fault.startswith("config: splits: ")


def test_a_split_that_leaves_nothing(tmp_path):
    fasta = indexed(tmp_path, {"a": 50, "b": 50})
    splits = {"test_chromosomes": ["a"], "validation_chromosomes": ["b:1-50"]}
    (fault,) = genome_faults(completed(splits, assembly="x", fasta=fasta, jaspar_group="fungi"))
    assert fault == "config: splits: the held-out chromosomes are the whole genome; nothing is left to train on"
    assert ChromosomeSplit(("b:1-50",), ("a",)).regions("test", {"a": 50, "b": 50}).values.tolist() == [["a", 0, 50]]


def test_a_genome_that_is_not_known(tmp_path):
    typo, group = genome_faults(completed(assembly="GCRh38"))
    assert "'GCRh38' is not known, so its sequence cannot be fetched; did you mean 'GRCh38'? Known are hg19" in typo
    assert "genome.jaspar_group: 'GCRh38' is not a known assembly" in group
    (fault,) = genome_faults(completed(assembly="hg38", fasta=str(tmp_path / "gone.fa")))
    assert f"genome.fasta: there is no file {tmp_path / 'gone.fa'}" in fault


@pytest.mark.parametrize(
    ("assembly", "names", "said"),
    [
        ("hg38", "ensembl", "ensembl writes 1, the genome has chr1, chr2"),
        ("tair10", "ucsc", "ucsc writes chr1, "),
    ],
)
def test_names_that_the_genome_does_not_have(assembly, names, said):
    (fault,) = genome_faults(completed(assembly=assembly, names=names))
    assert fault.startswith(f"config: genome.names: {said}")


def test_the_table_of_assemblies_in_the_documents_is_right():
    text = (Path(__file__).parents[2] / "config" / "README.md").read_text()
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")
    ]
    shown = {row[0]: row for row in rows if len(row) == 6}
    assert list(shown) == list(known_assemblies())
    for name, known in known_assemblies().items():
        _, also, _, group, blacklist, splits = shown[name]
        assert {find_assembly(each.strip(" `")).name for each in also.split(",") if each} <= {name}
        assert (group, blacklist) == (known.jaspar_group, "yes" if known.blacklist else "no")
        if splits != "the same":
            assert splits == "; ".join(", ".join(names) for names in held_out(completed(assembly=name)))
