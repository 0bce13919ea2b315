"""HTTP for downloads and the ENCODE portal: retries, time limits, readable reasons.

requests respects proxies (``HTTPS_PROXY``, ``NO_PROXY``), private certificates (``REQUESTS_CA_BUNDLE``) and
``~/.netrc``. TLS is never switched off.
"""

import json
import logging
import random
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import urllib3

from tfbs_moe import __version__
from tfbs_moe.data.download.sources import redacted

log = logging.getLogger(__name__)

_NUMBER = re.compile(r"[0-9]{1,18}")

BLOCK = 1 << 18
MAX_REDIRECTS = 10
LARGEST_JSON = 1 << 28  # bytes: the portal's answers hold some megabytes
# Answers that a later attempt may change: timeouts, too many requests, an overloaded or restarting server.
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Policy:
    """How patient to be with a server; times are in seconds."""

    attempts: int = 6  # in a row without progress, before a source is given up
    unresolved_attempts: int = 3  # the same where the host's name cannot be resolved
    first_wait: float = 1.0  # doubled for each further attempt, less a random part of up to a half
    longest_wait: float = 120.0  # a server that asks for more is given up
    connect_timeout: float = 20.0  # for a connection to open
    stall_timeout: float = 60.0  # without a byte, or below ``least_rate``, before a connection counts as dead
    least_rate: float = 100.0  # bytes per second, averaged over ``stall_timeout``


class TransientError(Exception):
    """This attempt failed; the next may not. ``retry_after``: seconds the server asked to wait, if it did."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class UnresolvedError(TransientError):
    """The host's name could not be resolved: most often there is no network, and long waits are useless."""


class SourceError(Exception):
    """This source will not give the file; the message is the reason, as part of a sentence."""


class Patience:
    """Waits between the attempts at one source, and ends them."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._failures = 0

    def wait(self, error: TransientError, progressed: bool = False) -> None:
        """Sleep before the next attempt; an attempt that made progress restarts the count.

        Raises SourceError where no attempt is left, or the server asks for a longer wait than allowed.
        """
        self._failures = 1 if progressed else self._failures + 1
        attempts = self._policy.attempts
        if isinstance(error, UnresolvedError):
            attempts = min(attempts, self._policy.unresolved_attempts)
        if self._failures >= attempts:
            raise SourceError(f"{error} (given up after {self._failures} attempts)") from error
        backoff = min(self._policy.first_wait * 2 ** (self._failures - 1), self._policy.longest_wait)
        seconds = backoff * random.uniform(0.5, 1.0)
        if error.retry_after is not None:
            if error.retry_after > self._policy.longest_wait:
                raise SourceError(f"{error}; the server asks to wait {error.retry_after:.0f} s") from error
            seconds = max(seconds, error.retry_after)
        log.warning("%s; attempt %d follows in %.1f s", error, self._failures + 1, seconds)
        time.sleep(seconds)


def session() -> requests.Session:
    """Return a session that names this program and follows a bounded number of redirects."""
    result = requests.Session()
    result.max_redirects = MAX_REDIRECTS
    result.headers["User-Agent"] = f"tfbs-moe/{__version__}"
    return result


@contextmanager
def opened(
    http: requests.Session,
    url: str,
    policy: Policy,
    headers: dict[str, str],
    accepted: frozenset[int] = frozenset({200}),
) -> Iterator[requests.Response]:
    """Open an address without reading its body.

    Raises TransientError for no answer or one that may change, SourceError for any other that is not ``accepted``.
    """
    try:
        response = http.get(url, headers=headers, stream=True, timeout=(policy.connect_timeout, policy.stall_timeout))
    # An address that a redirect gives raises ValueError where it is no address.
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        raise _in_words(error) from error
    with response:
        _check_status(response, accepted)
        if url.startswith("https:") and response.url.startswith("http:"):
            raise SourceError(f"it redirects from https to an unprotected address ({redacted(response.url)})")
        yield response


def blocks(response: requests.Response, policy: Policy) -> Iterator[bytes]:
    """Yield the body as sent (a gzip stays one), as it arrives; TransientError where the line breaks or is too slow."""
    window_start, window_bytes = time.monotonic(), 0
    while True:
        try:
            block = response.raw.read1(BLOCK, decode_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise _in_words(error) from error
        if not block:
            return
        yield block
        window_bytes += len(block)
        elapsed = time.monotonic() - window_start
        if elapsed >= policy.stall_timeout:
            if window_bytes < policy.least_rate * elapsed:
                raise TransientError(f"the connection stalls: {window_bytes} bytes in {elapsed:.0f} s")
            window_start, window_bytes = time.monotonic(), 0


def get_json(http: requests.Session, url: str, policy: Policy) -> tuple[int, Any]:
    """Return status and JSON, with retries; 404 is ENCODE's empty search result. SourceError where there is no JSON."""
    patience = Patience(policy)
    while True:
        try:
            with opened(http, url, policy, {"Accept": "application/json"}, frozenset({200, 404})) as response:
                return response.status_code, json.loads(_whole(response))
        except TransientError as error:
            patience.wait(error)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{redacted(url)} answered with something other than JSON: {error}") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            patience.wait(_as_transient(_in_words(error)))


def _whole(response: requests.Response) -> bytes:
    """Return an unpacked answer; SourceError where it is larger than any that makes sense."""
    answer = bytearray()
    for block in response.iter_content(BLOCK):
        answer += block
        if len(answer) > LARGEST_JSON:
            raise SourceError(f"the answer goes on beyond {LARGEST_JSON} bytes")
    return bytes(answer)


def _check_status(response: requests.Response, accepted: frozenset[int]) -> None:
    if response.status_code in accepted:
        return
    reason = f"the server answered {response.status_code} {response.reason or ''}".rstrip()
    if response.status_code in TRANSIENT_STATUS:
        raise TransientError(reason, _retry_after(response.headers.get("Retry-After", "")))
    raise SourceError(reason)


def _retry_after(value: str) -> float | None:
    """Read a Retry-After header: seconds, or a date."""
    seconds, moment = number(value), date(value)
    if seconds is not None:
        return float(seconds)
    return None if moment is None else max(0.0, (moment - datetime.now(UTC)).total_seconds())


def number(value: str) -> int | None:
    """Read a header that holds a number; None where it holds none that makes sense."""
    return int(value) if _NUMBER.fullmatch(value.strip()) else None


def date(value: str) -> datetime | None:
    """Read a header that holds a date; None where it holds none."""
    try:
        moment = parsedate_to_datetime(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _as_transient(error: TransientError | SourceError) -> TransientError:
    if isinstance(error, SourceError):
        raise error
    return error


def _in_words(error: Exception) -> TransientError | SourceError:
    """Turn an exception of requests or urllib3 into a readable reason."""
    causes = list(_causes(error))
    if any("CERTIFICATE_VERIFY_FAILED" in str(cause) for cause in causes):
        return SourceError(
            "the server's certificate was not accepted (behind a proxy with a certificate of its own, "
            "set REQUESTS_CA_BUNDLE)"
        )
    if isinstance(error, requests.TooManyRedirects):
        return SourceError(f"more than {MAX_REDIRECTS} redirects")
    if isinstance(error, requests.exceptions.InvalidSchema | requests.exceptions.InvalidURL | ValueError):
        return SourceError(f"the address, or one it leads to, cannot be used: {redacted(str(error))}")
    for cause in causes:
        if isinstance(cause, requests.exceptions.ProxyError | urllib3.exceptions.ProxyError):
            return TransientError("the proxy does not answer or refuses")
        if isinstance(cause, socket.gaierror | urllib3.exceptions.NameResolutionError):
            return UnresolvedError("the host's name could not be resolved; is there a network?")
        if isinstance(cause, requests.ConnectTimeout):
            return TransientError("the connection did not open in time")
        if isinstance(cause, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
            return TransientError("the connection stalls: no byte came in time")
        if isinstance(cause, urllib3.exceptions.IncompleteRead):
            return TransientError("the connection broke off before the end")
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.strerror:
            return TransientError(f"no connection, or it broke: {cause.strerror}")
    return TransientError("the connection broke off")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, outermost first."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
        waiting += [item for item in inner if isinstance(item, BaseException)]
