"""Variants: how they are read and scored, and what is said of those that cannot be."""

import random
from collections import Counter

import numpy as np
import pandas as pd
import pysam
import pytest

from small_mixture import CHROMOSOME, VCF, WINDOW, expected, run
from tfbs_moe.apply.input_tables import Allele, read_sequences, read_variants
from tfbs_moe.apply.scorer import Scorer
from tfbs_moe.apply.variants import score_variants
from tfbs_moe.errors import InputError
from tfbs_moe.genome.genome import Genome
from tfbs_moe.sequence import decode, one_hot_from_codes


def test_variants_that_cannot_be_scored_say_why(model, genome, tmp_path, capsys):
    calls = tmp_path / "v.tsv"
    how = ("variants", model, calls, "--genome", genome, "--quiet", "-o", tmp_path / "o.tsv")
    base = "ACGT"[Genome.open(genome).codes("chr1")[99]]
    wrong = "ACGT".replace(base, "")
    calls.write_text(f"chrom\tpos\tref\talt\nchr1\t100\t{wrong[0]}\t{wrong[1]}\n")
    assert run(*how) == 1 and not (tmp_path / "o.tsv").exists()
    assert "none of 1 alleles can be scored (1 reference mismatch). Is" in capsys.readouterr().err
    calls.write_text(calls.read_text() + f"chr1\t100\t{base}\t{wrong[0]}\nchrUn\t5\tA\tC\n")
    assert run(*how) == 0
    assert "lacks the chromosomes of 1 of 3 alleles: they name chrUn, it has chr1" in capsys.readouterr().err
    # Structural variants alone are no sign of a wrong genome.
    calls.write_text("chrom\tpos\tref\talt\nchr1\t100\tN\t<DEL>\n")
    assert run(*how) == 0


def alleles_scored(model, genome, alleles, **options) -> pd.DataFrame:
    return pd.concat(list(score_variants(Scorer.load(model), alleles, Genome.open(genome), **options)))


def test_variants_are_scored_in_the_genomes_own_surroundings(model, genome):
    text = decode(one_hot_from_codes(Genome.open(genome).codes("chr1")[None]))[0]
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    # Where nothing at the end of an allele is as at its beginning, there is one way to take off what is alike.
    at = next(place for place in range(150, 250) if text[place] not in ("A", text[place + 3]))
    single = Allele("chr1", at + 1, "snv", text[at], other[text[at]])
    deletion = Allele("chr1", at + 1, "del", text[at : at + 4], text[at])
    insertion = Allele("chr1", at + 1, "ins", text[at], text[at] + "GATTACA")
    table = alleles_scored(model, genome, [single, deletion, insertion])
    assert (table["status"] == "scored").all()
    # One base: in the middle of the window.
    reference = text[at - 15 : at + 16]
    pairs = [(reference, reference[:15] + other[text[at]] + reference[16:])]
    # Three bases less: the first base is the same and no part of it; the genome goes on behind.
    left = (WINDOW - 3) // 2
    start = at + 1 - left
    pairs.append((text[start : start + WINDOW], text[start : at + 1] + text[at + 4 : at + 4 + WINDOW - left]))
    # Seven bases more.
    left = (WINDOW - 7) // 2
    start = at + 1 - left
    inserted = text[start : at + 1] + "GATTACA" + text[at + 1 : at + 1 + WINDOW - left - 7]
    pairs.append((text[start : start + WINDOW], inserted))
    for row, (reference, alternative) in enumerate(pairs):
        assert len(reference) == len(alternative) == WINDOW
        before, after = expected(model, [reference, alternative])
        assert np.allclose(
            table.iloc[row][["logit_reference", "logit_alternative"]].astype(float), [before, after], atol=1e-6
        )
        assert np.isclose(table.iloc[row]["delta"], after - before, atol=1e-6)
    assert table["gate_shift"].between(0, 1).all()


def test_every_odd_variant_has_a_defined_result(model, genome):
    text = decode(one_hot_from_codes(Genome.open(genome).codes("chr1")[None]))[0]
    wrong = "A" if text[199] != "A" else "C"
    cases = [
        (Allele("chr1", 200, ".", text[199], "<DEL>"), "symbolic allele"),
        (Allele("chr1", 200, ".", text[199], "*"), "symbolic allele"),
        (Allele("chr1", 200, ".", text[199], "."), "no alternative allele"),
        (Allele("chr1", 200, ".", text[199], text[199]), "no alternative allele"),
        (Allele("chr1", 200, ".", wrong, text[199]), "reference mismatch"),
        (Allele("chr9", 200, ".", "A", "C"), "chromosome not in the genome"),
        (Allele("chr1", 0, ".", "A", "C"), "beyond the end of the chromosome"),
        (Allele("chr1", CHROMOSOME, ".", text[-1] + "A", "C"), "beyond the end of the chromosome"),
        (Allele("chr1", 200, ".", text[199], "AXC"), "allele is not DNA"),
        (Allele("chr1", 200, ".", text[199], text[199] + "A" * WINDOW + "CT"), "longer than the window"),
        (Allele("chr1", 1, ".", text[0], "A" if text[0] != "A" else "C"), "scored"),
        (Allele("chr1", CHROMOSOME, ".", text[-1], "A" if text[-1] != "A" else "C"), "scored"),
    ]
    table = alleles_scored(model, genome, [allele for allele, _ in cases])
    assert table["status"].tolist() == [status for _, status in cases]
    # The last two stand at the ends of the chromosome.
    assert table["unknown"].dropna().tolist() == [15, 15] and table["unknown"].isna().sum() == len(cases) - 2
    assert (table["delta"].notna() == (table["status"] == "scored")).all()
    with pytest.raises(InputError, match="they name 1, it has chr1, chr2; --chromosome-names auto reads 1 as chr1"):
        alleles_scored(model, genome, [Allele("1", 200, ".", "A", "C")])
    with pytest.raises(InputError, match="half a window"):
        alleles_scored(model, genome, [cases[-1][0]], offsets=(20,))


def test_offsets_move_the_window(model, genome):
    text = decode(one_hot_from_codes(Genome.open(genome).codes("chr1")[None]))[0]
    allele = Allele("chr1", 200, ".", text[199], "A" if text[199] != "A" else "C")
    table = alleles_scored(model, genome, [allele], offsets=(-5, 5))
    references = [text[199 - 15 + move : 199 + 16 + move] for move in (-5, 5)]
    assert np.isclose(table["logit_reference"].iloc[0], expected(model, references).mean(), atol=1e-6)


def test_variants_are_read_from_vcf_and_tables(tmp_path):
    (tmp_path / "v.vcf").write_text(VCF)
    pysam.tabix_compress(str(tmp_path / "v.vcf"), str(tmp_path / "v.vcf.gz"))
    (tmp_path / "v.tsv").write_text(
        "#CHROM\tPOS\tID\tREF\tALT\nchr1\t10\trs1\tA\tC,G\nchr7\t11\t.\tA\t.\nchr1\t12\t.\tAT\t<DEL>\n"
    )
    (tmp_path / "v.csv").write_text("chrom,pos,id,ref,alt\nchr1,10,rs1,A,C/G\nchr7,11,.,A,.\nchr1,12,.,AT,<DEL>\n")
    wanted = [
        ("chr1", 10, "rs1", "A", "C"),
        ("chr1", 10, "rs1", "A", "G"),
        ("chr7", 11, ".", "A", "."),
        ("chr1", 12, ".", "AT", "<DEL>"),
    ]
    for name in ("v.vcf", "v.vcf.gz", "v.tsv", "v.csv"):
        found = [(a.chrom, a.position, a.name, a.reference, a.alternative) for a in read_variants(tmp_path / name)]
        assert found == wanted, name


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("v.vcf", "no vcf\n", "line 1: the table lacks chrom, pos, ref, alt"),
        ("v.vcf", VCF + "chr1\tx\n", "line 7: 2 columns where the header has 8"),
        ("v.tsv", "chrom\tpos\n", "lacks ref, alt"),
        ("v.tsv", "chrom\tpos\tref\talt\nchr1\t1e3\tA\tC\n", "line 2: pos is '1e3'"),
        ("v.tsv", "chrom\tpos\tref\talt\nchr1\t13\n", "line 2: 2 columns"),
    ],
)
def test_a_damaged_table_of_variants_is_one_message(tmp_path, name, text, part):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=part):
        list(read_variants(tmp_path / name))


SEQUENCES = "name\tsequence\na\tACGT\nb\tACGTN\n"
ALLELES = "chrom\tpos\tid\tref\talt\nchr1\t10\trs1\tA\tC,G\nchr7\t11\t.\tA\t.\n"


@pytest.mark.parametrize(
    ("name", "text", "reader"),
    [
        ("v.vcf", VCF, read_variants),
        ("v.tsv", ALLELES, read_variants),
        ("s.tsv", SEQUENCES, read_sequences),
        ("s.txt", "ACGT\nGGA\n", read_sequences),
    ],
)
def test_spoilt_files_are_read_or_refused(tmp_path, name, text, reader):
    draw = random.Random(1)
    told = Counter()
    for _ in range(100):
        content = bytearray(text.encode())
        for _ in range(draw.randint(1, 5)):
            place = draw.randrange(len(content))
            added = bytes(draw.choices(b"\t\n\r\0,;<>.N\xff0123456789", k=draw.randint(0, 4)))
            content[place : place + draw.randint(0, 4)] = added
            content = content or bytearray(b"x")
        (tmp_path / name).write_bytes(content)
        try:
            list(reader(tmp_path / name))
        except InputError:
            told["refused"] += 1
        else:
            told["read"] += 1
    assert min(told["refused"], told["read"]) > 0
