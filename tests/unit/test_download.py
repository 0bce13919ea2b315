"""Downloads from a server that misbehaves on command."""

import contextlib
import csv
import errno
import hashlib
import json
import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal import Fault, Portal
from tfbs_moe.data.download import download, partial, sources
from tfbs_moe.data.download import http as transport
from tfbs_moe.data.download.download import fetch
from tfbs_moe.data.download.http import Patience, Policy, SourceError, TransientError, UnresolvedError
from tfbs_moe.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
PAYLOAD = b"\x1f\x8b" + random.Random(3).randbytes(400_000)
OTHER = b"\x1f\x8b" + random.Random(4).randbytes(300_000)
MD5 = hashlib.md5(PAYLOAD).hexdigest()
SHA256 = hashlib.sha256(PAYLOAD).hexdigest()
# Short waits of our own, long ones for the server: on a busy machine an answer may take its time.
FAST = Policy(attempts=3, first_wait=0.01, longest_wait=0.2)
NOTICES_STALLS = Policy(attempts=20, first_wait=0.01, longest_wait=0.2, stall_timeout=0.4)


@pytest.fixture
def portal():
    with Portal() as servers:
        yield servers


@pytest.fixture
def url(portal):
    return portal.put("/data/A_(x).gz", PAYLOAD)


@contextlib.contextmanager
def closed_port():
    """Give an address of this machine at which nothing listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}/x.gz"


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_whole_file_is_checked_and_nothing_is_left_beside_it(url, tmp_path):
    target = fetch([url], tmp_path / "deep" / "a.gz", md5=MD5, sha256=SHA256, size=len(PAYLOAD), policy=FAST)
    assert target.read_bytes() == PAYLOAD
    assert [path.name for path in target.parent.iterdir()] == ["a.gz"]


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


@pytest.mark.parametrize("known", [{}, {"size": len(PAYLOAD)}])
def test_an_endless_answer_is_cut_off(portal, tmp_path, known, monkeypatch):
    monkeypatch.setattr(download, "LARGEST", 3 * len(PAYLOAD))
    url = portal.put("/endless.gz", PAYLOAD)
    portal.misbehave("/endless.gz", *[Fault(no_length=True, endless=True)] * 3)
    most = known.get("size", 3 * len(PAYLOAD))
    with pytest.raises(InputError, match=f"more bytes came than the {most} announced or allowed"):
        fetch([url], tmp_path / "a.gz", policy=FAST, **known)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(no_length=True, headers=(("Content-Length", "\xb2"),)), ""),
        (Fault(no_length=True, headers=(("Content-Length", "9" * 5000),)), ""),
        (Fault(headers=(("Last-Modified", "Mon, 99999999999999999999 Jan 2020 00:00:00 GMT"), ("ETag", ""))), ""),
        (Fault(location="http://[::1"), "the address, or one it leads to, cannot be used"),
        (Fault(location="http://h:99999999/"), "the address, or one it leads to, cannot be used"),
        (Fault(location="https://user:secret@h:x/a?X-Amz-Signature=secret"), "cannot be used"),
    ],
)
def test_odd_headers_are_no_headers_or_one_sentence(portal, url, tmp_path, fault, told):
    portal.misbehave("/data/A_(x).gz", fault)
    if not told:
        assert fetch([url], tmp_path / "a.gz", sha256=SHA256, policy=FAST).read_bytes() == PAYLOAD
        return
    with pytest.raises(InputError, match=told) as caught:
        fetch([url], tmp_path / "a.gz", policy=FAST)
    assert "secret" not in str(caught.value)


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


def test_no_password_is_logged_or_told(tmp_path, caplog):
    with closed_port() as address, caplog.at_level(logging.DEBUG, logger="tfbs_moe"):
        secret = address.replace("//", "//user:secret@") + "?token=secret"
        with pytest.raises(InputError) as caught:
            fetch([secret], tmp_path / "a.gz", policy=FAST)
    assert "…@127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value) and "secret" not in caplog.text


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


def test_two_times_503_then_whole(portal, url, tmp_path, caplog):
    portal.misbehave("/data/A_(x).gz", Fault(status=503), Fault(status=503))
    with caplog.at_level(logging.WARNING):
        assert fetch([url], tmp_path / "a.gz", policy=FAST).read_bytes() == PAYLOAD
    assert [seen.status for seen in portal.seen] == [503, 503, 200]
    assert "503" in caplog.text


def test_retry_after_is_respected(portal, url, tmp_path):
    portal.misbehave("/data/A_(x).gz", Fault(status=503, retry_after="1"))
    began = time.monotonic()
    fetch([url], tmp_path / "a.gz", policy=Policy(first_wait=0.01, longest_wait=5))
    assert time.monotonic() - began >= 1.0
    portal.misbehave("/data/A_(x).gz", Fault(status=503, retry_after="3600"))
    with pytest.raises(InputError, match="the server asks to wait 3600 s"):
        fetch([url], tmp_path / "b.gz", policy=FAST)


def test_retry_after_as_a_date():
    assert transport._retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert transport._retry_after("Fri, 31 Dec 2100 23:59:59 GMT") > 1e9
    assert transport._retry_after("soon") is None


def test_slow_drip_counts_as_a_stall(portal, url, tmp_path):
    portal.misbehave("/data/A_(x).gz", *[Fault(drip_seconds=0.2)] * 3)
    policy = Policy(attempts=1, stall_timeout=0.5, least_rate=1e9)
    with pytest.raises(InputError, match="the connection stalls"):
        fetch([url], tmp_path / "a.gz", policy=policy)


def test_wrong_bytes_twice_give_the_next_source_and_name_both_digests(portal, url, tmp_path):
    good = portal.put("/copy.gz", PAYLOAD)
    portal.put("/data/A_(x).gz", OTHER)
    assert fetch([url, good], tmp_path / "a.gz", md5=MD5, policy=FAST).read_bytes() == PAYLOAD
    assert len(portal.requests_for("/data/A_(x).gz")) == 2
    with pytest.raises(InputError, match=f"its md5 is {hashlib.md5(OTHER).hexdigest()} where {MD5} was expected"):
        fetch([url], tmp_path / "b.gz", md5=MD5, policy=FAST)
    assert leftovers(tmp_path) == [] and not (tmp_path / "b.gz").exists()


def test_wrong_size_is_refused_before_the_transfer(portal, url, tmp_path):
    with pytest.raises(InputError, match="it is 400002 bytes long where 17 were expected"):
        fetch([url], tmp_path / "a.gz", size=17, policy=FAST)
    assert len(portal.seen) == 1


def test_an_error_page_is_no_gzip(portal, tmp_path):
    url = portal.put("/a.gz", b"<html>please log in</html>")
    with pytest.raises(InputError, match="it is not a gzip file"):
        fetch([url], tmp_path / "a.gz", policy=FAST)


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


def test_redirects_without_end(portal, url, tmp_path):
    portal.misbehave("/data/A_(x).gz", *[Fault(location=url)] * 30)
    with pytest.raises(InputError, match="more than 10 redirects"):
        fetch([url], tmp_path / "a.gz", policy=FAST)


def test_redirect_to_what_is_no_web_address(portal, url, tmp_path):
    portal.misbehave("/data/A_(x).gz", Fault(location="file:///etc/hostname"))
    with pytest.raises(InputError, match="cannot be used"):
        fetch([url], tmp_path / "a.gz", policy=FAST)


def test_all_sources_fail_in_one_sentence_with_each_reason(portal, tmp_path):
    gone = f"{portal.url}/gone.gz"
    with closed_port() as closed, pytest.raises(InputError) as caught:
        fetch([gone, closed], tmp_path / "a.gz", policy=FAST)
    message = str(caught.value)
    assert "\n" not in message
    assert f"{gone}: the server answered 404 Not Found" in message
    assert f"{closed}: no connection, or it broke: Connection refused" in message
    assert "--config mirror=" in message
    assert list(tmp_path.iterdir()) == []


def test_unknown_host_is_told_in_words(tmp_path):
    with pytest.raises(InputError, match="could not be resolved; is there a network"):
        fetch(["http://no-such-host.invalid/a.gz"], tmp_path / "a.gz", policy=FAST)


def test_an_unknown_host_is_given_up_sooner_than_a_broken_line():
    """Without a network, a long wait brings nothing: three attempts, two short waits."""
    policy = Policy(attempts=6, first_wait=0.001, longest_wait=0.002)
    for error, attempts in ((UnresolvedError("no such host"), 3), (TransientError("broke off"), 6)):
        patience = Patience(policy)
        for _ in range(attempts - 1):
            patience.wait(error)
        with pytest.raises(SourceError, match=f"given up after {attempts} attempts"):
            patience.wait(error)


def test_a_404_is_not_tried_again(portal, tmp_path):
    with pytest.raises(InputError, match="404"):
        fetch([f"{portal.url}/gone.gz"], tmp_path / "a.gz", policy=FAST)
    assert len(portal.seen) == 1


def test_proxy_of_the_environment_is_used(portal, tmp_path, monkeypatch):
    portal.put("/far/a.gz", PAYLOAD)
    monkeypatch.setenv("http_proxy", portal.storage_url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    fetch(["http://data.example.org/far/a.gz"], tmp_path / "a.gz", policy=FAST)
    (seen,) = portal.seen
    assert (seen.server, seen.proxied) == ("storage", True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Make a certificate for 127.0.0.1 that no authority signed."""
    if not shutil.which("openssl"):
        pytest.skip("the openssl program is not there to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    files = [str(folder / "cert.pem"), str(folder / "key.pem")]
    subprocess.run([*command.split(), "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return tuple(files)


def test_certificates_are_checked_and_https_stays_https(certificate, tmp_path, monkeypatch):
    with Portal(certificate=certificate) as portal:
        url = portal.put("/a.gz", PAYLOAD)
        with pytest.raises(InputError, match="certificate was not accepted .*REQUESTS_CA_BUNDLE"):
            fetch([url], tmp_path / "a.gz", policy=FAST)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate[0])
        assert fetch([url], tmp_path / "a.gz", policy=FAST).read_bytes() == PAYLOAD
        portal.misbehave("/a.gz", Fault(location=f"{portal.storage_url}/a.gz"))
        with pytest.raises(InputError, match="it redirects from https to an unprotected address"):
            fetch([url], tmp_path / "b.gz", policy=FAST)


def test_content_encoding_leaves_the_gzip_a_gzip(portal, url, tmp_path):
    fetch([url], tmp_path / "a.gz", policy=FAST)
    assert portal.seen[0].headers["Accept-Encoding"] == "identity"


def test_without_any_length_the_digest_finds_a_broken_line(portal, url, tmp_path):
    portal.misbehave("/data/A_(x).gz", Fault(no_length=True, drop_at=100_000))
    assert fetch([url], tmp_path / "a.gz", md5=MD5, policy=FAST).read_bytes() == PAYLOAD


def test_a_right_file_is_not_fetched_again_and_a_wrong_one_is(portal, url, tmp_path):
    target = tmp_path / "a.gz"
    target.write_bytes(PAYLOAD)
    fetch([url], target, md5=MD5, policy=FAST)
    assert portal.seen == []
    target.write_bytes(OTHER)
    fetch([url], target, md5=MD5, policy=FAST)
    assert target.read_bytes() == PAYLOAD and len(portal.seen) == 1


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


def test_folder_mirror(tmp_path):
    mirror, target = tmp_path / "mirror", tmp_path / "got" / "A_(x).gz"
    address = "https://data.example.org/files/@@download/A_%28x%29.gz"
    (wanted,) = sources.addresses(address, mirror=str(mirror))
    assert wanted == str(mirror / "data.example.org/files/@@download/A_(x).gz")
    with pytest.raises(InputError, match="there is no such file.*the mirror must hold the file at exactly this path"):
        fetch([wanted], target, md5=MD5)
    Path(wanted).parent.mkdir(parents=True)
    Path(wanted).write_bytes(OTHER)
    with pytest.raises(InputError, match="its md5 is"):
        fetch([wanted], target, md5=MD5)
    Path(wanted).write_bytes(PAYLOAD)
    assert fetch([wanted], target, md5=MD5).read_bytes() == PAYLOAD
    assert leftovers(target.parent) == []


def test_url_mirror_of_names_with_parentheses(portal, tmp_path):
    portal.put("/mirror/data.example.org/files/@@download/A_(x) 1.gz", PAYLOAD)
    (wanted,) = sources.addresses(
        "https://data.example.org/files/@@download/A_%28x%29%201.gz", mirror=f"{portal.url}/mirror/"
    )
    assert fetch([wanted], tmp_path / "a.gz", md5=MD5, policy=FAST).read_bytes() == PAYLOAD


def test_mirror_of_the_paper_is_whole(shared_data, tmp_path):
    with open(ROOT / "resources" / "paper_files.tsv", encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    assert len(rows) == 12
    for row in rows:
        wanted = sources.addresses(row["url"], mirror=str(shared_data / "mirror"))
        fetch(wanted, tmp_path / row["file"], sha256=row["sha256"], size=int(row["bytes"]))


def test_target_that_cannot_be_written_is_one_message(url, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written: Not a directory|cannot be written: File exists"):
        fetch([url], tmp_path / "file" / "a.gz", policy=FAST)


def test_full_disk_is_told_before_the_transfer(url, tmp_path, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(InputError, match="needs 0 MB and its disk has 0 MB free; make room"):
        fetch([url], tmp_path / "a.gz", policy=FAST)


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


def test_a_file_without_a_checksum_is_written_down_with_its_digest(portal, url, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        path = fetch([url], tmp_path / "file.bin")
    assert f"checked by length alone; its sha256 is {hashlib.sha256(path.read_bytes()).hexdigest()}" in caplog.text


def test_progress_is_told(portal, url, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(download, "PROGRESS_SECONDS", 0.0)
    with caplog.at_level(logging.INFO):
        fetch([url], tmp_path / "a.gz", policy=FAST)
    assert "of 0.4 MB (100%)" in caplog.text and "MB/s" in caplog.text


def test_get_json(portal):
    portal.add({"@type": ["File"], "accession": "ENCFF001AAA"})
    portal.misbehave("/search/", Fault(status=503), Fault())
    with transport.session() as http:
        assert transport.get_json(http, f"{portal.url}/search/?type=File", FAST)[1]["total"] == 1
        status, answer = transport.get_json(http, f"{portal.url}/search/?type=Nothing", FAST)
        assert (status, answer["notification"]) == (404, "No results found")
        portal.misbehave("/search/", Fault(corrupt=True))
        with pytest.raises(SourceError, match="something other than JSON"):
            transport.get_json(http, f"{portal.url}/search/?type=File", FAST)


def test_json_without_end_is_cut_off(portal, monkeypatch):
    monkeypatch.setattr(transport, "LARGEST_JSON", 10_000)
    portal.put("/objects", b"[" + b"1," * 10_000)
    with transport.session() as http, pytest.raises(SourceError, match="goes on beyond 10000 bytes"):
        transport.get_json(http, f"{portal.url}/objects", FAST)


def test_state_file_names_the_version(portal, url, tmp_path):
    portal.misbehave("/data/A_(x).gz", Fault(drop_at=1000))
    with pytest.raises(InputError):
        fetch([url], tmp_path / "a.gz", policy=Policy(attempts=1))
    state = json.loads((tmp_path / ".a.gz.part.json").read_text())
    assert state == {"address": url, "validator": f'"{MD5}"', "total": len(PAYLOAD)}
