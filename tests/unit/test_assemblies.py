"""Assemblies by all their names, what is known of them, and the two ways of naming chromosomes."""

import json

import pybedtools
import pytest

from tfbs_moe.config import complete_config
from tfbs_moe.data.jaspar import matrices
from tfbs_moe.errors import InputError
from tfbs_moe.genome import assemblies
from tfbs_moe.genome.assemblies import (
    find_assembly,
    in_style,
    known_assemblies,
    name_of_sizes,
    portal_name,
    translation,
)


@pytest.mark.parametrize(
    ("name", "canonical", "species", "group", "portal"),
    [
        ("hg19", "hg19", "Homo sapiens", "vertebrates", "hg19"),
        ("GRCh37", "hg19", "Homo sapiens", "vertebrates", "hg19"),
        ("GRCh38", "hg38", "Homo sapiens", "vertebrates", "GRCh38"),
        ("grch38.p14", "hg38", "Homo sapiens", "vertebrates", "GRCh38"),
        ("T2T-CHM13", "hs1", "Homo sapiens", "vertebrates", None),
        ("T2T-CHM13v2.0", "hs1", "Homo sapiens", "vertebrates", None),
        ("chm13", "hs1", "Homo sapiens", "vertebrates", None),
        ("GRCm38", "mm10", "Mus musculus", "vertebrates", "mm10"),
        ("GRCm39", "mm39", "Mus musculus", "vertebrates", "GRCm39"),
        ("DM6", "dm6", "Drosophila melanogaster", "insects", "dm6"),
        ("BDGP6.32", "dm6", "Drosophila melanogaster", "insects", "dm6"),
        ("WBcel235", "ce11", "Caenorhabditis elegans", "nematodes", "ce11"),
        ("R64-1-1", "sacCer3", "Saccharomyces cerevisiae", "fungi", None),
        ("GRCz11", "danRer11", "Danio rerio", "vertebrates", None),
        ("TAIR10", "tair10", "Arabidopsis thaliana", "plants", None),
    ],
)
def test_an_assembly_goes_by_all_its_names(name, canonical, species, group, portal):
    found = find_assembly(name)
    assert (found.name, found.species, found.jaspar_group, found.portal) == (canonical, species, group, portal)


def test_a_name_that_is_not_known():
    assert find_assembly("hg18") is None
    assert find_assembly("planted") is None
    assert portal_name("hg18") == "hg18"
    with pytest.raises(InputError, match="no peaks on TAIR10; it has some on hg19, GRCh38, mm10, GRCm39, dm6, ce11"):
        portal_name("TAIR10")


@pytest.mark.parametrize("name", ["hg19", "hg38", "mm10", "dm6"])
def test_sizes_are_those_that_pybedtools_brings(name):
    registered = pybedtools.chromsizes(name)
    known = known_assemblies()[name].chromosomes
    assert known == {chrom: registered[chrom][1] for chrom in known}
    assert {chrom for chrom in registered if "_" not in chrom} == set(known)


@pytest.mark.parametrize(
    ("name", "bases"),
    # Sums that the makers of the assemblies publish: nuclear chromosomes and mitochondrion, tair10 with its plastid.
    [("hs1", 3_117_292_070), ("ce11", 100_286_401), ("sacCer3", 12_157_105), ("tair10", 119_667_750)],
)
def test_sizes_add_up_to_the_published_length(name, bases):
    assert sum(known_assemblies()[name].chromosomes.values()) == bases


def test_every_group_is_one_of_jaspar():
    for group in {known.jaspar_group for known in known_assemblies().values()}:
        assert len(matrices(group)) > 90


@pytest.mark.parametrize("name", list(json.loads(assemblies._TABLE.read_text())))
def test_a_genome_is_named_by_its_chromosomes_lengths_in_either_style(name):
    sizes = dict(known_assemblies()[name].chromosomes)
    for style in ("ucsc", "ensembl"):
        assert name_of_sizes({in_style(chrom, style): size for chrom, size in sizes.items()}) == name
    longest = max(sizes, key=sizes.get)
    assert name_of_sizes({longest: sizes[longest]}) == name
    assert name_of_sizes(sizes | {longest: sizes[longest] - 1}) is None


def test_organelles_do_not_tell_assemblies_apart():
    # UCSC's hg19 has another mitochondrion than the GRCh37 of the 1000 Genomes Project.
    assert name_of_sizes({"1": 249250621, "MT": 16569}) == "hg19"
    assert name_of_sizes({"MT": 16569}) is None


def test_names_are_translated_to_those_of_the_genome():
    ensembl = ["1", "2", "X", "MT", "KI270728.1"]
    assert translation(["chr1", "chrX", "chrM", "2", "chrUn"], ensembl) == {"chr1": "1", "chrX": "X", "chrM": "MT"}
    assert translation(["1", "MT", "chr2"], ["chr1", "chr2", "chrM"]) == {"1": "chr1", "MT": "chrM"}
    assert translation(["Chr1", "chrC"], ["1", "Mt", "Pt"]) == {"Chr1": "1", "chrC": "Pt"}
    assert translation(["chrM"], ["I", "Mito"]) == {"chrM": "Mito"}
    # Two could be meant.
    assert translation(["Chr1"], ["1", "chr1"]) == {}


@pytest.mark.parametrize(
    ("chrom", "ucsc", "ensembl"),
    [("chr1", "chr1", "1"), ("1", "chr1", "1"), ("MT", "chrM", "MT"), ("chrM", "chrM", "MT"), ("2L", "chr2L", "2L")],
)
def test_a_name_in_each_style(chrom, ucsc, ensembl):
    assert in_style(chrom, "ucsc") == ucsc
    assert in_style(chrom, "ensembl") == ensembl


def genome(**settings):
    return assemblies.study_genome(complete_config({"run": "r", "experiments": "e.tsv", "genome": settings}))


def test_what_a_study_says_of_its_genome():
    human = genome(assembly="GRCh38")
    assert human.stated == "GRCh38"
    assert human.label == "hg38 (GRCh38), Homo sapiens"
    assert human.facts == {"assembly": "hg38", "species": "Homo sapiens", "jaspar_group": "vertebrates"}
    own = genome(assembly="PicAbi2", fasta="x.fa", jaspar_group="plants", species="Picea abies")
    assert own.label == "PicAbi2, Picea abies"
    assert own.facts == {"assembly": "PicAbi2", "species": "Picea abies", "jaspar_group": "plants"}
    assert genome(assembly="hg38", jaspar_group="insects").jaspar_group == "insects"
    assert genome().facts == {"assembly": "none", "species": "", "jaspar_group": "vertebrates"}
