"""Downloads that break off: what is resumed, what is fetched anew, and what lies beside a file until it is whole."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal import FAST, MD5, OTHER, PAYLOAD, SHA256, Fault, leftovers
from tfbs_moe.data.download import partial
from tfbs_moe.data.download.download import fetch
from tfbs_moe.data.download.http import Policy
from tfbs_moe.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
NOTICES_STALLS = Policy(attempts=20, first_wait=0.01, longest_wait=0.2, stall_timeout=0.4)


@pytest.mark.parametrize("chunked", [False, True])
def test_broken_line_is_resumed_where_it_broke(portal, url, tmp_path, chunked):
    portal.misbehave("/data/A_(x).gz", Fault(drop_at=100_000, chunked=chunked), Fault(drop_at=50_000))
    target = fetch([url], tmp_path / "a.gz", sha256=SHA256, policy=FAST)
    assert target.read_bytes() == PAYLOAD
    first, second, third = portal.requests_for("/data/A_(x).gz")
    assert "Range" not in first.headers
    assert second.headers["Range"] == "bytes=100000-"
    assert second.headers["If-Range"].strip('"') == MD5
    assert third.headers["Range"] == "bytes=150000-"
    assert (second.status, third.status) == (206, 206)


def test_progress_starts_the_count_of_attempts_again(portal, url, tmp_path):
    portal.misbehave("/data/A_(x).gz", *[Fault(drop_at=20_000)] * 10)
    assert fetch([url], tmp_path / "a.gz", sha256=SHA256, policy=FAST).read_bytes() == PAYLOAD
    assert len(portal.seen) == 11


def test_server_without_ranges_starts_again_and_is_bounded(portal, url, tmp_path):
    portal.misbehave("/data/A_(x).gz", Fault(drop_at=100_000), Fault(ignore_range=True))
    assert fetch([url], tmp_path / "a.gz", policy=FAST).read_bytes() == PAYLOAD
    portal.misbehave("/data/A_(x).gz", *[Fault(drop_at=100_000, ignore_range=True)] * 10)
    with pytest.raises(InputError, match="broke off.*given up after 3 attempts"):
        fetch([url], tmp_path / "b.gz", policy=FAST)


def test_file_that_changes_between_attempts_is_not_pieced_together(portal, url, tmp_path):
    portal.misbehave("/data/A_(x).gz", Fault(drop_at=100_000), Fault(status=503))
    original = portal.next_fault

    def change(path):
        fault = original(path)
        if fault.status == 503:
            portal.put(path, OTHER)
        return fault

    portal.next_fault = change
    assert fetch([url], tmp_path / "a.gz", policy=FAST).read_bytes() == OTHER


@pytest.mark.parametrize("validators", [True, False])
def test_pieces_of_two_versions_are_not_joined_though_the_server_offers_them(portal, tmp_path, validators):
    """A server that gives ranges of whatever is there: another tag or another length gives it away."""
    url = portal.put("/data/a.gz", PAYLOAD)
    portal.misbehave("/data/a.gz", Fault(drop_at=100_000), Fault(status=503), Fault(heedless=True))
    original = portal.next_fault

    def change(path):
        fault = original(path)
        if fault.status == 503:
            # Without tags, a later version is as a rule of another length.
            portal.put(path, OTHER + bytes(len(PAYLOAD) - len(OTHER)) if validators else OTHER, validators)
        return fault

    portal.next_fault = change
    patient = Policy(attempts=5, first_wait=0.01)
    assert fetch([url], tmp_path / "a.gz", policy=patient).read_bytes().startswith(OTHER)
    assert [seen.headers.get("Range") for seen in portal.seen] == [None, *["bytes=100000-"] * 2, None]


@pytest.mark.parametrize("name", [".a.gz.part", ".a.gz.part.json"])
def test_a_planted_link_is_not_followed(portal, url, tmp_path, name):
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / name).symlink_to(tmp_path / "mine")
    with contextlib.suppress(InputError):
        assert fetch([url], tmp_path / "downloads/a.gz", policy=FAST).read_bytes() == PAYLOAD
    assert (tmp_path / "mine").read_text() == "precious"
    if name.endswith("part"):
        (tmp_path / "downloads" / name).unlink()
        (tmp_path / "downloads" / name).hardlink_to(tmp_path / "mine")
        with pytest.raises(InputError, match="no plain file, but an unfinished download should be there; remove it"):
            fetch([url], tmp_path / "downloads/a.gz", policy=FAST)
        assert (tmp_path / "mine").read_text() == "precious"


def test_without_a_validator_or_digest_nothing_is_pieced_together(portal, tmp_path):
    url = portal.put("/plain.gz", PAYLOAD, validators=False)
    portal.misbehave("/plain.gz", Fault(drop_at=100_000))
    assert fetch([url], tmp_path / "a.gz", policy=FAST).read_bytes() == PAYLOAD
    assert [seen.headers.get("Range") for seen in portal.seen] == [None, None]


def test_without_a_validator_a_digest_makes_resuming_safe(portal, tmp_path):
    url = portal.put("/plain.gz", PAYLOAD, validators=False)
    portal.misbehave("/plain.gz", Fault(drop_at=100_000))
    assert fetch([url], tmp_path / "a.gz", md5=MD5, policy=FAST).read_bytes() == PAYLOAD
    assert [seen.headers.get("Range") for seen in portal.seen] == [None, "bytes=100000-"]


def test_pieces_of_two_versions_are_caught_by_the_digest_and_fetched_anew(portal, tmp_path):
    url = portal.put("/plain.gz", PAYLOAD, validators=False)
    (tmp_path / ".a.gz.part").write_bytes(OTHER[:50_000])
    assert fetch([url], tmp_path / "a.gz", md5=MD5, policy=FAST).read_bytes() == PAYLOAD
    assert [seen.headers.get("Range") for seen in portal.seen] == ["bytes=50000-", None]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503),
        Fault(status=429, retry_after="0"),
        Fault(status=500),
        Fault(stall_at=100_000, stall_seconds=600),
        Fault(corrupt=True),
        Fault(claim_length=500_000),
        Fault(wrong_range=True),
    ],
    ids=lambda fault: "+".join(name for name, value in vars(fault).items() if value not in (None, False, 0.0, 5.0)),
)
def test_one_bad_answer_does_no_harm(portal, url, tmp_path, fault):
    portal.misbehave("/data/A_(x).gz", Fault(drop_at=200_000), fault)
    policy = NOTICES_STALLS if fault.stall_at else FAST
    assert fetch([url], tmp_path / "a.gz", sha256=SHA256, size=len(PAYLOAD), policy=policy).read_bytes() == PAYLOAD
    assert leftovers(tmp_path) == []


FAULTS = [
    Fault(),
    Fault(status=503),
    Fault(status=404),
    Fault(drop_at=0),
    Fault(drop_at=150_000),
    Fault(drop_at=90_000, chunked=True),
    Fault(drop_at=70_000, ignore_range=True),
    Fault(no_length=True, drop_at=120_000),
    Fault(corrupt=True),
    Fault(claim_length=450_000),
    Fault(wrong_range=True),
    Fault(chunked=True),
]


@settings(max_examples=40)
@given(
    faults=st.lists(st.sampled_from(FAULTS), max_size=7), validators=st.booleans(), begun=st.sampled_from([0, 99, 3])
)
def test_any_mishaps_give_the_right_file_or_none(portal, tmp_path, faults, validators, begun):
    portal.clear_faults()
    url = portal.put("/any.gz", PAYLOAD, validators=validators)
    portal.misbehave("/any.gz", *faults)
    target = tmp_path / "any.gz"
    target.unlink(missing_ok=True)
    (tmp_path / ".any.gz.part").write_bytes(OTHER[:begun])
    quick = Policy(attempts=3, first_wait=0.001, longest_wait=0.002)
    try:
        fetch([url], target, sha256=SHA256, policy=quick)
    except InputError as error:
        assert "could not be downloaded from any source" in str(error)
        assert not target.exists()
    else:
        assert target.read_bytes() == PAYLOAD
        assert leftovers(tmp_path) == []


def test_half_a_file_of_the_first_source_is_finished_from_the_second(portal, url, tmp_path):
    copy = portal.put("/copy.gz", PAYLOAD)
    portal.misbehave("/data/A_(x).gz", Fault(drop_at=300_000), *[Fault(status=503)] * 3)
    assert fetch([url, copy], tmp_path / "a.gz", sha256=SHA256, policy=FAST).read_bytes() == PAYLOAD
    (request,) = portal.requests_for("/copy.gz")
    assert request.headers["Range"] == "bytes=300000-" and "If-Range" not in request.headers


def test_redirect_to_another_host_keeps_the_range(portal, tmp_path):
    item = portal.add({"@type": ["File", "Item"], "accession": "ENCFF001AAA"}, PAYLOAD)
    portal.misbehave("/encode-public/ENCFF001AAA.bed.gz", Fault(drop_at=100_000))
    target = fetch([portal.url + item["href"]], tmp_path / "a.gz", md5=MD5, policy=FAST)
    assert target.read_bytes() == PAYLOAD
    at_storage = portal.requests_for("/encode-public/ENCFF001AAA.bed.gz")
    assert [seen.server for seen in at_storage] == ["storage", "storage"]
    assert at_storage[1].headers["Range"] == "bytes=100000-" and at_storage[1].status == 206


def test_without_any_length_the_digest_finds_a_broken_line(portal, url, tmp_path):
    portal.misbehave("/data/A_(x).gz", Fault(no_length=True, drop_at=100_000))
    assert fetch([url], tmp_path / "a.gz", md5=MD5, policy=FAST).read_bytes() == PAYLOAD


def test_kill_in_the_middle_then_resume(portal, url, tmp_path):
    portal.misbehave("/data/A_(x).gz", Fault(stall_at=131_072, stall_seconds=600))
    target = tmp_path / "a.gz"
    code = f"from tfbs_moe.data.download.download import fetch; fetch([{url!r}], {str(target)!r}, sha256={SHA256!r})"
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")})
    assert portal.paused.wait(600)
    part = tmp_path / ".a.gz.part"
    while not part.exists() or part.stat().st_size < 131_072:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not target.exists()
    assert fetch([url], target, sha256=SHA256, policy=FAST).read_bytes() == PAYLOAD
    resumed = portal.seen[-1]
    assert resumed.headers["Range"] == "bytes=131072-" and resumed.headers["If-Range"].strip('"') == MD5
    assert leftovers(tmp_path) == []


def test_killed_after_the_last_byte(portal, url, tmp_path):
    (tmp_path / ".a.gz.part").write_bytes(PAYLOAD)
    fetch([url], tmp_path / "a.gz", sha256=SHA256, size=len(PAYLOAD), policy=FAST)
    assert portal.seen == []
    (tmp_path / ".b.gz.part").write_bytes(PAYLOAD)
    fetch([url], tmp_path / "b.gz", sha256=SHA256, policy=FAST)
    assert [seen.status for seen in portal.seen] == [416]
    assert (tmp_path / "b.gz").read_bytes() == PAYLOAD


def test_an_unfinished_file_that_is_too_long_is_dropped(portal, url, tmp_path):
    (tmp_path / ".a.gz.part").write_bytes(PAYLOAD + b"more")
    assert fetch([url], tmp_path / "a.gz", sha256=SHA256, policy=FAST).read_bytes() == PAYLOAD


def test_garbage_beside_the_unfinished_file_does_no_harm(portal, url, tmp_path):
    (tmp_path / ".a.gz.part").write_bytes(OTHER[:1000])
    (tmp_path / ".a.gz.part.json").write_text("[1, 2")
    assert fetch([url], tmp_path / "a.gz", policy=FAST).read_bytes() == PAYLOAD
    assert leftovers(tmp_path) == []


def test_two_processes_want_one_file(portal, url, tmp_path):
    portal.misbehave("/data/A_(x).gz", Fault(drip_seconds=0.01))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fetch([url], tmp_path / "a.gz", sha256=SHA256, policy=FAST), range(4)))
    assert (tmp_path / "a.gz").read_bytes() == PAYLOAD
    assert len(portal.seen) == 1
    assert leftovers(tmp_path) == []


def test_disk_that_fills_up_keeps_what_came(url, tmp_path, monkeypatch):
    real, written = os.write, []

    def full(descriptor, block):
        if sum(written) > 100_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(real(descriptor, block))
        return written[-1]

    monkeypatch.setattr(partial.os, "write", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        fetch([url], tmp_path / "a.gz", sha256=SHA256, policy=FAST)
    monkeypatch.undo()
    assert (tmp_path / ".a.gz.part").stat().st_size == sum(written)
    assert fetch([url], tmp_path / "a.gz", sha256=SHA256, policy=FAST).read_bytes() == PAYLOAD


def test_state_file_names_the_version(portal, url, tmp_path):
    portal.misbehave("/data/A_(x).gz", Fault(drop_at=1000))
    with pytest.raises(InputError):
        fetch([url], tmp_path / "a.gz", policy=Policy(attempts=1))
    state = json.loads((tmp_path / ".a.gz.part.json").read_text())
    assert state == {"address": url, "validator": f'"{MD5}"', "total": len(PAYLOAD)}
