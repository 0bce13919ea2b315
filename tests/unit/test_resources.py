"""The tracked tables are whole, agree with each other, and follow the rules they are documented with."""

import csv
import hashlib
import re
from pathlib import Path

import pytest

from tfbs_moe.config import read_experiments
from tfbs_moe.data.download import sources
from tfbs_moe.genome.assemblies import known_assemblies

ROOT = Path(__file__).resolve().parents[2]
TRAINING = ["ARID3A", "FOXM1", "GATA3", "JUND", "MAX", "GABPA", "SP1"]
NOT_PINNED = {"EP300", "EZH2", "TAF1"}
KILOBYTES = {"KB": 1, "MB": 1024}


def read(name):
    with open(ROOT / "resources" / name, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


@pytest.fixture(scope="module")
def uniform():
    return read("peaks_hg19_uniform.tsv")


@pytest.fixture(scope="module")
def factors():
    return {row["factor"]: row for row in read("factors.tsv")}


@pytest.fixture(scope="module")
def experiments():
    return read_experiments(ROOT / "config" / "config.tsv")


def usable(row):
    plain = "eGFP" not in row["antibody"] and "phospho" not in row["antibody"]
    return row["quality"] == "good" and row["treatment"] == "None" and plain


def kilobytes(row):
    number, unit = row["listed_size"].split()
    return float(number) * KILOBYTES[unit]


def by_rule(uniform, factor, cell):
    files = [row for row in uniform if row["factor"] == factor and row["cell"] == cell and usable(row)]
    return min(files, key=lambda row: (-kilobytes(row), row["ucsc_accession"]))


@pytest.mark.parametrize(
    ("table", "key", "count"),
    [
        ("peaks_hg19_uniform.tsv", "url", 345),
        ("peaks_grch38.tsv", "accession", 54),
        ("paper_files.tsv", "file", 12),
        ("factors.tsv", "factor", 37),
        ("reference.tsv", "url", 15),
    ],
)
def test_rows_are_whole_and_unique(table, key, count):
    rows = read(table)
    assert len(rows) == len({row[key] for row in rows}) == count
    for row in rows:
        assert None not in row and None not in row.values()
        assert all(value == value.strip() for value in row.values())
        if "url" in row:
            assert isinstance(sources.parse_source(row["url"]), sources.Remote)
        if "md5" in row:
            assert re.fullmatch("[0-9a-f]{32}", row["md5"])
        # Of other genomes than the human ones no checksum was seen; UCSC's list of them is named.
        if "checksum" in row and row.get("assembly", "hg38") in ("hg19", "hg38"):
            assert sources.parse_checksum(row["checksum"])


def test_every_known_assembly_has_an_address_and_five_have_a_blacklist():
    kinds = {}
    for row in read("reference.tsv"):
        kinds.setdefault(row["kind"], []).append(row["assembly"])
    assert kinds["fasta"] == list(known_assemblies())
    assert kinds["blacklist"] == ["hg19", "hg38", "mm10", "dm6", "ce11"]
    assert kinds["blacklist"] == [name for name, known in known_assemblies().items() if known.blacklist]


def test_accessions_and_addresses_agree():
    for row in read("peaks_grch38.tsv"):
        assert row["url"] == sources.accession_url(row["accession"])
        assert row["grade"] in "ABC"
        assert row["bytes"] == "" or int(row["bytes"]) > 0


def test_uniform_peaks_are_those_of_34_factors(uniform, factors):
    assert {row["factor"] for row in uniform} == set(factors) - NOT_PINNED
    assert len({row["md5"] for row in uniform}) == 345


def test_mirrored_files_have_the_pinned_digests(uniform, shared_data):
    pinned = {row["url"]: row["md5"] for row in [*uniform, *read("peaks_grch38.tsv")]}
    checked = 0
    for url, md5 in pinned.items():
        path = sources.resource_path(url, shared_data / "mirror")
        if path.is_file():
            assert hashlib.md5(path.read_bytes()).hexdigest() == md5
            checked += 1
    for row in read("reference.tsv"):
        path = sources.resource_path(row["url"], shared_data / "mirror")
        if path.is_file():
            checksum = sources.parse_checksum(row["checksum"])
            assert hashlib.new(checksum.algorithm, path.read_bytes()).hexdigest() == checksum.digest
            checked += 1
    assert checked == 10


def test_full_study_follows_its_rule(uniform, factors, experiments):
    assert len(experiments) == 40
    for row in experiments:
        wanted = by_rule(uniform, row["factor"], row["cell"])
        assert (row["source"], row["checksum"]) == (wanted["url"], f"md5:{wanted['md5']}")
        if row["stratum"] == "other_cell":
            assert row["name"] == f"{row['factor']}_{row['cell']}"
            assert row["cell"] != factors[row["factor"]]["cell"]
        else:
            assert row["name"] == row["factor"]
            assert (row["cell"], row["stratum"]) == (
                factors[row["factor"]]["cell"],
                factors[row["factor"]]["stratum"],
            )
    assert [row["name"] for row in experiments if row["role"] == "train"] == TRAINING
    assert {row["factor"] for row in experiments} == set(factors) - NOT_PINNED


def test_anchor_cell_is_k562_where_there_is_a_file(uniform, factors, experiments):
    elsewhere = {row["factor"] for row in experiments if row["name"] == row["factor"] and row["cell"] != "K562"}
    assert elsewhere == {"FOXM1", "GATA3", "FOXA1", "FOXA2", "HNF4A", "STAT3", "TCF7L2"}
    for factor in elsewhere:
        assert not any(row["factor"] == factor and row["cell"] == "K562" and usable(row) for row in uniform)


def test_other_cell_of_every_training_factor_but_foxm1(experiments):
    other = {row["factor"]: row["cell"] for row in experiments if row["stratum"] == "other_cell"}
    assert other == {factor: "HepG2" for factor in TRAINING if factor != "FOXM1"} | {"GATA3": "SH-SY5Y"}


def test_families_and_matrices_are_those_of_jaspar(factors):
    database = pytest.importorskip("pyjaspar").jaspardb(release="JASPAR2026")
    for factor, row in factors.items():
        own = [database.fetch_motif_by_id(matrix) for matrix in row["matrices"].split(",") if matrix]
        assert bool(own) == (row["stratum"] != "non_motif")
        assert [motif.name.upper() for motif in own] == [factor] * len(own)
        assert {(*motif.tf_family, *motif.tf_class) for motif in own} <= {(row["family"], row["class"])}
        own.sort(key=lambda motif: ("9606" not in motif.species, motif.matrix_id))
        assert row["matrices"] == ",".join(motif.matrix_id for motif in own)
        assert row["matrix_id"] == (own[0].matrix_id if own else "")
