"""Commands beside naive code: variants however they are written, files of variants, bigWig and BED base by base."""

import csv
import gzip
import io
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
import torch

from tfbs_moe.apply import explain as explain_module
from tfbs_moe.apply import input_tables
from tfbs_moe.apply import windows as windows_module
from tfbs_moe.apply.explain import explain_file
from tfbs_moe.apply.input_tables import Allele, read_sequences, read_variants
from tfbs_moe.apply.predict import predict_file
from tfbs_moe.apply.scorer import Scorer
from tfbs_moe.apply.variants import score_variants
from tfbs_moe.apply.windows import open_source
from tfbs_moe.attribution.methods.registry import attribute
from tfbs_moe.errors import InputError
from tfbs_moe.genome.genome import Genome
from tfbs_moe.models import bundle
from tfbs_moe.models.registry import build
from tfbs_moe.sequence import one_hot

WINDOW = 31
SETTINGS = {"weight_sd": 0.3, "motif_width": 8}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    bundle.save(build("convnet", WINDOW, SETTINGS, seed=0), folder)
    return folder


def logit(model: Path, texts: list[str]) -> np.ndarray:
    with torch.inference_mode():
        return bundle.load(model)(torch.from_numpy(one_hot(texts)).float()).numpy()


def write_fasta(path: Path, chromosomes: dict[str, str]) -> Path:
    path.write_text("".join(f">{name}\n{text}\n" for name, text in chromosomes.items()), encoding="utf-8")
    return path


def around(text: str, start: int, length: int) -> str:
    return "".join(text[at] if 0 <= at < len(text) else "N" for at in range(start, start + length))


# --- variants


def normalised(text: str, start: int, reference: str, alternative: str) -> tuple[int, str, str]:
    """Trim and left-align as Tan et al. (2015) write it down, then take off the base that both begin with."""
    while True:
        if reference and alternative and reference[-1] == alternative[-1]:
            reference, alternative = reference[:-1], alternative[:-1]
        elif not (reference and alternative) and start > 0:
            start -= 1
            reference, alternative = text[start] + reference, text[start] + alternative
        else:
            break
        if reference and alternative and reference[-1] != alternative[-1]:
            break
    while reference and alternative and reference[0] == alternative[0]:
        start, reference, alternative = start + 1, reference[1:], alternative[1:]
    return start, reference, alternative


def haplotypes(text: str, start: int, reference: str, alternative: str, offset: int) -> tuple[str, str]:
    start, reference, alternative = normalised(text, start, reference, alternative)
    left = start - (WINDOW - max(len(reference), len(alternative))) // 2 + offset
    changed = text[:start] + alternative + text[start + len(reference) :]
    return around(text, left, WINDOW), around(changed, left, WINDOW)


def random_alleles(text: str, draw: np.random.Generator, count: int) -> list[Allele]:
    """Substitutions, insertions, deletions and both at once, at any place and at either end, in letters of any case."""
    alleles = []
    while len(alleles) < count:
        at = int(draw.choice([0, 1, len(text) - 2, draw.integers(0, len(text))]))
        reference = text[at : at + int(draw.integers(1, 8))]
        alternative = "".join(draw.choice(list("AC"), draw.integers(1, 8)))
        if draw.random() < 0.5:
            alternative = reference[0] + alternative
        if reference != alternative:
            alleles.append(Allele("chr1", at + 1, ".", reference, alternative.lower()))
    return alleles


@pytest.mark.parametrize("offset", [0, -4])
@pytest.mark.parametrize("seed", range(3))
def test_variants_are_scored_as_changed_chromosomes(model: Path, tmp_path: Path, seed: int, offset: int) -> None:
    """Two letters make repeats everywhere, so that most insertions and deletions can be written in several ways."""
    draw = np.random.default_rng(seed)
    text = "".join(draw.choice(list("AC"), 160, p=[0.8, 0.2]))
    genome = Genome.open(write_fasta(tmp_path / "g.fa", {"chr1": text}))
    alleles = random_alleles(text, draw, 60)
    table = pd.concat(list(score_variants(Scorer.load(model), alleles, genome, offsets=(offset,))))
    assert (table["status"] == "scored").all()
    pairs = [haplotypes(text, a.position - 1, a.reference, a.alternative.upper(), offset) for a in alleles]
    for column, which in (("logit_reference", 0), ("logit_alternative", 1)):
        np.testing.assert_allclose(table[column], logit(model, [pair[which] for pair in pairs]), atol=1e-5)
    assert table["unknown"].astype(int).tolist() == [before.count("N") for before, _ in pairs]
    # However an inserted or deleted piece is written, its score is one.
    changed, indel = [], []
    for allele in alleles:
        start, reference, alternative = allele.position - 1, allele.reference, allele.alternative.upper()
        changed.append(text[:start] + alternative + text[start + len(reference) :])
        indel.append("" in normalised(text, start, reference, alternative)[1:])
    groups = table[indel].groupby(pd.Series(changed)[indel].to_numpy())["delta"]
    assert groups.size().max() > 1 and groups.agg(np.ptp).max() < 1e-6


@pytest.mark.parametrize("bases", [12, 24, 150])
@pytest.mark.parametrize("unit", ["A", "CA", "GAT"])
def test_one_piece_of_a_repeat_has_one_score(model: Path, tmp_path: Path, unit: str, bases: int) -> None:
    """Wherever in the repeat it is written, also far from its beginning."""
    draw = np.random.default_rng(1)
    left, right = ("".join(draw.choice(list("ACGT"), 60)) + "T" for _ in range(2))
    repeat = unit * (bases // len(unit))
    text = left + repeat + "C" + right
    genome = Genome.open(write_fasta(tmp_path / "g.fa", {"chr1": text}))
    places = range(len(left) - 1, len(left) + len(repeat) - len(unit), len(unit))
    removed = [Allele("chr1", at + 1, ".", text[at : at + 1 + len(unit)], text[at]) for at in places]
    added = [Allele("chr1", at + 1, ".", text[at], text[at] + unit) for at in places]
    for alleles in (removed, added):
        table = pd.concat(list(score_variants(Scorer.load(model), alleles, genome)))
        assert np.ptp(table["delta"]) < 1e-6
        one = alleles[-1]
        before, after = logit(model, list(haplotypes(text, one.position - 1, one.reference, one.alternative, 0)))
        np.testing.assert_allclose(table["delta"].iloc[0], after - before, atol=1e-5)
        # What lies behind a repeat comes into view only where that is shorter than half a window.
        assert (abs(table["delta"].iloc[0]) > 1e-5) == (bases < WINDOW // 2)


def test_a_repeat_at_the_beginning_of_a_chromosome_moves_no_further(model: Path, tmp_path: Path) -> None:
    text = "A" * 40 + "CGTTGCA" * 10
    genome = Genome.open(write_fasta(tmp_path / "g.fa", {"chr1": text}))
    alleles = [Allele("chr1", at, ".", "AA", "A") for at in (1, 20, 39)]
    table = pd.concat(list(score_variants(Scorer.load(model), alleles, genome)))
    assert table["unknown"].tolist() == [15] * 3 and np.ptp(table["delta"]) < 1e-6


@pytest.mark.parametrize("alternative", ["t", "T", ".", ""])
def test_what_changes_no_letter_is_no_alternative(model: Path, tmp_path: Path, alternative: str) -> None:
    genome = Genome.open(write_fasta(tmp_path / "g.fa", {"chr1": "ACGT" * 20}))
    table = pd.concat(list(score_variants(Scorer.load(model), [Allele("chr1", 4, ".", "T", alternative)], genome)))
    assert table["status"].tolist() == ["no alternative allele"] and table["delta"].isna().all()


@pytest.mark.parametrize("seed", range(2))
def test_variants_are_those_that_htslib_reads(seed: int, tmp_path: Path) -> None:
    """Plain, gzip, gzip in two members, bgzip and BCF, under any name."""
    draw = np.random.default_rng(seed)
    rows = [
        f"chr{draw.integers(1, 3)}\t{place}\t{draw.choice(['.', f'rs{place}'])}\t{draw.choice(list('ACGT'))}\t"
        f"{draw.choice(['.', 'A', 'C,G', '<DEL>', 'AT,*'])}\t.\t.\t.\tGT\t0/1"
        for place in range(1, 200)
    ]
    header = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n##contig=<ID=chr2>\n"
    header += '##INFO=<ID=END,Number=1,Type=Integer,Description="e">\n'
    header += '##ALT=<ID=DEL,Description="d">\n##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n'
    text = (header + "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tone\n" + "\n".join(rows) + "\n").encode()
    plain = tmp_path / "plain.vcf"
    plain.write_bytes(text)
    (tmp_path / "gzip.vcf.gz").write_bytes(gzip.compress(text))
    (tmp_path / "members.VCF.GZ").write_bytes(gzip.compress(text[:2000]) + gzip.compress(text[2000:]))
    pysam.tabix_compress(str(plain), str(tmp_path / "bgzip.vcf.bgz"))
    with ExitStack() as stack:
        source = stack.enter_context(pysam.VariantFile(str(plain)))
        sink = stack.enter_context(pysam.VariantFile(str(tmp_path / "b.bcf"), "wb", header=source.header))
        expected = []
        for record in source:
            sink.write(record)
            for alternative in record.alts or (".",):
                expected.append(Allele(record.chrom, record.pos, record.id or ".", record.ref, alternative))
    for name in ("plain.vcf", "gzip.vcf.gz", "members.VCF.GZ", "bgzip.vcf.bgz", "b.bcf"):
        assert list(read_variants(tmp_path / name)) == expected, name
    content = (tmp_path / "b.bcf").read_bytes()
    (tmp_path / "cut.bcf").write_bytes(content[: len(content) // 2])
    (tmp_path / "cut.vcf.gz").write_bytes(gzip.compress(text)[:-20])
    for name in ("cut.bcf", "cut.vcf.gz"):
        with pytest.raises(InputError, match=name):
            list(read_variants(tmp_path / name))


# --- tables of sequences


@pytest.mark.parametrize("batch", [3, 10_000])
@pytest.mark.parametrize("kind", ["tsv", "csv.gz", "names", "lines"])
def test_sequences_of_a_table_are_those_that_csv_reads(kind: str, batch: int, tmp_path: Path, monkeypatch) -> None:
    """Columns in any order, blank lines, both cases, N, one length or several, in batches that end anywhere."""
    monkeypatch.setattr(input_tables, "BATCH_LINES", batch)
    for seed, lengths in ((0, (9, 10)), (1, (1, 12))):
        draw = np.random.default_rng(seed)
        texts = ["".join(draw.choice(list("ACGTNacgtn"), draw.integers(*lengths))) for _ in range(20)]
        columns = {"Other": ["x"] * 20, "Sequence": texts, "ID": [f"s{row}" for row in range(20)]}
        wanted = ["ID", "Sequence"] if kind == "names" else ["Sequence"] if kind == "lines" else list(columns)
        separator = "," if kind == "csv.gz" else "\t"
        rows = [separator.join(row) for row in zip(*(columns[name] for name in wanted), strict=True)]
        rows[7] += "\r\n"
        head = [] if kind in ("names", "lines") else [separator.join(wanted)]
        content = ("\n".join([*head, *rows]) + "\n").encode()
        path = tmp_path / f"{seed}.{kind}"
        path.write_bytes(gzip.compress(content) if kind.endswith("gz") else content)
        parts = list(read_sequences(path))
        assert all(len(names) <= batch for names, _ in parts) and sum(len(names) for names, _ in parts) == 20
        found = [
            (name, "".join("ACGTN"[code] for code in codes))
            for part in parts
            for name, codes in zip(*part, strict=True)
        ]
        with io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="") as handle:
            table = [row for row in csv.reader(handle, delimiter=separator) if row][len(head) :]
        at = wanted.index("Sequence")
        # A name, where there is none, is the number of the line; a blank one follows the eighth.
        named = columns["ID"] if "ID" in wanted else [f"line{row + 1 + (row > 7)}" for row in range(20)]
        assert found == list(zip(named, [row[at].upper() for row in table], strict=True))


# --- bigWig and BED


def signal(path: Path, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    from figwig import BigWigReader

    reader = BigWigReader(path)
    return {
        name: np.asarray(reader.read([name], [0], width=size, keep_nan=True, missing=np.nan)).ravel()
        for name, size in sizes.items()
    }


def windows_of(text: str, step: int) -> list[int]:
    """Starts of windows: at every step, one that ends with the sequence; around a sequence that is shorter."""
    if len(text) <= WINDOW:
        return [(len(text) - WINDOW) // 2]
    starts = list(range(0, len(text) - WINDOW + 1, step))
    return starts if starts[-1] == len(text) - WINDOW else [*starts, len(text) - WINDOW]


def naive_tracks(model: Path, chromosomes: dict[str, str], step: int) -> tuple[dict, dict]:
    """Base by base: the score and the gradient of the first window in whose middle a base lies."""
    loaded = bundle.load(model)
    # With a step above the window, a base between two windows is in the middle of none.
    middle = min(step, WINDOW)
    scores, contributions = {}, {}
    for name, text in chromosomes.items():
        scores[name], contributions[name] = (np.full(len(text), np.nan) for _ in range(2))
        starts = windows_of(text, step)
        X = one_hot([around(text, start, WINDOW) for start in starts])
        probability = torch.sigmoid(loaded(torch.from_numpy(X).float())).detach().numpy()
        values = (attribute(loaded, X, "gradient") * X).sum(1)
        for row, start in enumerate(starts):
            if len(starts) > 1 and not X[row].any():
                continue
            first = start + WINDOW // 2 - middle // 2
            for at in range(max(first, 0), min(first + middle, len(text))):
                if np.isnan(scores[name][at]):
                    scores[name][at] = probability[row]
                    contributions[name][at] = values[row, at - start]
    return scores, contributions


@pytest.mark.parametrize("step", [2, 7, 15, 31, 50])
def test_bigwigs_say_base_by_base_what_windows_do(model: Path, tmp_path: Path, step: int, monkeypatch) -> None:
    """Blocks of four windows, of which a stretch's last falls into any; contigs of 1 to 120 bases; a gap of N."""
    monkeypatch.setattr(windows_module, "BLOCK_ROWS", 4)
    monkeypatch.setattr(explain_module, "_ROWS", 3)
    draw = np.random.default_rng(step)
    sizes = [1, 2, 15, 16, 30, 31, 32, 45, 46, 47, 61, 62, 63, 80, 94, 120]
    chromosomes = {f"c{size}": "".join(draw.choice(list("ACGT"), size)) for size in sizes}
    chromosomes["gap"] = chromosomes["c45"] + "N" * 70 + chromosomes["c47"]
    fasta = write_fasta(tmp_path / "g.fa", chromosomes)
    scores, contributions = naive_tracks(model, chromosomes, step)
    lengths = {name: len(text) for name, text in chromosomes.items()}
    bed = tmp_path / "all.bed"
    bed.write_text("".join(f"{name}\t0\t{size}\n" for name, size in lengths.items()))
    for kind, options in (("fasta", {}), ("intervals", {"genome": fasta, "tile": True})):
        path = fasta if kind == "fasta" else bed
        list(predict_file(Scorer.load(model), open_source(path, WINDOW, step=step, **options), tmp_path / "p.bw"))
        source = open_source(path, WINDOW, step=step, **options)
        list(explain_file(bundle.load(model), source, "gradient", tmp_path / "a.bw"))
        for name, found in signal(tmp_path / "p.bw", lengths).items():
            np.testing.assert_allclose(found, scores[name], atol=1e-5, err_msg=f"{kind} {name}")
        for name, found in signal(tmp_path / "a.bw", lengths).items():
            np.testing.assert_allclose(found, contributions[name], atol=1e-5, err_msg=f"{kind} {name}")


@pytest.mark.parametrize("rows", ["c\t100\t200\nc\t90\t150\n", "c\t100\t200\nc\t150\t260\n", "d\t0\t90\nc\t0\t90\n"])
def test_what_is_out_of_order_is_no_bigwig_of_either_kind(model: Path, tmp_path: Path, rows: str) -> None:
    genome = write_fasta(tmp_path / "g.fa", {"c": "ACGTTGCATC" * 40, "d": "ACCTTGCATC" * 20})
    (tmp_path / "p.bed").write_text(rows)

    def source():
        return open_source(tmp_path / "p.bed", WINDOW, genome=genome, tile=True)

    with pytest.raises(InputError, match="Sort and merge"):
        list(predict_file(Scorer.load(model), source(), tmp_path / "o.bw"))
    with pytest.raises(InputError, match="Sort and merge"):
        list(explain_file(bundle.load(model), source(), "gradient", tmp_path / "o.bw"))
    assert not (tmp_path / "o.bw").exists()


def test_bed_rows_end_with_their_chromosome(model: Path, tmp_path: Path) -> None:
    """At both ends, in a contig shorter than a window, and not at all beyond the end, which is said."""
    chromosomes = {"long": "ACGTTGCATC" * 10, "short": "ACGTTGC"}
    genome = write_fasta(tmp_path / "g.fa", chromosomes)
    places = [
        ("long", 0, 4),
        ("long", 50, 54),
        ("long", 96, 100),
        ("long", 98, 114),
        ("long", 130, 140),
        ("short", 2, 4),
    ]
    (tmp_path / "p.bed").write_text("".join(f"{c}\t{s}\t{e}\n" for c, s, e in places))
    source = open_source(tmp_path / "p.bed", WINDOW, genome=genome)
    list(predict_file(Scorer.load(model), source, tmp_path / "o.bed"))
    expected = []
    for chrom, start, end in places:
        first = (start + end) // 2 - WINDOW // 2
        cut = max(first, 0), min(first + WINDOW, len(chromosomes[chrom]))
        expected += [(chrom, *cut)] if cut[0] < cut[1] else []
    found = pd.read_csv(tmp_path / "o.bed", sep="\t", header=None)
    assert list(found[[0, 1, 2]].itertuples(index=False, name=None)) == expected and len(expected) == len(places) - 1
    assert source.notes["beyond the end of the chromosome"] == 1
    list(predict_file(Scorer.load(model), open_source(genome, WINDOW), tmp_path / "f.bed"))
    found = pd.read_csv(tmp_path / "f.bed", sep="\t", header=None)
    assert (found[1] >= 0).all() and (found[2] == found[1] + WINDOW)[found[0] == "long"].all()
    assert found[found[0] == "short"][[1, 2]].to_numpy().tolist() == [[0, 7]]
