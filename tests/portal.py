"""A web server on this machine that speaks the ENCODE portal's protocol and misbehaves on command.

Two servers run in threads: the portal, and the storage host its downloads are redirected to (307). The portal
answers ``/search/?type=…`` with ``@graph`` and an empty search with 404, ``/files/<accession>/?format=json`` and
``/experiments/<accession>/?format=json`` with one object, and any other path with the bytes put there. Both know
ranges, ``If-Range``, ``ETag`` and ``Last-Modified``, and act as a forward proxy for their own files. With a
``certificate`` (file and key) the portal, not the storage, speaks https.

    with Portal() as portal:
        url = portal.put("/data/a.gz", payload)
        portal.misbehave("/data/a.gz", Fault(drop_at=1000), Fault(status=503))
"""

import contextlib
import hashlib
import json
import random
import re
import socket
import ssl
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from tfbs_moe.data.download.http import Policy

BLOCK = 16_384
LAST_MODIFIED = formatdate(1_400_000_000, usegmt=True)
# Two files that pass for gzip, and digests of the first.
PAYLOAD = b"\x1f\x8b" + random.Random(3).randbytes(400_000)
OTHER = b"\x1f\x8b" + random.Random(4).randbytes(300_000)
MD5 = hashlib.md5(PAYLOAD).hexdigest()
SHA256 = hashlib.sha256(PAYLOAD).hexdigest()
# Short waits of our own, long ones for the server: on a busy machine an answer may take its time.
FAST = Policy(attempts=3, first_wait=0.01, longest_wait=0.2)
# Query fields that steer the answer instead of selecting objects.
STEERING = {"format", "limit", "frame", "field", "soft", "sort"}


@dataclass(frozen=True)
class Fault:
    """How one answer goes wrong; the next request for the same path takes the next fault."""

    status: int | None = None
    retry_after: str | None = None
    drop_at: int | None = None
    corrupt: bool = False
    stall_at: int | None = None
    stall_seconds: float = 5.0
    drip_seconds: float = 0.0
    claim_length: int | None = None
    ignore_range: bool = False
    chunked: bool = False
    no_length: bool = False
    wrong_range: bool = False
    location: str | None = None
    heedless: bool = False  # ranges are given whatever ``If-Range`` says
    endless: bool = False
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class File:
    payload: bytes
    validators: bool = True

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.payload).hexdigest()}"'


@dataclass(frozen=True)
class Seen:
    """One request that came in."""

    server: str
    path: str
    headers: dict[str, str]
    status: int
    proxied: bool


@dataclass
class Portal:
    """The pair of servers; use it as a context manager."""

    certificate: tuple[str, str] | None = None
    files: dict[str, File] = field(default_factory=dict)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    paused: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Portal":
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._servers = [self._serve("portal"), self._serve("storage")]
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @property
    def url(self) -> str:
        address = self._address(0)
        return address.replace("http:", "https:") if self.certificate else address

    @property
    def storage_url(self) -> str:
        return self._address(1)

    def put(self, path: str, payload: bytes, validators: bool = True) -> str:
        """Serve bytes at a path of both servers (given decoded); return its address on the portal."""
        self.files[path] = File(payload, validators)
        return self.url + quote(path, safe="/@()+,;=:!$&'*~")

    def add(self, item: dict[str, Any], payload: bytes | None = None) -> dict[str, Any]:
        """Add a portal object (it needs ``@type`` and ``accession``), and for a file its bytes."""
        self.objects[item["accession"]] = item
        if payload is not None:
            item |= {"md5sum": hashlib.md5(payload).hexdigest(), "file_size": len(payload)}
            item["href"] = f"/files/{item['accession']}/@@download/{item['accession']}.bed.gz"
            self.files[f"/encode-public/{item['accession']}.bed.gz"] = File(payload)
        return item

    def misbehave(self, path: str, *faults: Fault) -> None:
        """Queue faults for the next requests for a path (storage paths start with /encode-public/)."""
        self._faults[path].extend(faults)

    def clear_faults(self) -> None:
        """Answer every request rightly from now on."""
        self._faults.clear()

    def requests_for(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == path]

    def _address(self, index: int) -> str:
        return f"http://127.0.0.1:{self._servers[index].server_address[1]}"

    def _serve(self, name: str) -> ThreadingHTTPServer:
        handler = type("Handler", (_Handler,), {"portal": self, "name": name})
        server = _Server(("127.0.0.1", 0), handler)
        if self.certificate and name == "portal":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server

    def next_fault(self, path: str) -> Fault:
        with self._lock:
            return self._faults[path].popleft() if self._faults[path] else Fault()

    def search(self, query: list[tuple[str, str]]) -> list[dict[str, Any]]:
        wanted: dict[str, set[str]] = defaultdict(set)
        for name, value in query:
            if name not in STEERING:
                wanted["@type" if name == "type" else name].add(value)
        return [
            item
            for item in self.objects.values()
            if all(values & set(_texts(item, name.split("."))) for name, values in wanted.items())
        ]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what the tests are about."""
        if not isinstance(sys.exc_info()[1], ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    portal: Portal
    name: str
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        try:
            self._answer(unquote(parts.path), parse_qsl(parts.query))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _answer(self, path: str, query: list[tuple[str, str]]) -> None:
        download = re.fullmatch(r"/files/(\w+)/@@download/(\S+)", path)
        single = re.fullmatch(r"/(?:files|experiments)/(\w+)/", path)
        if path == "/search/":
            self._json_with_faults(path, self._search(query))
        elif single:
            item = self.portal.objects.get(single[1])
            missing = {"status": "error", "code": 404, "description": "The resource could not be found."}
            self._json_with_faults(path, (200, item) if item else (404, missing))
        elif download and path not in self.portal.files:
            self._redirect(f"{self.portal.storage_url}/encode-public/{download[2]}?X-Amz-Signature=0a1b")
        else:
            self._file(path)

    def _search(self, query: list[tuple[str, str]]) -> tuple[int, dict[str, Any]]:
        hits = self.portal.search(query)
        note = "Success" if hits else "No results found"
        return (200 if hits else 404), {"@graph": hits, "notification": note, "total": len(hits)}

    def _json_with_faults(self, path: str, answer: tuple[int, Any]) -> None:
        fault = self.portal.next_fault(path)
        if fault.status:
            self._error(fault)
            return
        status, value = answer
        body = b"<html>maintenance</html>" if fault.corrupt else json.dumps(value).encode()
        self._head(status, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _file(self, path: str) -> None:
        fault = self.portal.next_fault(path)
        if fault.location:
            self._redirect(fault.location)
        elif fault.status:
            self._error(fault)
        elif path not in self.portal.files:
            self._error(Fault(status=404))
        else:
            self._body(self.portal.files[path], fault)

    def _body(self, file: File, fault: Fault) -> None:
        payload = file.payload
        headers = {"ETag": file.etag, "Last-Modified": LAST_MODIFIED} if file.validators else {}
        start = self._range_start(file, fault)
        if start is not None and start >= len(payload):
            self._head(416, {"Content-Range": f"bytes */{len(payload)}", "Content-Length": "0"})
            return
        status = 200
        if start is not None:
            status = 206
            shift = 7 if fault.wrong_range else 0
            headers["Content-Range"] = f"bytes {start + shift}-{len(payload) - 1}/{len(payload)}"
        body = payload[start or 0 :]
        if fault.corrupt:
            body = body[:-1] + bytes([body[-1] ^ 255])
        if fault.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif fault.no_length:
            headers["Connection"] = "close"
        else:
            headers["Content-Length"] = str(fault.claim_length or len(body))
        self._head(status, headers | dict(fault.headers))
        while fault.endless:
            self.wfile.write(bytes(BLOCK))
        for at, block in _pieces(body, fault):
            if fault.stall_at is not None and at >= fault.stall_at:
                self.portal.paused.set()
                time.sleep(fault.stall_seconds)
            if fault.drip_seconds:
                time.sleep(fault.drip_seconds)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if fault.chunked else block)
            self.wfile.flush()
        if fault.drop_at is not None or fault.claim_length or fault.no_length:
            self.close_connection = True
        elif fault.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _range_start(self, file: File, fault: Fault) -> int | None:
        span = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        current = {file.etag, LAST_MODIFIED} if file.validators else set()
        changed = condition and condition not in current and not fault.heedless
        if not span or fault.ignore_range or changed:
            return None
        return int(span[1])

    def _redirect(self, location: str) -> None:
        self._head(307, {"Location": location, "Content-Length": "0"})

    def _error(self, fault: Fault) -> None:
        headers = {"Content-Length": "0"}
        if fault.retry_after is not None:
            headers["Retry-After"] = fault.retry_after
        self._head(fault.status or 500, headers)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        proxied = self.path.startswith("http://")
        path = unquote(urlsplit(self.path).path)
        self.portal.seen.append(Seen(self.name, path, dict(self.headers.items()), status, proxied))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent: tests read ``Portal.seen``."""


def _pieces(body: bytes, fault: Fault) -> Iterator[tuple[int, bytes]]:
    end = len(body) if fault.drop_at is None else min(fault.drop_at, len(body))
    for at in range(0, end, BLOCK):
        yield at, body[at : min(at + BLOCK, end)]


def _texts(value: Any, path: list[str]) -> Iterator[str]:
    """Yield what a dotted field holds, through lists, as the portal's search compares it."""
    if isinstance(value, list):
        for item in value:
            yield from _texts(item, path)
    elif not path:
        yield {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    elif isinstance(value, dict) and path[0] in value:
        yield from _texts(value[path[0]], path[1:])


@contextlib.contextmanager
def closed_port() -> Iterator[str]:
    """Give an address of this machine at which nothing listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}/x.gz"


def leftovers(folder: Path) -> list[str]:
    """Return what lies in a folder under hidden names, as an unfinished download does."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))
