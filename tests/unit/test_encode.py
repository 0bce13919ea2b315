"""The ENCODE client against a server that speaks the portal's protocol."""

import base64
import csv
import json
from datetime import date

import pytest

from portal import FAST, Fault
from tfbs_moe.data.download import sources
from tfbs_moe.data.download.download import fetch
from tfbs_moe.data.download.encode import PortalClient, find, update_lock
from tfbs_moe.data.download.http import session
from tfbs_moe.data.download.peak_choice import linked, refusal
from tfbs_moe.errors import InputError

TODAY = date(2024, 3, 15)
OPTIMAL, CONSERVATIVE = "optimal IDR thresholded peaks", "conservative IDR thresholded peaks"


def experiment(portal, number=1, target="JUND", cell="HepG2", audit="WARNING", replicates=2, summary="", **more):
    accession = f"ENCSR{number:03d}AAA"
    return portal.add(
        {
            "@id": f"/experiments/{accession}/",
            "@type": ["Experiment", "Dataset", "Item"],
            "accession": accession,
            "status": "released",
            "assay_title": "TF ChIP-seq",
            "target": {"@id": f"/targets/{target}-human/", "label": target},
            "biosample_ontology": {"term_name": cell, "classification": "cell line"},
            "simple_biosample_summary": summary,
            "lab": {"title": "Michael Snyder, Stanford"},
            "replicates": [{"biological_replicate_number": n + 1} for n in range(replicates)],
            "audit": {audit: [{"category": "made up", "level_name": audit}]} if audit else {},
            **more,
        }
    )


def peaks(portal, number, of=1, output_type=OPTIMAL, assembly="GRCh38", replicates=(1, 2), **more):
    accession = f"ENCFF{number:03d}AAA"
    return portal.add(
        {
            "@id": f"/files/{accession}/",
            "@type": ["File", "Item"],
            "accession": accession,
            "status": "released",
            "dataset": f"/experiments/ENCSR{of:03d}AAA/",
            "file_format": "bed",
            "file_format_type": "narrowPeak",
            "output_type": output_type,
            "assembly": assembly,
            "biological_replicates": list(replicates),
            "date_created": "2020-01-01T00:00:00",
            "s3_uri": f"s3://encode-public/2020/01/01/{accession}.bed.gz",
            **more,
        },
        payload=b"\x1f\x8b" + accession.encode(),
    )


def chosen(portal, factor="JUND", cell="HepG2", assembly="GRCh38"):
    with session() as http:
        candidates, _ = find(PortalClient(http, portal.url, FAST), factor, cell, assembly)
    return [file.accession for file in candidates]


def rows(*sources_of):
    return [{"name": f"e{i}", "factor": "JUND", "cell": "HepG2", "source": text} for i, text in enumerate(sources_of)]


def read(path):
    with open(path, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def test_optimal_is_chosen_although_the_portal_prefers_conservative(portal):
    experiment(portal)
    peaks(portal, 1, output_type=CONSERVATIVE, preferred_default=True)
    peaks(portal, 2)
    assert chosen(portal) == ["ENCFF002AAA", "ENCFF001AAA"]


@pytest.mark.parametrize("spelling", ["IDR thresholded peaks", "optimal idr thresholded peaks", OPTIMAL])
def test_spellings_of_optimal(portal, spelling):
    experiment(portal)
    peaks(portal, 1, output_type="conservative idr thresholded peaks")
    peaks(portal, 2, output_type=spelling)
    assert chosen(portal)[0] == "ENCFF002AAA"


def test_preferred_default_decides_between_equals_then_age_then_accession(portal):
    experiment(portal)
    peaks(portal, 3, date_created="2021-05-01T00:00:00")
    peaks(portal, 4, preferred_default=True)
    peaks(portal, 2, date_created="2021-05-01T00:00:00")
    peaks(portal, 1)
    assert chosen(portal) == ["ENCFF004AAA", "ENCFF002AAA", "ENCFF003AAA", "ENCFF001AAA"]


def test_file_of_all_replicates_comes_before_the_preferred_one_of_a_single_replicate(portal):
    experiment(portal)
    peaks(portal, 1, replicates=(1,), preferred_default=True)
    peaks(portal, 2)
    assert chosen(portal)[0] == "ENCFF002AAA"


@pytest.mark.parametrize(
    "worse",
    [
        {"summary": "treated with 100 nM dexamethasone for 1 hour"},
        {"perturbed": True},
        {"summary": "genetically modified (insertion) using CRISPR targeting H. sapiens JUND"},
        {"audit": "ERROR"},
        {"audit": "NOT_COMPLIANT"},
        {"replicates": 1},
    ],
)
def test_worse_experiments_come_later(portal, worse):
    experiment(portal, 1, **worse)
    experiment(portal, 2)
    peaks(portal, 1, of=1, preferred_default=True)
    peaks(portal, 2, of=2, output_type=CONSERVATIVE)
    assert chosen(portal) == ["ENCFF002AAA", "ENCFF001AAA"]


def test_a_tagged_line_comes_before_a_treated_one(portal):
    experiment(portal, 1, summary="treated with interferon alpha")
    experiment(portal, 2, summary="genetically modified (insertion) using CRISPR")
    peaks(portal, 1, of=1)
    peaks(portal, 2, of=2)
    assert chosen(portal) == ["ENCFF002AAA", "ENCFF001AAA"]


def test_what_may_not_be_chosen_is_counted(portal):
    experiment(portal)
    md5 = peaks(portal, 1)["md5sum"]
    good = {"cloud_metadata": {"md5sum_base64": base64.b64encode(bytes.fromhex(md5)).decode()}}
    portal.objects["ENCFF001AAA"] |= good
    peaks(portal, 2, status="archived")
    peaks(portal, 3, restricted=True)
    peaks(portal, 4, no_file_available=True)
    peaks(portal, 5, output_type="IDR ranked peaks")
    peaks(portal, 6)["md5sum"] = ""
    peaks(portal, 7, cloud_metadata={"md5sum_base64": base64.b64encode(b"0" * 16).decode()})
    peaks(portal, 8, assembly="hg19")
    peaks(portal, 9, file_format="bigBed")
    with session() as http:
        candidates, refused = find(PortalClient(http, portal.url, FAST), "JUND", "HepG2", "GRCh38")
    assert [file.accession for file in candidates] == ["ENCFF001AAA"]
    assert refused == {
        "status archived": 1,
        "the file itself is not available": 2,
        "output type IDR ranked peaks": 1,
        "no md5 or no size": 1,
        "the portal and its storage disagree on the md5": 1,
    }


def test_other_assays_targets_and_cells_are_not_found(portal):
    experiment(portal, 1, assay_title="Control ChIP-seq")
    experiment(portal, 2, target="JUN")
    experiment(portal, 3, cell="K562")
    experiment(portal, 4, status="revoked")
    with pytest.raises(InputError, match="no released TF ChIP-seq experiment of JUND in HepG2; there is one in K562"):
        chosen(portal)
    with pytest.raises(InputError, match="of Pol2 in K562; nor in any other cell; use the portal's target label"):
        chosen(portal, factor="Pol2", cell="K562")


def test_lock_then_no_more_questions(portal, tmp_path):
    experiment(portal)
    peaks(portal, 1, output_type=CONSERVATIVE, preferred_default=True)
    item = peaks(portal, 2)
    lock = tmp_path / "encode.lock.tsv"
    table = [*rows("encode"), {"name": "l", "factor": "X", "cell": "Y", "source": "peaks.bed"}]
    assert update_lock(table, lock, "hg38", portal=portal.url, today=TODAY, policy=FAST) == 1
    (row,) = read(lock)
    assert row == {
        "source": "encode",
        "factor": "JUND",
        "cell": "HepG2",
        "assembly": "GRCh38",
        "accession": "ENCFF002AAA",
        "experiment": "ENCSR001AAA",
        "target": "JUND",
        "biosample": "HepG2",
        "output_type": OPTIMAL,
        "preferred_default": "false",
        "replicates": "1,2",
        "experiment_replicates": "2",
        "audit": "WARNING",
        "lab": "Michael Snyder, Stanford",
        "url": f"{portal.url}/files/ENCFF002AAA/@@download/ENCFF002AAA.bed.gz",
        "archive": "https://encode-public.s3.amazonaws.com/2020/01/01/ENCFF002AAA.bed.gz",
        "md5": item["md5sum"],
        "size": str(item["file_size"]),
        "queried": "2024-03-15",
        "note": f"the portal prefers ENCFF001AAA ({CONSERVATIVE})",
    }
    asked, before = len(portal.seen), lock.read_bytes()
    assert update_lock(table, lock, "GRCh38", portal=portal.url, policy=FAST) == 0
    assert (len(portal.seen), lock.read_bytes()) == (asked, before)
    remote = sources.locked(lock, "JUND", "HepG2", "GRCh38")
    target = fetch(remote.addresses()[:1], tmp_path / "peaks.bed.gz", md5=row["md5"], size=remote.size, policy=FAST)
    assert target.read_bytes() == b"\x1f\x8bENCFF002AAA"


def test_the_portal_is_asked_for_the_assembly_by_its_own_name_of_it(portal, tmp_path):
    experiment(portal)
    peaks(portal, 1)
    peaks(portal, 2, assembly="mm10")
    lock = tmp_path / "encode.lock.tsv"
    assert update_lock(rows("encode"), lock, "GRCm38.p6", portal=portal.url, today=TODAY, policy=FAST) == 1
    assert [(row["assembly"], row["accession"]) for row in read(lock)] == [("mm10", "ENCFF002AAA")]
    assert sources.locked(lock, "JUND", "HepG2", "mm10").accession == "ENCFF002AAA"
    asked = len(portal.seen)
    with pytest.raises(InputError, match="the ENCODE portal has no peaks on TAIR10; it has some on hg19, GRCh38"):
        update_lock(rows("encode"), lock, "TAIR10", portal=portal.url, policy=FAST)
    assert len(portal.seen) == asked
    assert update_lock(rows("peaks.bed"), lock, "TAIR10", portal=portal.url, policy=FAST) == 0


def test_refresh_follows_the_portal(portal, tmp_path):
    experiment(portal)
    peaks(portal, 1)
    lock = tmp_path / "encode.lock.tsv"
    update_lock(rows("encode"), lock, "GRCh38", portal=portal.url, today=TODAY, policy=FAST)
    portal.objects["ENCFF001AAA"]["status"] = "revoked"
    peaks(portal, 2)
    assert update_lock(rows("encode"), lock, "GRCh38", portal=portal.url, refresh=True, policy=FAST) == 1
    assert [row["accession"] for row in read(lock)] == ["ENCFF002AAA"]


def test_by_accession(portal, tmp_path):
    experiment(portal, 1, target="JUN", cell="K562")
    peaks(portal, 1, output_type="IDR ranked peaks", status="archived")
    lock = tmp_path / "encode.lock.tsv"
    assert update_lock(rows("ENCFF001AAA"), lock, "GRCh38", portal=portal.url, today=TODAY, policy=FAST) == 1
    (row,) = read(lock)
    assert row["note"] == (
        "the portal says target 'JUN', the table 'JUND'; the portal says biosample 'K562', the table 'HepG2'; "
        "output type IDR ranked peaks is not IDR-thresholded; status archived"
    )
    remote = sources.with_lock(sources.parse_source("ENCFF001AAA"), lock)
    assert remote.checksums == (sources.Checksum("md5", row["md5"]),)
    with pytest.raises(InputError, match="names no file for JUND in HepG2"):
        sources.locked(lock, "JUND", "HepG2", "GRCh38")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"assembly": "hg19"}, "assembly hg19 where GRCh38 was expected"),
        ({"status": "revoked"}, "status revoked"),
        ({"file_format": "bam", "file_format_type": ""}, "format bam"),
    ],
)
def test_an_accession_that_cannot_be_used(portal, tmp_path, change, message):
    experiment(portal)
    portal.objects[peaks(portal, 1)["accession"]] |= change
    with pytest.raises(InputError, match=rf"ENCFF001AAA \(JUND in HepG2\) cannot be used: {message}"):
        update_lock(rows("ENCFF001AAA"), tmp_path / "lock.tsv", "GRCh38", portal=portal.url, policy=FAST)


def test_every_failure_is_told_and_what_was_found_is_kept(portal, tmp_path):
    experiment(portal, 1)
    peaks(portal, 1)
    experiment(portal, 2, target="MAX")
    peaks(portal, 2, of=2, output_type="replicated peaks")
    lock = tmp_path / "lock.tsv"
    table = [{"name": f, "factor": f, "cell": "HepG2", "source": "encode"} for f in ("FOO", "MAX", "JUND")]
    table += rows("ENCFF999ZZZ")
    with pytest.raises(InputError) as caught:
        update_lock(table, lock, "GRCh38", portal=portal.url, today=TODAY, policy=FAST)
    message = str(caught.value)
    assert "\n" not in message
    assert "no released TF ChIP-seq experiment of FOO in HepG2" in message
    assert "file of MAX in HepG2 on GRCh38; passed over: output type replicated peaks (1)" in message
    assert "has no such object; check the accession" in message
    assert [row["factor"] for row in read(lock)] == ["JUND"]


def test_a_portal_that_stumbles_and_one_that_is_none(portal, tmp_path):
    experiment(portal)
    peaks(portal, 1)
    portal.misbehave("/search/", Fault(status=503), Fault(status=429, retry_after="0"))
    update_lock(rows("encode"), tmp_path / "a.tsv", "GRCh38", portal=portal.url, today=TODAY, policy=FAST)
    portal.misbehave("/search/", Fault(corrupt=True))
    with pytest.raises(InputError, match="the portal does not answer: .* something other than JSON"):
        update_lock(rows("encode"), tmp_path / "b.tsv", "GRCh38", portal=portal.url, policy=FAST)
    portal.misbehave("/search/", *[Fault(status=500)] * 3)
    with pytest.raises(InputError, match="500.*given up after 3 attempts"):
        update_lock(rows("encode"), tmp_path / "b.tsv", "GRCh38", portal=portal.url, policy=FAST)


def test_real_objects_of_the_portal(shared_data):
    files = json.loads((shared_data / "encode" / "portal_examples" / "fixture_file.json").read_text())
    (awg,) = [item for item in files if item.get("accession") == "ENCFF002COS"]
    assert refusal(awg, "hg19") == ""
    assert refusal(awg, "GRCh38") == "assembly hg19 where GRCh38 was expected"
    assert sum(not refusal(item, "hg19") for item in files) == 1
    assert linked("/targets/EBF1-human/", "label") == linked({"label": "EBF1"}, "label") == "EBF1"
