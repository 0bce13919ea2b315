"""What a source means, and where its bytes come from."""

import csv
import hashlib
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfbs_moe.data.download import sources
from tfbs_moe.data.download.sources import (
    LOCK_COLUMNS,
    Checksum,
    Local,
    Planted,
    Portal,
    Remote,
    addresses,
    check_mirror,
    locked,
    parse_checksum,
    parse_source,
    redacted,
    resource_path,
    with_lock,
)
from tfbs_moe.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "67a2ecf547a83f8ef6545b1f1604fe69482e4d6f"
PAPER_URL = f"https://raw.githubusercontent.com/lab-rasool/TFBS/{COMMIT}/data/test/ARID3A_HepG2_ARID3A_(NB100-279)_B.gz"
PORTAL_URL = "https://www.encodeproject.org/files/ENCFF562YSV/@@download/ENCFF562YSV.bed.gz"
MD5 = "e73266496359531529a6e99c9a162a72"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PAPER_URL, Remote(PAPER_URL)),
        (f"  {PAPER_URL} ", Remote(PAPER_URL)),
        ("ENCFF562YSV", Remote(PORTAL_URL, accession="ENCFF562YSV")),
        (PORTAL_URL, Remote(PORTAL_URL, accession="ENCFF562YSV")),
        ("planted:MA0139.2", Planted(("MA0139.2",))),
        ("planted:MA0079.5+MA0062.4:20441", Planted(("MA0079.5", "MA0062.4"), 20441)),
        ("encode", Portal()),
        ("../my data/peaks (1).bed", Local(Path("../my data/peaks (1).bed"))),
        ("/data/peaks.bed.gz", Local(Path("/data/peaks.bed.gz"))),
        ("file:///data/a%20b.bed", Local(Path("/data/a b.bed"))),
        ("ENCFF562YSV.bed.gz", Local(Path("ENCFF562YSV.bed.gz"))),
    ],
)
def test_parse_source(text, expected):
    assert parse_source(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the source is empty"),
        ("ENCSR000EEI", "not the accession of a file.*https://www.encodeproject.org/ENCSR000EEI/"),
        ("ftp://hgdownload.cse.ucsc.edu/a.gz", "ftp addresses cannot be fetched"),
        ("s3://encode-public/a.gz", "s3 addresses cannot be fetched"),
        ("planted:CTCF", "names no JASPAR matrix; give its id with the version"),
        ("planted:MA0139.2:many", "'many' is not a number of peaks"),
        ("planted:MA0139.2:0", "'0' is not a number of peaks"),
        ("https://host.org/", "the address of a folder"),
        ("https://host.org/a/../b.gz", r"holds a \.\. step"),
        ("https://host.org/a/%2e%2e/b.gz", r"holds a \.\. step"),
        ("https://user:word@host.org/a.gz", "keep credentials out of tables"),
        ("https:///a.gz", "not an http.s. address with a host"),
        ("https://host.org/a b.gz", "holds whitespace .* a space as %20"),
        ("https://host.org/a\0.gz", "unprintable character"),
        ("https://\0/a.gz", "unprintable character"),
        ("https://host.org\x85/a.gz", "whitespace or an unprintable character"),
        ("https://../a.gz", "'..' is not a host to fetch from"),
        ("https://./a.gz", "'.' is not a host to fetch from"),
        ("https://a..org/a.gz", "is not a host to fetch from"),
        ("https://a$b/a.gz", "is not a host to fetch from"),
        ("https://müller.de/a.gz", "international name as xn--"),
        (r"https://a\b/a.gz", "is not a host to fetch from"),
        ("https://[::g]/a.gz", "is not a well-formed address|is not a host"),
        ("https://[v1.a]/a.gz", "is not a host to fetch from"),
        ("https://host.org:0/a.gz", "a port from 1 to 65535"),
        ("https://host.org:65536/a.gz", "is not a well-formed address"),
        ("https://host.org:-1/a.gz", "is not a well-formed address"),
        ("planted:MA0139.2:" + "9" * 5000, "is not a number of peaks"),
        ("file://[x/a.gz", "is not a well-formed address"),
        ("https://host.org:x/a.gz", "not a well-formed address"),
    ],
)
def test_parse_source_refuses(text, message):
    with pytest.raises(InputError, match=message):
        parse_source(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://user:secret@host.org/a.gz",
        "https://user:secret@host.org:99999/a.gz",
        "https://user:secret@ho..st/a.gz",
        "https://user:secret@host.org/a b.gz",
        "https://user:secret@host.org/",
        "https://user:sec:secret@/a.gz",
        "ftp://user:secret@host.org/a.gz",
        "https://host.org/a/../b.gz?X-Amz-Signature=secret",
    ],
)
def test_credentials_are_not_repeated(text):
    with pytest.raises(InputError) as caught:
        parse_source(text)
    assert "secret" not in str(caught.value)


def test_credentials_of_a_mirror_are_not_repeated():
    with pytest.raises(InputError) as caught:
        addresses(PORTAL_URL, mirror="ftp://user:secret@mirror.org")
    assert "ftp://…@mirror.org" in str(caught.value)


def test_redacted():
    assert redacted("https://host.org/a.gz?id=3#part") == "https://host.org/a.gz?id=3#part"
    assert (
        redacted("get http://u:p@h/a?X-Amz-Signature=1&b=2&Key=3 now")
        == "get http://…@h/a?X-Amz-Signature=…&b=2&Key=… now"
    )


def test_a_signed_address_of_any_length_has_a_file_name():
    """The signature is not a part of it, and another signature is another name: it may be of another file."""
    signed = "https://b.s3.amazonaws.com/peaks.bed.gz?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=" + "0a" * 150
    path = resource_path(signed)
    assert re.fullmatch(r"peaks~[0-9a-f]{16}\.bed\.gz", path.name)
    assert resource_path(signed) == path != resource_path(signed[:-1])
    assert parse_source(signed) == Remote(signed)
    name = resource_path("https://host.org/" + "é" * 150 + ".gz").name
    assert len(name.encode()) <= 200 and name.startswith("éé") and name.endswith(".gz")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://Host.org/a/B_(x).gz", "host.org/a/B_(x).gz"),
        ("http://host.org/a/B_%28x%29.gz", "host.org/a/B_(x).gz"),
        (PORTAL_URL, "www.encodeproject.org/files/ENCFF562YSV/@@download/ENCFF562YSV.bed.gz"),
        ("https://host.org//a//b.gz", "host.org/a/b.gz"),
        ("http://127.0.0.1:8000/a.gz", "127.0.0.1:8000/a.gz"),
        ("https://host.org/get?id=3&as=bed/gz", "host.org/get?id=3&as=bed%2Fgz"),
        ("https://host.org/a%2Fb.gz", "host.org/a%2Fb.gz"),
        ("https://host.org/%7Bsample%7D.gz", "host.org/%7Bsample%7D.gz"),
        ("https://host.org/%C3%A9.gz", "host.org/é.gz"),
        ("https://host.org/a.gz#part", "host.org/a.gz"),
        ("https://xn--mller-kva.de./a.gz", "xn--mller-kva.de./a.gz"),
        ("https://a_b-c.org/" + "a" * 200, "a_b-c.org/" + "a" * 200),
        ("http://[::1]:80/a.gz", "::1:80/a.gz"),
    ],
)
def test_resource_path(url, path):
    assert resource_path(url) == Path("resources/downloads", path)
    assert resource_path(url, "/mirror") == Path("/mirror", path)


NAMES = st.text(st.characters(blacklist_characters="/{}", blacklist_categories=("Cs", "Cc")), min_size=1).filter(
    lambda name: name not in (".", "..")
)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_any_name_survives_percent_encoding_and_stays_below_its_host(names):
    url = "https://host.org/" + "/".join(quote(name, safe="") for name in names)
    path = resource_path(url, "root")
    assert path.parts == ("root", "host.org", *names)


def test_addresses_in_order():
    assert addresses(PAPER_URL, ("https://archive.org/a.gz",)) == [PAPER_URL, "https://archive.org/a.gz"]
    ucsc = "http://hgdownload.cse.ucsc.edu/goldenPath/hg19/a.gz"
    same = {"hgdownload.cse.ucsc.edu": ["hgdownload.soe.ucsc.edu"]}
    assert addresses(ucsc) == [ucsc]
    assert addresses(ucsc, same_tree=same) == [ucsc, "https://hgdownload.soe.ucsc.edu/goldenPath/hg19/a.gz"]
    assert addresses("https://raw.githubusercontent.com/o/r/main/a.gz") == [
        "https://raw.githubusercontent.com/o/r/main/a.gz"
    ]


def test_a_mirror_is_the_only_address():
    assert addresses(PORTAL_URL, ("https://archive.org/a.gz",), "https://mirror.org/m/") == [
        "https://mirror.org/m/www.encodeproject.org/files/ENCFF562YSV/@@download/ENCFF562YSV.bed.gz"
    ]
    assert addresses("https://h.org/B%20%28x%29%25?a=1", mirror="http://m:81") == ["http://m:81/h.org/B%20(x)%25%3Fa=1"]
    assert addresses("https://h.org/B%20%28x%29", mirror="mirror") == ["mirror/h.org/B (x)"]
    assert addresses("https://h.org/B%20%28x%29", mirror="file:///m%20m") == ["/m m/h.org/B (x)"]
    with pytest.raises(InputError, match="neither a folder nor an http"):
        addresses(PORTAL_URL, mirror="ftp://mirror.org")


@pytest.mark.parametrize("text", ["md5:" + MD5, "MD5:" + MD5.upper()])
def test_parse_checksum(text):
    assert parse_checksum(text) == Checksum("md5", MD5)


def test_parse_checksum_of_other_kinds():
    assert parse_checksum("  ") is None
    assert parse_checksum("sha256:" + "0" * 64) == Checksum("sha256", "0" * 64)
    for text in (MD5, "md5:" + MD5[:-1], "sha1:" + "0" * 40, "sha256:" + MD5, "md5:" + "g" * 32):
        with pytest.raises(InputError, match="is not a checksum"):
            parse_checksum(text)


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "encode.lock.tsv"
    known = {"source": "encode", "factor": "JUND", "cell": "HepG2", "assembly": "GRCh38", "md5": MD5, "size": "727603"}
    known |= {"accession": "ENCFF562YSV", "url": PORTAL_URL, "archive": "https://s3.org/a.bed.gz"}
    row = [known.get(column, "") for column in LOCK_COLUMNS]
    path.write_text("\t".join(LOCK_COLUMNS) + "\n" + "\t".join(row) + "\n")
    return path


def test_locked(lock):
    remote = locked(lock, "JUND", "HepG2", "GRCh38")
    assert remote == Remote(PORTAL_URL, "ENCFF562YSV", ("https://s3.org/a.bed.gz",), (Checksum("md5", MD5),), 727603)
    assert locked(lock, "JUND", "HepG2", "hg38") == remote
    assert remote.addresses() == [PORTAL_URL, "https://s3.org/a.bed.gz"]
    assert with_lock(parse_source("ENCFF562YSV"), lock) == remote
    assert not with_lock(parse_source("ENCFF000AAA"), lock).checksums
    assert with_lock(parse_source(PAPER_URL), lock) == Remote(PAPER_URL)


def test_resolve(lock):
    row = {"factor": "JUND", "cell": "HepG2", "source": "encode", "checksum": ""}
    remote = sources.resolve(row, "hg38", lock)
    assert remote.expected == {"md5": MD5, "size": 727603}
    pinned = sources.resolve(row | {"source": "ENCFF562YSV", "checksum": "sha256:" + "0" * 64}, "hg38", lock)
    assert pinned.expected == {"md5": MD5, "sha256": "0" * 64, "size": 727603}
    with pytest.raises(InputError, match=f"has the md5 {MD5} in one place and {'0' * 32} in another"):
        sources.resolve(row | {"source": "ENCFF562YSV", "checksum": "md5:" + "0" * 32}, "hg38", lock)
    with pytest.raises(InputError, match="is simulated and has no checksum"):
        sources.resolve(row | {"source": "planted:MA0139.2", "checksum": "md5:" + MD5}, "hg38", lock)
    assert sources.resolve(row | {"source": PAPER_URL}, "hg38", lock).expected == {}
    assert sources.resolve(row | {"source": "a.bed"}, "hg38", lock) == Local(Path("a.bed"))
    assert sources.resolve(row | {"source": "planted:MA0139.2"}, "hg38", lock) == Planted(("MA0139.2",))
    with pytest.raises(InputError, match="names no file for JUND in HepG2 on hg19"):
        sources.resolve(row, "hg19", lock)


def test_a_checksum_of_a_local_file_is_checked(tmp_path, lock):
    path = tmp_path / "a.bed"
    path.write_bytes(b"chr1\t1\t2\n")
    row = {"factor": "JUND", "cell": "HepG2", "source": str(path), "checksum": f"md5:{MD5}"}
    with pytest.raises(InputError, match=f"its md5 is [0-9a-f]{{32}} where {MD5} was expected"):
        sources.resolve(row, "hg38", lock).check()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sources.resolve(row | {"checksum": f"sha256:{digest}"}, "hg38", lock).check()
    sources.resolve(row | {"checksum": ""}, "hg38", lock).check()
    path.unlink()
    with pytest.raises(InputError, match="there is no file .*a.bed"):
        sources.resolve(row, "hg38", lock).check()


def test_two_mentions_of_one_file_are_joined_and_may_not_contradict_each_other():
    first, second = (f"{scheme}://h.org/B_(x).gz" for scheme in ("https", "http"))
    md5, sha256 = Checksum("md5", MD5), Checksum("sha256", "0" * 64)
    found = sources.downloads(
        [Remote(first, checksums=(md5,)), Local(Path("a")), Remote(second, checksums=(sha256,), size=3), Remote(first)]
    )
    assert found == {"resources/downloads/h.org/B_(x).gz": Remote(first, None, (second,), (md5, sha256), 3)}
    with pytest.raises(InputError, match="https://h.org/.* has the md5 .* in one place and 0{32} in another"):
        sources.downloads([Remote(first, checksums=(md5,)), Remote(second, checksums=(Checksum("md5", "0" * 32),))])


def test_locked_says_how_to_make_the_lock(lock, tmp_path):
    with pytest.raises(InputError, match="names no file for JUND in K562 on GRCh38; run `snakemake lock`"):
        locked(lock, "JUND", "K562", "GRCh38")
    with pytest.raises(InputError, match="there is no .*none.tsv; run `snakemake lock`"):
        locked(tmp_path / "none.tsv", "JUND", "K562", "GRCh38")
    lock.write_text(lock.read_text().replace("\tmd5\t", "\tsum\t"))
    with pytest.raises(InputError, match="lacks the column.s. md5"):
        locked(lock, "JUND", "HepG2", "GRCh38")
    lock.write_text(lock.read_text().replace("\tsum\t", "\tmd5\t").replace("727603", "large"))
    with pytest.raises(InputError, match="'large' is not a size in bytes"):
        locked(lock, "JUND", "HepG2", "GRCh38")


def genome(**settings):
    return {"fasta": None, "blacklist": True} | settings


@pytest.mark.parametrize("assembly", ["hg19", "hg38", "mm10", "dm6", "ce11"])
def test_a_genome_that_is_fetched_and_the_blacklist_of_its_assembly(assembly):
    files = sources.genome_files(genome(), assembly)
    assert files["fasta"].url.endswith(f"/goldenPath/{assembly}/bigZips/{assembly}.fa.gz")
    assert files["blacklist"].url.endswith(f"/lists/{assembly}-blacklist.v2.bed.gz")
    assert list(sources.genome_files(genome(blacklist=False), assembly)) == ["fasta"]


@pytest.mark.parametrize("assembly", ["hs1", "mm39", "sacCer3", "danRer11", "tair10"])
def test_an_assembly_without_a_blacklist(assembly):
    assert list(sources.genome_files(genome(), assembly)) == ["fasta"]


def test_a_genome_and_a_blacklist_of_the_users_own(tmp_path):
    own = tmp_path / "own.bed"
    own.write_text("chr1\t0\t10\n")
    files = sources.genome_files(genome(fasta="x.fa", blacklist=str(own)), "hg38")
    assert files == {"fasta": Local(Path("x.fa")), "blacklist": Local(own)}
    files = sources.genome_files(genome(fasta="x.fa", blacklist="https://example.org/a.bed.gz"), "spruce")
    assert files["blacklist"] == Remote("https://example.org/a.bed.gz")
    assert sources.genome_files(genome(fasta="x.fa"), "spruce") == {"fasta": Local(Path("x.fa"))}
    for wrong in (str(tmp_path / "gone.bed"), "encode"):
        with pytest.raises(InputError, match=f"genome.blacklist: there is no file {wrong} .*give true, false, or"):
            sources.genome_files(genome(blacklist=wrong), "hg38")


def test_only_the_standard_library_is_imported():
    code = (
        "import sys; sys.path.insert(0, 'workflow'); before = set(sys.modules); import tfbs_moe.data.download.sources;"
        "names = {name.split('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(names - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['tfbs_moe']"


def test_paper_table():
    with open(ROOT / "config" / "paper.tsv", encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    with open(ROOT / "resources" / "paper_files.tsv", encoding="utf-8", newline="") as handle:
        files = {row["url"]: row for row in csv.DictReader(handle, delimiter="\t")}
    assert [row["role"] for row in rows] == ["train"] * 3 + ["test"] * 3 + ["ood"] * 6
    assert len({row["name"] for row in rows}) == 12
    for row in rows:
        source = parse_source(row["source"])
        assert isinstance(source, sources.Remote)
        assert parse_checksum(row["checksum"]) == Checksum("sha256", files[source.url]["sha256"])
        assert files[source.url]["split"] == row["role"]
        assert files[source.url]["file"].startswith(f"{row['factor']}_{row['cell']}_")


@pytest.mark.parametrize(
    ("mirror", "said"),
    [
        ("absent", "there is no folder absent"),
        ("file:///absent/folder", "there is no folder /absent/folder"),
        ("ftp://mirror.org/x", "neither a folder nor an http"),
        ("https://", "with a host"),
        ("empty", "has none of the folders www.encodeproject.org; a mirror has files as <host>/<path>"),
        ("full", None),
        ("https://mirror.org/m", None),
        (None, None),
    ],
)
def test_a_mirror_that_cannot_be_is_refused_when_the_config_is_read(tmp_path, monkeypatch, mirror, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full" / "www.encodeproject.org").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    wanted = [Remote(PORTAL_URL)]
    if said is None:
        check_mirror(mirror, wanted)
        return
    with pytest.raises(InputError, match=said):
        check_mirror(mirror, wanted)
    if mirror == "empty":
        # All that is wanted is there already.
        check_mirror(mirror, [])
