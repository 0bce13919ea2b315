"""Download files whole, or fail with one clear sentence.

A broken transfer resumes where it stopped, even after the process was killed. A file gets its name only once it is
whole and its length and digests are as expected.
"""

import logging
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from tfbs_moe.data.download import http as transport
from tfbs_moe.data.download.http import Patience, Policy, SourceError, TransientError
from tfbs_moe.data.download.partial import PartialFile, partial_file
from tfbs_moe.data.download.sources import redacted
from tfbs_moe.errors import InputError
from tfbs_moe.files import GZIP_MAGIC
from tfbs_moe.provenance import file_digest, sha256_file

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 10.0
MEGABYTE = 1e6
# Wrong bytes may come from one bad transfer, or from two versions mixed; twice is no accident.
MISMATCHES_ALLOWED = 1
# Bytes of a file of unknown size: more than any genome or peak file has.
LARGEST = 10**11
_CONTENT_RANGE = re.compile(r"bytes (?:([0-9]{1,18})-[0-9]+|\*)/([0-9]{1,18}|\*)")
_DEFAULT_POLICY = Policy()


@dataclass(frozen=True)
class Expected:
    """What is known of a file in advance: hex digests, and size in bytes."""

    md5: str | None = None
    sha256: str | None = None
    size: int | None = None

    @property
    def digests(self) -> dict[str, str]:
        """The known digests, in lower case, by algorithm."""
        known = {"md5": self.md5, "sha256": self.sha256}
        return {algorithm: digest.lower() for algorithm, digest in known.items() if digest}

    def problem(self, path: Path, name: str) -> str | None:
        """Return how a file differs, or None; without a digest, one to be named ``*.gz`` must at least be gzip."""
        length = path.stat().st_size
        if self.size is not None and length != self.size:
            return f"it is {length} bytes long where {self.size} were expected"
        for algorithm, digest in self.digests.items():
            if (found := file_digest(path, algorithm)) != digest:
                return f"its {algorithm} is {found} where {digest} was expected"
        if not self.digests and name.endswith(".gz"):
            with open(path, "rb") as handle:
                if handle.read(len(GZIP_MAGIC)) != GZIP_MAGIC:
                    return "it is not a gzip file"
        return None


def fetch(
    addresses: Sequence[str | Path],
    target: str | Path,
    *,
    md5: str | None = None,
    sha256: str | None = None,
    size: int | None = None,
    policy: Policy = _DEFAULT_POLICY,
) -> Path:
    """Get a file from the first address (a URL, or a path in a mirror folder) that gives it whole; return its path.

    A correct file that exists is kept. Of two processes with one target, one downloads and the other waits. Raises
    InputError, one sentence with each address's reason, where none gives the file, or it cannot be written.
    """
    target = Path(target)
    expected = Expected(md5, sha256, size)
    with partial_file(target) as part:
        if _is_there(target, expected):
            part.discard()
            return target
        reasons = []
        for address in map(str, addresses):
            try:
                _from_source(address, part, expected, policy)
            except SourceError as error:
                log.warning("%s: %s", redacted(address), error)
                reasons.append(f"{redacted(address)}: {error}")
            else:
                part.publish()
                # Without a known digest, the file's own is logged, to compare later copies with.
                checked = " and ".join(expected.digests) or f"length alone; its sha256 is {sha256_file(target)}"
                log.info("%s exists (checked by %s)", target, checked)
                return target
    raise InputError(_all_failed(target, reasons, addresses))


def _is_there(target: Path, expected: Expected) -> bool:
    if not target.is_file():
        return False
    problem = expected.problem(target, target.name)
    if problem:
        log.warning("%s exists but %s; fetching it again", target, problem)
        return False
    log.info("%s exists already", target)
    return True


def _from_source(address: str, part: PartialFile, expected: Expected, policy: Policy) -> None:
    """Fill the unfinished file from one source; on return it is whole and correct."""
    log.info("fetching %s from %s", part.target.name, redacted(address))
    if urlsplit(address).scheme in ("http", "https"):
        with transport.session() as http:
            _download(http, address, part, expected, policy)
    else:
        _copy(Path(address), part, expected)


def _copy(source: Path, part: PartialFile, expected: Expected) -> None:
    try:
        with open(source, "rb") as handle:
            part.restart(str(source), None, None)
            while block := handle.read(transport.BLOCK):
                part.append(block)
    except FileNotFoundError:
        raise SourceError("there is no such file") from None
    except OSError as error:
        raise SourceError(f"it cannot be read: {error.strerror}") from error
    if problem := expected.problem(part.path, part.target.name):
        part.empty()
        raise SourceError(problem)


def _download(http: requests.Session, url: str, part: PartialFile, expected: Expected, policy: Policy) -> None:
    patience = Patience(policy)
    mismatches = 0
    furthest = part.length
    while True:
        try:
            if not _is_complete(part, expected):
                _transfer(http, url, part, expected, policy)
        except TransientError as error:
            patience.wait(error, progressed=part.length > furthest)
            furthest = max(furthest, part.length)
            continue
        problem = expected.problem(part.path, part.target.name)
        if not problem:
            return
        part.empty()
        mismatches += 1
        if mismatches > MISMATCHES_ALLOWED:
            raise SourceError(problem)
        log.warning("%s: %s; fetching it again from the start", redacted(url), problem)


def _is_complete(part: PartialFile, expected: Expected) -> bool:
    """Return whether a process was killed after the last byte and before the renaming."""
    total = expected.size if expected.size is not None else part.state.get("total")
    return part.length > 0 and part.length == total


def _transfer(http: requests.Session, url: str, part: PartialFile, expected: Expected, policy: Policy) -> None:
    """Request what is missing of a file, once, and append what comes."""
    headers = {"Accept-Encoding": "identity", **_resume_headers(url, part, expected)}
    accepted = frozenset({200, 206, 416}) if "Range" in headers else frozenset({200})
    with transport.opened(http, url, policy, headers, accepted) as response:
        total = _total(url, response, part)
        if response.status_code == 416:
            if total is None or total != part.length:
                part.empty()
                raise TransientError("the file changed since the last attempt")
            return
        if total is not None and expected.size is not None and total != expected.size:
            raise SourceError(f"it is {total} bytes long where {expected.size} were expected")
        if response.status_code == 200:
            if part.length:
                log.info("the server starts from the beginning: it does not support ranges, or the file changed")
            part.restart(url, _validator(response), total)
        _check_space(part, total)
        progress = _Progress(part.target.name, part.length, total)
        most = total if total is not None else LARGEST if expected.size is None else expected.size
        for block in transport.blocks(response, policy):
            if part.length + len(block) > most:
                part.empty()
                raise TransientError(f"more bytes came than the {most} announced or allowed")
            part.append(block)
            progress.add(len(block))
        if total is not None and part.length < total:
            raise TransientError(f"the connection broke off at {part.length} of {total} bytes")
        progress.end()


def _resume_headers(url: str, part: PartialFile, expected: Expected) -> dict[str, str]:
    """Return headers that request the rest of the same version, or none where that cannot be ensured."""
    if not part.length:
        return {}
    span = {"Range": f"bytes={part.length}-"}
    state = part.state
    if state.get("address") == url and state.get("validator"):
        return {**span, "If-Range": str(state["validator"])}
    # Without a validator, only the final digest catches a mixture of versions.
    return span if expected.digests else {}


def _validator(response: requests.Response) -> str | None:
    """Return what identifies this version byte for byte (RFC 9110): a strong ETag, or an old enough date; else None."""
    etag = response.headers.get("ETag", "")
    if etag.startswith('"'):
        return etag
    modified = response.headers.get("Last-Modified", "")
    changed, now = transport.date(modified), transport.date(response.headers.get("Date", ""))
    # A file changed within the second of the answer could change again under the same date.
    return modified if changed and now and (now - changed).total_seconds() >= 1 else None


def _total(url: str, response: requests.Response, part: PartialFile) -> int | None:
    """Return the length of the whole file as the server gives it, None where it does not."""
    if response.status_code == 200:
        return transport.number(response.headers.get("Content-Length", ""))
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if response.status_code == 206 and (not match or match[1] is None or int(match[1]) != part.length):
        part.empty()
        raise TransientError("the server sent a different part of the file from the one requested")
    total = int(match[2]) if match and match[2] != "*" else None
    if response.status_code == 206 and _changed(url, response, part, total):
        part.empty()
        raise TransientError("the file changed since the last attempt")
    return total


def _changed(url: str, response: requests.Response, part: PartialFile, total: int | None) -> bool:
    """Return whether the rest of a file is of another version than its start: not every server heeds ``If-Range``."""
    state = part.state
    noted, validator = str(state.get("validator") or ""), _validator(response) or ""
    # Another host may tag the same file otherwise; a tag and a date cannot be compared.
    same_kind = state.get("address") == url and noted and validator and (noted[0] == '"') == (validator[0] == '"')
    other_length = total is not None and state.get("total") not in (None, total)
    return bool(other_length or (same_kind and noted != validator))


def _check_space(part: PartialFile, total: int | None) -> None:
    needed = (total or 0) - part.length
    free = shutil.disk_usage(part.target.parent).free
    if needed > free:
        raise InputError(
            f"{part.target} needs {needed / MEGABYTE:.0f} MB and its disk has {free / MEGABYTE:.0f} MB free; make room"
        )


class _Progress:
    """Logs the progress of a transfer, now and then."""

    def __init__(self, name: str, start: int, total: int | None) -> None:
        self._name, self._start, self._done, self._total = name, start, start, total
        self._began = self._said = time.monotonic()
        if start:
            log.info("%s: resuming at %.1f MB", name, start / MEGABYTE)

    def add(self, count: int) -> None:
        self._done += count
        if time.monotonic() - self._said >= PROGRESS_SECONDS:
            self._said = time.monotonic()
            log.info("%s: %s", self._name, self._text())

    def end(self) -> None:
        log.info("%s: %s, whole", self._name, self._text())

    def _text(self) -> str:
        rate = (self._done - self._start) / max(time.monotonic() - self._began, 1e-3) / MEGABYTE
        share = f" of {self._total / MEGABYTE:.1f} MB ({self._done / self._total:.0%})" if self._total else " MB"
        return f"{self._done / MEGABYTE:.1f}{share}, {rate:.1f} MB/s"


def _all_failed(target: Path, reasons: list[str], addresses: Sequence[str | Path]) -> str:
    found = "; ".join(reasons) if reasons else "no address is known"
    if addresses and all(urlsplit(str(address)).scheme not in ("http", "https") for address in addresses):
        advice = "the mirror must hold the file at exactly this path"
    else:
        advice = (
            "check the network and the proxy; where there is none, fill a folder laid out <host>/<path> "
            "(snakemake mirror_list prints what is needed) and give it with --config mirror=<folder>"
        )
    return f"{target.name} could not be downloaded from any source. {found}. What to do: {advice}."
