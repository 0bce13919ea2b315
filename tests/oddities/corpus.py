"""The files that callers, browsers, databases and disks make of peaks, variants and sequences, and what must come out.

All are written here, none is copied; formats follow the documents of the programs that they are named after. They lie
on one made genome, see ``GENOME``. Peak files say the same three places, variant files contain the same three variants.
"""

# ruff: noqa: E501
import bz2
import gzip
import random
from collections.abc import Sequence
from dataclasses import dataclass

WINDOW = 31
_draw = random.Random(30)
GENOME = {
    "chr1": "".join(_draw.choices("ACGT", k=1500)),
    "chr2": "N" * 100 + "".join(_draw.choices("ACGT", k=500)),
    "chrM": "".join(_draw.choices("ACGT", k=300)),
}
# Chromosome, start, end and summit, 0-based.
PEAKS = (("chr1", 200, 400, 290), ("chr1", 800, 1000, 860), ("chr2", 300, 420, 350))
SUMMITS = tuple((chrom, summit) for chrom, _, _, summit in PEAKS)
MIDDLES = tuple((chrom, (start + end) // 2) for chrom, start, end, _ in PEAKS)
SCORED = "scored"


@dataclass(frozen=True)
class Case:
    """One file.

    Attributes:
        name: of the file.
        what: what it is.
        content: its bytes.
        right: summits of peaks, statuses of rows; or the beginning of a message, as text.
        options: of the command.
        says: what standard error must tell besides.
    """

    name: str
    what: str
    content: bytes
    right: Sequence[tuple[str, int]] | Sequence[str] | str
    options: tuple[str, ...] = ()
    says: str = ""


def rows(*lines: str) -> bytes:
    """Return lines whose fields are separated by blanks, as a table separated by tabs; ``~`` is a blank."""
    return "".join("\t".join(line.split()).replace("~", " ") + "\n" for line in lines).encode()


def each(row: str, head: Sequence[str] = ()) -> bytes:
    """Return a table with a row for each peak; ``{c} {s} {e}`` is its place, ``{s1}`` the start from 1."""
    made = []
    for number, (chrom, start, end, summit) in enumerate(PEAKS, start=1):
        known = {"c": chrom, "n": chrom[3:], "s": start, "s1": start + 1, "e": end, "w": end - start, "m": summit}
        known |= {
            "m1": summit + 1,
            "o": summit - start,
            "i": number,
            "v": 10 * number,
            "a": summit - 9,
            "b": summit + 9,
        }
        made.append(row.format(**known))
    return "".join(f"{line}\n" for line in head).encode() + rows(*made)


def in_blocks(content: bytes) -> bytes:
    """Return several gzip members in one file, as ``cat a.gz b.gz`` makes them."""
    half = len(content) // 2
    return gzip.compress(content[:half], mtime=0) + gzip.compress(content[half:], mtime=0)


NARROW = "{c} {s} {e} peak_{i} {v} . 5.{v} 4.{v} 3.{v} {o}"
BED = each("{c} {s} {e}")
GFF = "{c} caller peak {s1} {e} 7.5 . . "
TABLE_NAMES = b"# genbank refseq ucsc\nCM1\tNC_1.1\tchr1\nCM2\tNC_2.1\tchr2\nJ0\tNC_M.1\tchrM\n"

PEAK_FILES = [
    Case("a_peaks.narrowPeak", "MACS2", each(NARROW), SUMMITS),
    Case("a.narrowPeak.gz", "ENCODE, gzip", gzip.compress(each(NARROW), mtime=0), SUMMITS),
    Case("a.bed.gz", "ENCODE's other name for narrowPeak, two gzip members", in_blocks(each(NARROW)), SUMMITS),
    Case("spp.regionPeak.gz", "SPP: no names, -1 for p", gzip.compress(each("{c} {s} {e} . 0 . {v}.5 -1 3.1 {o}"), mtime=0), SUMMITS),
    Case("idr.txt", "IDR, 20 columns", each(NARROW + " 2.1 3.0 {s} {e} 5.5 {m} {s} {e} 5.1 {m}"), SUMMITS),
    Case("genrich.narrowPeak", "Genrich: large scores", each("{c} {s} {e} peak_{i} 1000 . 812.5 12.5 -1 {o}"), SUMMITS),
    Case("jamm.narrowPeak", "JAMM: decimals everywhere", each("{c} {s} {e} . 10.5 . 0.5 9.1 8.2 {o}"), SUMMITS),
    Case("track.narrowPeak", "UCSC's browser and track lines", each(NARROW, ["browser position chr1", 'track type=narrowPeak']), SUMMITS),
    Case("titled.bed", "column titles", each(NARROW, ["#chrom\tstart\tend"]), SUMMITS),
    Case("crlf.narrowPeak", "line ends of Windows", each(NARROW).replace(b"\n", b"\r\n"), SUMMITS),
    Case("cr.narrowPeak", "line ends of old Macs", each(NARROW).replace(b"\n", b"\r"), SUMMITS),
    Case("bom.narrowPeak", "byte order mark", b"\xef\xbb\xbf" + each(NARROW), SUMMITS),
    Case("blanks.narrowPeak", "blanks for tabs", each(NARROW).replace(b"\t", b"  "), SUMMITS),
    Case("no_last_end.narrowPeak", "no line end after the last row", each(NARROW).rstrip(), SUMMITS),
    Case("latin.narrowPeak", "a name in Latin-1", each(NARROW).replace(b"peak", b"p\xe9ak"), SUMMITS),
    Case("nameless", "no suffix", each(NARROW), SUMMITS),
    Case("peaks.txt", "narrowPeak called .txt", each(NARROW), SUMMITS),
    Case("exponents.bed", "R's numbers", each("{c} {s}.0 {e}.0 x 1e+01 ."), MIDDLES),
    Case("unknown.narrowPeak", "ENCODE: -1 for no summit", each("{c} {s} {e} . 0 . 5.5 -1 -1 -1"), MIDDLES),
    Case("dot.narrowPeak", "a dot for no summit", each("{c} {s} {e} . 0 . 5.5 . . ."), MIDDLES),
    Case("a_summits.bed", "MACS2's summits", each("{c} {m} {m1} peak_{i} 5.5"), SUMMITS),
    Case("a.broadPeak", "MACS2, broad", each("{c} {s} {e} peak_{i} 7 . 5.5 4.1 3.2"), MIDDLES),
    Case("a.gappedPeak", "MACS2, broad with blocks", each("{c} {s} {e} p{i} 7 . {s} {e} 0 2 9,9 0,50 5.5 4.1 3.2"), MIDDLES),
    Case("bed12.bed", "BED12", each("{c} {s} {e} p{i} 7 + {s} {e} 0 2 9,9 0,50"), MIDDLES),
    Case("gopeaks.bed", "GoPeaks: three columns", BED, MIDDLES),
    Case("unibind.bed", "UniBind: names with dots and underscores", each("{c} {s} {e} EXP1_K562_CTCF_MA0139.1 9.5 +"), MIDDLES),
    Case("cistrome.bed", "Cistrome: name and score", each("{c} {s} {e} 7 9.75"), MIDDLES),
    Case("epic2.bed", "epic2: p, score, strand, counts", each("{c} {s} {e} 1e-9 88 . 20 3 0.001 2.5"), MIDDLES),
    Case("scores.bedGraph", "bedGraph with its track line", each("{c} {s} {e} 5.25", ["track type=bedGraph"]), MIDDLES),
    Case("seacr.stringent.bed", "SEACR: column 6 is the region of highest signal", each("{c} {s} {e} 812.5 9.5 {c}:{a}-{b}"), SUMMITS),
    Case("remap2022.bed", "ReMap: the thick base is the summit", each("{c} {s} {e} CTCF:HepG2 2 . {m} {m1} 1,2,3"), SUMMITS),
    Case("homer.txt", "HOMER, findPeaks", each("{c}-{i} {c} {s1} {e} + 9.5 0.8 7.1", ["# HOMER Peaks", "#PeakID\tchr"]), MIDDLES),
    Case("annotated.txt", "HOMER, annotatePeaks", each("p{i} {c} {s1} {e} - 9.5 NA", ["PeakID (cmd=a b)\tChr\tStart"]), MIDDLES),
    Case("bare_homer.txt", "HOMER's least: strands 0 and 1", each("p{i} {c} {s1} {e} 0"), MIDDLES),
    Case("a.saf", "SAF of featureCounts", each("p{i} {c} {s1} {e} +", ["GeneID\tChr\tStart\tEnd\tStrand"]), MIDDLES),
    Case("a.gff3", "GFF3", each(GFF + "ID=p{i};Name=x", ["##gff-version 3"]), MIDDLES),
    Case("a.gtf", "GTF", each(GFF + 'gene_id~"p{i}";'), MIDDLES),
    Case("granges.txt", "a table of R's GRanges", each("{c} {s1} {e} {w} *", ["seqnames\tstart\tend\twidth\tstrand"]), MIDDLES),
    Case("lanceotron.bed", "LanceOtron: titles without #", each("{c} {s} {e} 0.91", ["chrom\tstart\tend\tscore"]), MIDDLES),
    Case("database.txt", "UCSC's database: bin before the place", each("585 " + NARROW), SUMMITS),
    Case("repeated.narrowPeak", "each row twice", each(NARROW) * 2, SUMMITS, says="3 same place and summit"),
    Case("spoilt.narrowPeak", "rows that are none", each(NARROW) + rows("chr1 400 300 x 0 . 1 1 1 5", "chr1 x"), SUMMITS, says="start not below end"),
    Case("html.bed", "names in HTML", each("{c} {s} {e} <b>x</b>"), MIDDLES),
    Case("escape.bed", "a name that turns a terminal red", each("{c} {s} {e} \x1b[31mx"), MIDDLES),
    Case("ensembl.bed", "Ensembl's names", each("{n} {s} {e}"), "g.fa lacks the chromosomes of 3 of 3 intervals"),
    Case("ensembl_auto.bed", "the same, looked up", each("{n} {s} {e}"), MIDDLES, ("--chromosome-names", "auto")),
    Case("ncbi.bed", "RefSeq's names, by a table", each("NC_{n}.1 {s} {e}"), MIDDLES, ("--chromosome-names", "names.txt")),
    Case("mixed.bed", "names of both styles", BED + rows("1 5 90"), (*MIDDLES, ("1", 47)), says="--chromosome-names auto reads 1 as chr1"),
    Case("beyond.bed", "a place beyond the end", BED + rows("chr2 9000 9100"), (*MIDDLES, ("chr2", 9050)), says="1 beyond the end of the chromosome"),
    Case("gap.bed", "a place without a known base", BED + rows("chr2 10 60"), (*MIDDLES, ("chr2", 35)), says="1 only unknown bases"),
    Case("a_peaks.xls", "MACS2's table, from 1", each("{c} {s1} {e} {w} {m1}", ["# MACS", "chr\tstart\tend\tlength\tabs_summit"]), "a_peaks.xls, line 2: this is a MACS .xls table"),
    Case("GEM_events.txt", "GEM's table", rows("Position IP Control", "1:290 9.5 0.1"), "GEM_events.txt, line 1: this is GEM's table"),
    Case("picard.interval_list", "Picard", b"@HD\tVN:1.6\n@SQ\tSN:chr1\tLN:1500\n" + each("{c} {s1} {e} + x"), "picard.interval_list has the header of SAM"),
    Case("a.bigBed", "bigBed", b"\xeb\xf2\x89\x87" + bytes(64), "a.bigBed is a bigBed"),
    Case("a.bw", "bigWig", b"\x26\xfc\x8f\x88" + bytes(64), "a.bw is a bigWig"),
    Case("a.bed.bz2", "bzip2", bz2.compress(BED), "a.bed.bz2 is a bzip2 archive"),
    Case("a.xlsx", "Excel", b"PK\x03\x04" + bytes(64), "a.xlsx is a zip archive (as .xlsx is)"),
    Case("utf16.bed", "UTF-16", BED.decode().encode("utf-16"), "utf16.bed is UTF-16 text"),
    Case("page.bed", "an error page for peaks", b"<html>\n<body>404</body>\n</html>\n", "page.bed: most rows have 1 column"),
    Case("empty.bed", "nothing", b"", "empty.bed is empty"),
    Case("comments.bed", "comments alone", b"# none\n# found\n", "comments.bed holds no peak"),
    Case("cut.bed.gz", "gzip, cut short", gzip.compress(BED * 99, mtime=0)[:-20], "cut.bed.gz is cut short"),
    Case("false.bed.gz", "named gzip", BED, "false.bed.gz is named .gz but is not a gzip file"),
    Case("binary.bed", "bytes", b"chr1\0\1\2\n", "binary.bed is binary"),
    Case("reversed.bed", "end before start throughout", each("{c} {e} {s}"), "reversed.bed, line 1"),
]  # fmt: skip


def base(chrom: str, position: int) -> str:
    """Return the base at a 1-based position."""
    return GENOME[chrom][position - 1]


def another(base: str) -> str:
    """Return a base that is another one."""
    return "CGTA"["ACGT".index(base)]


def _snv(chrom: str, position: int) -> tuple[str, int, str, str]:
    reference = base(chrom, position)
    return chrom, position, reference, another(reference)


def _deletion(chrom: str, position: int) -> tuple[str, int, str, str]:
    return chrom, position, GENOME[chrom][position - 1 : position + 2], base(chrom, position)


VARIANTS = (_snv("chr1", 290), _deletion("chr1", 861), _snv("chr2", 350))
SCORED_THREE = (SCORED,) * 3
_HEADER = [
    "##fileformat=VCFv4.2",
    '##INFO=<ID=END,Number=1,Type=Integer,Description="x">',
    '##ALT=<ID=DEL,Description="x">',
    *(f"##contig=<ID={chrom},length={len(letters)}>" for chrom, letters in GENOME.items()),
]
_TITLES = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


def vcf(row: str = "{c} {p} . {r} {a} . PASS .", more: Sequence[str] = (), head: Sequence[str] = _HEADER, titles: str = _TITLES) -> bytes:  # fmt: skip
    """Return VCF of the three variants, with more rows behind them."""
    made = [row.format(c=c, n=c[3:], p=p, r=r, a=a) for c, p, r, a in VARIANTS if row]
    return "".join(f"{line}\n" for line in [*head, titles]).encode() + rows(*made, *more)


def listed(row: str, titles: str = "") -> bytes:
    """Return a table of the three variants."""
    return (f"{titles}\n" if titles else "").encode() + vcf(row, head=(), titles="").removeprefix(b"\n")


_A = base("chr1", 500)
_SAMPLE = _TITLES + "\tFORMAT\tNA1"
_REFERENCE = "chr1 500 . " + _A
SYMBOL, NONE, NO_DNA = "symbolic allele", "no alternative allele", "allele is not DNA"

VARIANT_FILES = [
    Case("a.vcf", "VCF", vcf(), SCORED_THREE),
    Case("a.vcf.gz", "VCF by gzip", gzip.compress(vcf(), mtime=0), SCORED_THREE),
    Case("cat.vcf.gz", "VCF, two gzip members", in_blocks(vcf()), SCORED_THREE),
    Case("a.txt", "VCF called .txt", vcf(), SCORED_THREE),
    Case("crlf.vcf", "line ends of Windows", vcf().replace(b"\n", b"\r\n"), SCORED_THREE),
    Case("bom.vcf", "byte order mark", b"\xef\xbb\xbf" + vcf(), SCORED_THREE),
    Case("gatk.g.vcf", "GATK's gVCF", vcf("{c} {p} . {r} {a},<NON_REF> 9 . DP=9 GT 0/1", [f"{_REFERENCE} <NON_REF> . . END=520 GT 0/0"], titles=_SAMPLE), (SCORED, SYMBOL) * 3 + (SYMBOL,)),
    Case("bcftools.vcf", "bcftools: several alternatives", vcf("{c} {p} . {r} {a} 9.1 . DP=9;INDEL", [f"{_REFERENCE} {another(_A)},{_A * 3} . . ."]), (SCORED,) * 5),
    Case("freebayes.vcf", "FreeBayes: several bases at once", vcf(more=[f"chr1 500 . {GENOME['chr1'][499:503]} {'ACGT' if GENOME['chr1'][499:503] != 'ACGT' else 'TGCA'} . . TYPE=complex"]), (SCORED,) * 4),
    Case("deepvariant.vcf", "DeepVariant: RefCall", vcf("{c} {p} . {r} {a} 9 PASS . GT:GQ 0/1:9", [f"{_REFERENCE} . 0 RefCall . GT:GQ ./.:3"], titles=_SAMPLE), (*SCORED_THREE, NONE)),
    Case("vep.vcf", "VEP's VCF: CSQ", vcf("{c} {p} rs1 {r} {a} . . CSQ=C|missense_variant|MODERATE|A,B"), SCORED_THREE),
    Case("structural.vcf", "structural variants", vcf(more=[f"{_REFERENCE} <DEL> . . END=600", f"{_REFERENCE} {_A}[chr2:9[ . . .", f"{_REFERENCE} * . . ."]), (*SCORED_THREE, *(SYMBOL,) * 3)),
    Case("symbols_alone.vcf", "structural variants alone", vcf("{c} {p} . N <DEL> . . ."), (SYMBOL,) * 3),
    Case("lower.vcf", "alleles in lower case", vcf("", [f"{c} {p} . {r.lower()} {a.lower()} . . ." for c, p, r, a in VARIANTS]), SCORED_THREE),
    Case("iupac.vcf", "dbSNP: an ambiguous reference", vcf(more=["chr1 500 rs9 R A . . ."]), (*SCORED_THREE, NO_DNA)),
    Case("refseq.vcf", "dbSNP: RefSeq's names, by a table", vcf("NC_{n}.1 {p} rs1 {r} {a} . . ."), SCORED_THREE, ("--chromosome-names", "names.txt")),
    Case("ensembl.vcf", "Ensembl's names", vcf("{n} {p} . {r} {a} . . ."), "g.fa lacks the chromosomes of 3 of 3 alleles"),
    Case("ensembl_auto.vcf", "the same, looked up", vcf("{n} {p} . {r} {a} . . .", [f"MT 99 . {base('chrM', 99)} {another(base('chrM', 99))} . . ."]), (SCORED,) * 4, ("--chromosome-names", "auto")),
    Case("mixed.vcf", "names of both styles", vcf(more=["2 350 . A C . . ."]), (*SCORED_THREE, "chromosome not in the genome"), says="--chromosome-names auto reads 2 as chr2"),
    Case("telomere.vcf", "position 0 of a telomere", vcf(more=["chr1 0 . N A . . ."]), (*SCORED_THREE, NO_DNA)),
    Case("far.vcf", "a position of 18 digits", vcf(more=[f"chr1 {'9' * 18} . A C . . ."]), (*SCORED_THREE, "beyond the end of the chromosome")),
    Case("digits.vcf", "a position of 25 digits", vcf(more=[f"chr1 {'9' * 25} . A C . . ."]), "digits.vcf, line 11: pos is"),
    Case("many_digits.vcf", "a position of 5,000 digits", vcf(more=[f"chr1 {'9' * 5000} . A C . . ."]), "many_digits.vcf, line 11: pos is"),
    Case("other_assembly.vcf", "another assembly", vcf(f"{{c}} {GENOME['chr1'].find('A', 600) + 1} . C T . . .").replace(b"chr2", b"chr1"), "none of 3 alleles can be scored (3 reference mismatch)"),
    Case("table.tsv", "a table", listed("{c} {p} {r} {a}", "chrom\tpos\tref\talt"), SCORED_THREE),
    Case("table.csv", "a table with commas", listed("{c} {p} {r} {a}", "chrom\tpos\tref\talt").replace(b"\t", b","), SCORED_THREE),
    Case("headless.vcf", "VCF without its header", listed("{c} {p} . {r} {a} . . ."), "headless.vcf, line 1: this is a variant, and a line with the titles"),
    Case("headless.tsv", "chrom pos ref alt, without titles", listed("{c} {p} {r} {a}"), "headless.tsv, line 1: this is a variant, and a line with the titles"),
    Case("blanks.vcf", "blanks for tabs", vcf().replace(b"\t", b" "), "blanks.vcf, line 7: its columns are separated by blanks"),
    Case("vep.txt", "VEP's table", b"## ENSEMBL\n" + rows("#Uploaded_variation Location Allele Gene", "rs1 1:290 C G1"), "vep.txt, line 2: this is VEP's output"),
    Case("input.vep", "VEP's own input", rows("1 290 290 A/C +"), "input.vep, line 1: the table lacks"),
    Case("a.maf", "MAF of TCGA", rows("Hugo_Symbol Chromosome Start_Position Reference_Allele", "X 1 290 A"), "a.maf, line 1: the table lacks"),
    Case("23andme.txt", "23andMe", rows("rs1 1 290 AC"), "23andme.txt, line 1: the table lacks"),
    Case("peaks.bed", "peaks for variants", BED, "peaks.bed, line 1: the table lacks"),
    Case("genome.fa", "FASTA for variants", b">chr1\nACGT\n", "genome.fa, line 1: the table lacks"),
    Case("short.vcf", "a row cut short", vcf() + b"chr1\t5", "short.vcf, line 11: 2 columns where the header has 8"),
    Case("empty.vcf", "nothing", b"", "empty.vcf is empty"),
    Case("header.vcf", "a header alone", vcf().split(b"chr1\t290")[0], "there is nothing to score: the input holds no variant"),
    Case("cut.vcf.gz", "gzip, cut short", gzip.compress(vcf(more=[f"chr1 {n} . A C . . ." for n in range(1, 900)]), mtime=0)[:-300], "cut.vcf.gz is cut short"),
    Case("damaged.bcf", "a damaged BCF", gzip.compress(b"BCF\2\2" + bytes(50), mtime=0), "damaged.bcf: cannot be read as BCF"),
]  # fmt: skip


SEQUENCES = tuple(GENOME["chr1"][start : start + WINDOW] for start in (100, 300, 500))
_LINES = "".join(f"{letters}\n" for letters in SEQUENCES).encode()


def fasta(header: str, width: int = 60, end: str = "\n") -> bytes:
    """Return FASTA of the three sequences."""
    made = []
    for number, letters in enumerate(SEQUENCES, start=1):
        parts = [letters[first : first + width] for first in range(0, len(letters), width)]
        made += [">" + header.format(i=number), *parts]
    return "".join(line + end for line in made).encode()


SEQUENCE_FILES = [
    Case("ensembl.fa", "Ensembl's headers", fasta("{i} dna:chromosome chromosome:GRCh38:{i}:1:31:1 REF"), SCORED_THREE),
    Case("ncbi.fna", "NCBI's headers", fasta("NC_{i}.11 Homo sapiens chromosome {i}, GRCh38.p14", 80), SCORED_THREE),
    Case("ucsc.fa", "UCSC, in lower case", fasta("chr{i}", 10).replace(b"A", b"a").replace(b"C", b"c").replace(b"G", b"g").replace(b"T", b"t"), SCORED_THREE),
    Case("bedtools.fa", "bedtools getfasta", fasta("chr1:{i}-99(+)"), SCORED_THREE),
    Case("pipes.fa", "pipes in names", fasta("gi|{i}|ref|NC_1.1|"), SCORED_THREE),
    Case("a.fa.gz", "gzip", gzip.compress(fasta("s{i}"), mtime=0), SCORED_THREE),
    Case("cat.fa.gz", "two gzip members", in_blocks(fasta("s{i}")), SCORED_THREE),
    Case("crlf.fa", "line ends of Windows", fasta("s{i}", 9, "\r\n"), SCORED_THREE),
    Case("bom.fasta", "byte order mark", b"\xef\xbb\xbf" + fasta("s{i}"), SCORED_THREE),
    Case("blank_lines.fa", "blank lines between records", fasta("s{i}").replace(b">", b"\n>"), SCORED_THREE),
    Case("nameless", "no suffix", fasta("s{i}"), SCORED_THREE),
    Case("fasta.txt", "FASTA called .txt", fasta("s{i}"), SCORED_THREE),
    Case("iupac.fa", "ambiguous bases", fasta("s{i}") + b">s4\n" + b"RYSWKMBDHVN" * 2 + b"ACGTACGTA\n", (SCORED,) * 4),
    Case("unknown.fa", "N alone", fasta("s{i}") + b">s4\n" + b"N" * WINDOW + b"\n", (*SCORED_THREE, "only unknown bases"), says="1 only unknown bases"),
    Case("lines.txt", "lines of sequences", _LINES, SCORED_THREE),
    Case("crlf.txt", "lines of Windows", _LINES.replace(b"\n", b"\r\n"), SCORED_THREE),
    Case("named.tsv", "a name and a sequence", b"".join(b"n\t" + line for line in _LINES.splitlines(True)), SCORED_THREE),
    Case("table.csv", "a table with commas", b"id,sequence\n" + b"".join(b"n," + line for line in _LINES.splitlines(True)), SCORED_THREE),
    Case("places.tsv", "places and sequences", b"".join(b"chr1\t1\t31\t" + line for line in _LINES.splitlines(True)), SCORED_THREE),
    Case("deepbind.seq", "DeepBind", b"FoldID\tEventID\tseq\tBound\n" + b"".join(b"A\te\t" + line + b"\t1\n" for line in _LINES.split()), SCORED_THREE),
    Case("rna.fa", "RNA", fasta("s{i}").replace(b"T", b"U"), "rna.fa, line 2: 'U': this is RNA"),
    Case("read_rna.fa", "RNA, read as DNA", fasta("s{i}").replace(b"T", b"U"), SCORED_THREE, ("--rna",)),
    Case("rna.txt", "lines of RNA", _LINES.replace(b"T", b"U"), "rna.txt, line 1, in"),
    Case("protein.fa", "protein", b">p\nMKVLAAGIVE\n", "protein.fa, line 2: 'L' is not a base"),
    Case("reads.fastq", "FASTQ", b"@r1\nACGTACGT\n+\nIIIIIIII\n", "reads.fastq is FASTQ"),
    Case("reads.fq.gz", "FASTQ, gzip", gzip.compress(b"@r1\nACGTACGT\n+\nIIIIIIII\n", mtime=0), "reads.fq.gz is FASTQ"),
    Case("a.gb", "GenBank", b"LOCUS       X\nORIGIN\n        1 acgtacgt\n//\n", "a.gb, line 1, in"),
    Case("a.2bit", "2bit", b"\x1a\x41\x27\x43" + bytes(50), "a.2bit is a 2bit genome"),
    Case("twice.fa", "one name twice", fasta("s"), "twice.fa, line 3: the sequence s occurs twice"),
    Case("hollow.fa", "a record without sequence", b">a\n>b\nACGT\n", "hollow.fa: the sequence a is empty"),
    Case("escape.fa", "a name that turns a terminal red", b">\x1b[31mx\nACGT\n", "escape.fa, line 1: the name"),
    Case("empty.fa", "nothing", b"", "empty.fa is empty"),
    Case("calls.vcf", "variants for sequences", vcf(), "calls.vcf holds variants; score them with: tfbs-moe variants"),
    Case("utf16.txt", "UTF-16", _LINES.decode().encode("utf-16"), "utf16.txt is UTF-16 text"),
    Case("cut.fa.gz", "gzip, cut short", gzip.compress(fasta("s{i}"), mtime=0)[:-9], "cut.fa.gz is cut short"),
]  # fmt: skip


def genome(style: str, width: int | None = 50, end: str = "\n") -> bytes:
    """Return FASTA of the genome with headers such as ``>chr1``; ``{c}`` is UCSC's name, ``{n}`` without ``chr``."""
    made = []
    for chrom, letters in GENOME.items():
        made.append(">" + style.format(c=chrom, n=chrom[3:].replace("M", "MT")))
        made += [letters[first : first + (width or 9999)] for first in range(0, len(letters), width or 9999)]
    return "".join(line + end for line in made).encode()


_UCSC = genome("{c}")
GENOMES = [
    Case("ucsc.fa", "UCSC, soft-masked", _UCSC.replace(b"ACG", b"acg"), SUMMITS),
    Case("ensembl.fa", "Ensembl", genome("{n} dna:chromosome chromosome:X:{n}:1:9:1 REF", 60), SUMMITS, ("--chromosome-names", "auto")),
    Case("ncbi.fna", "NCBI", genome("NC_{n}.1 Homo sapiens", 80), SUMMITS, ("--chromosome-names", "names.txt")),
    Case("one_line.fa", "each chromosome on a line", genome("{c}", None), SUMMITS),
    Case("crlf.fa", "line ends of Windows", genome("{c}", 50, "\r\n"), SUMMITS),
    Case("a.fa.gz", "gzip", gzip.compress(_UCSC, mtime=0), SUMMITS),
    Case("cat.fa.gz", "two gzip members", in_blocks(_UCSC), SUMMITS),
    Case("uneven.fa", "lines of unequal length", _UCSC.replace(b"ACGT", b"AC\nGT"), SUMMITS),
    Case("no_last_end.fa", "no line end after the last", _UCSC.rstrip(), SUMMITS),
    Case("a.2bit", "2bit", b"\x1a\x41\x27\x43" + bytes(50), "a.2bit is a 2bit genome"),
    Case("table.fa", "peaks for a genome", BED, "table.fa, line 1: a FASTA file opens with a line such as"),
]  # fmt: skip
