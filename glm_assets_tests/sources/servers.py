"""A web server of its own for each test, which can misbehave on purpose, once per planned fault."""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from glm_assets.sources.web import RetryPolicy

_BAD_BODIES = frozenset({"reset", "stall", "drip", "longer", "shorter"})
QUICK = RetryPolicy(attempts=3, first_wait_s=0.01, longest_wait_s=0.02, timeout_s=5)


@dataclass
class Fault:
    """What goes wrong with one answer.

    `status`: that status instead of the file. `cut`: the connection ends after so many bytes of the body.
    `whole`: a 200 with the whole file although a range was asked for. `shift`: a 206 that starts so many bytes too
    late. `short`: a 206 of so many bytes only. `reset`: the connection is reset after so many bytes. `stall`: nothing
    more comes after so many bytes. `drip`: so many bytes, then one at a time. `longer`: a Content-Length of so many
    bytes more than there are. `shorter`: of so many fewer.
    """

    kind: Literal["status", "cut", "whole", "shift", "short", "reset", "stall", "drip", "longer", "shorter"]
    value: int = 0


@dataclass
class Site:
    """A served folder: its address, the faults to come for paths that match, and what was asked for."""

    root: Path
    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    faulty: str = r"\.gz$"
    etag: str | None = None
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def asked(self, name: str) -> list[str | None]:
        """The Range header of each request for a file, None where there was none."""
        return [wanted for path, wanted in self.requests if path.endswith(f"/{name}")]


class _Handler(BaseHTTPRequestHandler):
    """Directory pages, files and ranges as NCBI's server gives them, apart from the planned faults."""

    def __init__(self, *args, site: Site) -> None:
        self.site = site
        super().__init__(*args)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        wanted = self.headers.get("Range")
        self.site.requests.append((path, wanted))
        self.site.headers.append(dict(self.headers))
        planned = self.site.faults and re.search(self.site.faulty, path)
        fault = self.site.faults.pop(0) if planned else None
        target = self.site.root / path.lstrip("/")
        if fault and fault.kind == "status":
            self._send(fault.value, b"no")
        elif target.is_dir():
            names = [f"{child.name}/" if child.is_dir() else child.name for child in sorted(target.iterdir())]
            links = "".join(f'<a href="{name}">{name}</a>\n' for name in names)
            self._send(200, f'<html><a href="../">Parent</a>\n{links}</html>'.encode())
        elif target.is_file():
            self._send_file(target.read_bytes(), wanted, fault)
        else:
            self._send(404, b"no such file")

    def _send_file(self, data: bytes, wanted: str | None, fault: Fault | None) -> None:
        kind, value = (fault.kind, fault.value) if fault else (None, 0)
        validator = self.headers.get("If-Range")
        changed = validator is not None and validator != self.site.etag
        if kind in _BAD_BODIES:
            self._send_badly(data, kind, value)
            return
        if wanted is None or changed or kind == "whole":
            self._send(200, data, cut=value if kind == "cut" else None)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
        if start >= len(data):
            self._send(416, b"", content_range=f"bytes */{len(data)}")
            return
        start += value if kind == "shift" else 0
        end = start + value if kind == "short" else len(data)
        content_range = f"bytes {start}-{end - 1}/{len(data)}"
        self._send(206, data[start:end], content_range=content_range, cut=value if kind == "cut" else None)

    def _send_badly(self, data: bytes, kind: str, value: int) -> None:
        difference = {"longer": value, "shorter": -value}.get(kind, 0)
        self.send_response(200)
        self.send_header("Content-Length", str(len(data) + difference))
        self.end_headers()
        self.close_connection = True
        self.wfile.write(data if difference else data[:value])
        self.wfile.flush()
        if kind == "reset":
            time.sleep(0.05)  # or the client would lose what has arrived too
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        if kind == "stall":
            self.site.over.wait(10)
        for byte in data[value:] if kind == "drip" else b"":
            if self.site.over.wait(0.02):
                return
            try:
                self.wfile.write(bytes([byte]))
            except OSError:  # the client has had enough
                return

    def _send(self, status: int, body: bytes, *, content_range: str | None = None, cut: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if content_range:
            self.send_header("Content-Range", content_range)
        if self.site.etag:
            self.send_header("ETag", self.site.etag)
        self.end_headers()
        self.wfile.write(body[:cut])
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


class _PlainHandler(SimpleHTTPRequestHandler):
    """`python -m http.server`: it knows no ranges."""

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serve(root: Path) -> Iterator[Site]:
    """Serve a folder with ranges and planned faults."""
    site = Site(root)
    with _running(partial(_Handler, site=site)) as site.url:
        try:
            yield site
        finally:
            site.over.set()


@contextmanager
def serve_plainly(root: Path) -> Iterator[str]:
    """Serve a folder as `python -m http.server` does; gives its address."""
    with _running(partial(_PlainHandler, directory=str(root))) as url:
        yield url


@contextmanager
def _running(handler) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
