"""Downloads whole, checked and written: sources and mirrors in turn, digests and sizes, targets and disks."""

import csv
import hashlib
import logging
from pathlib import Path

import pytest

from portal import FAST, MD5, OTHER, PAYLOAD, SHA256, closed_port, leftovers
from tfbs_moe.data.download import download, sources
from tfbs_moe.data.download.download import fetch
from tfbs_moe.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def test_whole_file_is_checked_and_nothing_is_left_beside_it(url, tmp_path):
    target = fetch([url], tmp_path / "deep" / "a.gz", md5=MD5, sha256=SHA256, size=len(PAYLOAD), policy=FAST)
    assert target.read_bytes() == PAYLOAD
    assert [path.name for path in target.parent.iterdir()] == ["a.gz"]


def test_no_password_is_logged_or_told(tmp_path, caplog):
    with closed_port() as address, caplog.at_level(logging.DEBUG, logger="tfbs_moe"):
        secret = address.replace("//", "//user:secret@") + "?token=secret"
        with pytest.raises(InputError) as caught:
            fetch([secret], tmp_path / "a.gz", policy=FAST)
    assert "…@127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value) and "secret" not in caplog.text


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


def test_a_right_file_is_not_fetched_again_and_a_wrong_one_is(portal, url, tmp_path):
    target = tmp_path / "a.gz"
    target.write_bytes(PAYLOAD)
    fetch([url], target, md5=MD5, policy=FAST)
    assert portal.seen == []
    target.write_bytes(OTHER)
    fetch([url], target, md5=MD5, policy=FAST)
    assert target.read_bytes() == PAYLOAD and len(portal.seen) == 1


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


def test_a_file_without_a_checksum_is_written_down_with_its_digest(portal, url, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        path = fetch([url], tmp_path / "file.bin")
    assert f"checked by length alone; its sha256 is {hashlib.sha256(path.read_bytes()).hexdigest()}" in caplog.text


def test_progress_is_told(portal, url, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(download, "PROGRESS_SECONDS", 0.0)
    with caplog.at_level(logging.INFO):
        fetch([url], tmp_path / "a.gz", policy=FAST)
    assert "of 0.4 MB (100%)" in caplog.text and "MB/s" in caplog.text
