"""Peaks and genomes that do not belong together are refused, with what looks wrong."""

import numpy as np
import pandas as pd
import pytest

from peak_files import make_genome, random_codes
from tfbs_moe.data.assembly_check import check_assembly, in_genome_names
from tfbs_moe.data.counts import Counts
from tfbs_moe.errors import InputError
from tfbs_moe.genome.assemblies import known_assemblies


class Sizes:
    """A genome of which nothing but its chromosomes' lengths is looked at."""

    path = "genome.fa"

    def __init__(self, sizes):
        self.sizes = sizes

    def size_of(self, chrom):
        return np.array([self.sizes.get(name, 0) for name in chrom])

    def windows(self, chrom, start, length):
        return np.zeros((len(start), length), dtype=np.uint8)


def full(assembly: str) -> dict[str, int]:
    return dict(known_assemblies()[assembly].chromosomes)


def peaks(chrom, summits) -> pd.DataFrame:
    return pd.DataFrame({"chrom": chrom, "summit": np.asarray(summits, dtype=np.int64)})


def test_a_stated_assembly_that_the_genome_does_not_have(tmp_path):
    with pytest.raises(
        InputError, match="a.bed: the table says that the peaks are on hg19, but genome.fa .* sizes of hg38 .GRCh38."
    ):
        check_assembly(peaks("chr1", [500]), Sizes(full("hg38")), name="a.bed", assembly="hg19")
    check_assembly(peaks("chr1", [500]), Sizes(full("hg38")), assembly="hg38")
    check_assembly(peaks("chr1", [500]), Sizes(full("hg38")), assembly="GRCh38")
    check_assembly(peaks("chr1", [500]), Sizes(full("hg19")), assembly="GRCh37")
    with pytest.raises(InputError, match="the peaks are on dm6, but genome.fa .* sizes of mm39 .GRCm39.*, or peaks on"):
        check_assembly(peaks("chr1", [500]), Sizes(full("mm39")), assembly="dm6")


@pytest.mark.parametrize(("in_peaks", "in_genome"), [("chr1", "1"), ("1", "chr1")])
def test_names_with_and_without_chr(in_peaks, in_genome):
    with pytest.raises(
        InputError, match="9 of 9 peaks lie on chromosomes .* without 'chr'; give .* genome.names: ucsc or ensembl"
    ):
        check_assembly(peaks(in_peaks, range(9)), Sizes({in_genome: 1000}))


def test_names_of_the_other_style_are_translated_and_counted():
    table = pd.DataFrame({"chrom": ["chr1", "chr1", "chrM", "2", "chrUn"], "summit": range(5)})
    counts = Counts(5)
    translated = in_genome_names(table, Sizes({"1": 100, "2": 100, "MT": 9}), counts, what="peaks")
    assert list(translated.chrom) == ["1", "1", "MT", "2", "chrUn"]
    assert list(table.chrom) == ["chr1", "chr1", "chrM", "2", "chrUn"]
    assert counts.table().values.tolist() == [
        ["names", 5, 5, "peaks, chromosomes named as in the genome (chr1 → 1): 3 rows"]
    ]
    counts = Counts(5)
    assert in_genome_names(table, Sizes({"chr1": 100}), counts) is table
    assert not len(counts.table())


def test_chromosomes_of_another_species():
    with pytest.raises(InputError, match="chrII in the peaks, chr1 in the genome. The peaks are of another assembly"):
        check_assembly(peaks("chrII", range(9)), Sizes({"chr1": 1000}))


def test_half_of_the_peaks_may_lie_elsewhere():
    table = pd.concat([peaks("chr1", range(5)), peaks("chrUn", range(5))])
    check_assembly(table, Sizes({"chr1": 1000}))


def test_summits_beyond_the_end_name_the_assembly_that_has_room():
    hg19, hg38 = full("hg19"), full("hg38")
    # chr17 is longer in GRCh38, chr1 in hg19.
    beyond = np.array([1, 2, 3, 4]) + hg19["chr17"]
    table = peaks("chr17", np.concatenate([np.arange(3000), beyond]))
    with pytest.raises(
        InputError, match=r"4 of 3004 summits .* \(hg19 \(GRCh37\)\), such as chr17:81195211.* fit hg38 \(GRCh38\) or"
    ) as said:
        check_assembly(table, Sizes({"chr17": hg19["chr17"]}), name="a.bed")
    assert "81195210 bases" in str(said.value)
    check_assembly(table, Sizes({"chr17": hg38["chr17"]}))


def test_one_odd_peak_is_no_proof_and_a_tiny_share_neither():
    check_assembly(peaks("chr1", [5, 6, 1000]), Sizes({"chr1": 1000}))
    check_assembly(peaks("chr1", [*range(900)] * 3 + [1000, 1001]), Sizes({"chr1": 1000}))


def test_summits_on_unknown_bases(tmp_path):
    codes = random_codes(5000)
    codes[1000:2000] = 4
    genome = make_genome(tmp_path, {"chr1": codes})
    with pytest.raises(InputError, match="2 of 3 summits lie on N in .*, such as chr1:1500; no peak is called there"):
        check_assembly(peaks("chr1", [100, 1500, 1999]), genome)
    check_assembly(peaks("chr1", [100, 999, 2000]), genome)
