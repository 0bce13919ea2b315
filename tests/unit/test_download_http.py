"""Answers of a server as they come: headers, statuses, redirects, certificates, and hosts that are not there."""

import logging
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from portal import FAST, PAYLOAD, SHA256, Fault, Portal
from tfbs_moe.data.download import download
from tfbs_moe.data.download import http as transport
from tfbs_moe.data.download.download import fetch
from tfbs_moe.data.download.http import Patience, Policy, SourceError, TransientError, UnresolvedError
from tfbs_moe.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


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


def test_redirects_without_end(portal, url, tmp_path):
    portal.misbehave("/data/A_(x).gz", *[Fault(location=url)] * 30)
    with pytest.raises(InputError, match="more than 10 redirects"):
        fetch([url], tmp_path / "a.gz", policy=FAST)


def test_redirect_to_what_is_no_web_address(portal, url, tmp_path):
    portal.misbehave("/data/A_(x).gz", Fault(location="file:///etc/hostname"))
    with pytest.raises(InputError, match="cannot be used"):
        fetch([url], tmp_path / "a.gz", policy=FAST)


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
