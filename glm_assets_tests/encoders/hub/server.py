"""A web server that speaks as much of the Hub's API as a download needs, counts what it sends, and can fail.

As the real one, it answers for a file with a redirect to another host, which knows ranges.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT, NEWER = "a" * 40, "b" * 40
_CHUNK = 1 << 16


@dataclass
class Hub:
    """One commit of every repository at a time.

    Attributes:
        files: File name to content.
        commit: What every branch is now; a commit answers for itself.
        stated: SHA-256 to state instead of the right one.
        plain: Files that Git holds, for which no SHA-256 is stated.
        cut: File name to the number of bytes after which its next transfer breaks off.
        stall: File name to the number of bytes after which its next transfer waits for `go_on`.
        requests: `info <repo> <revision>` and `get <file> <revision>`, in order.
        ranges: File name and `Range` header of each transfer, in order.
        sent: File name to bytes sent.
        authorized: Path of every request that carried an authorization.
        strange: Paths of other requests; huggingface_hub makes some of its own.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    commit: str = COMMIT
    stated: dict[str, str] = field(default_factory=dict)
    plain: set[str] = field(default_factory=set)
    cut: dict[str, int] = field(default_factory=dict)
    stall: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    ranges: list[tuple[str, str | None]] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    authorized: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    url: str = ""
    port: int = 0
    stalled: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, *args, hub: Hub) -> None:
        self.hub = hub
        super().__init__(*args)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if self.headers.get("Authorization"):
            self.hub.authorized.append(path)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path):
            self._info(match[1], match[2])
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self.hub.requests.append(f"get {match[3]} {match[2]}")
            self._send(302, b"", {"Location": f"http://localhost:{self.hub.port}/cdn/{match[3]}?signature=1"})
        elif (match := re.fullmatch(r"/cdn/(.+)", path)) and match[1] in self.hub.files:
            self._file(match[1])
        else:
            self.hub.strange.append(path)
            self._send(404, b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _info(self, repo: str, revision: str) -> None:
        hub = self.hub
        hub.requests.append(f"info {repo} {revision}")
        if revision == "gone":
            self._send(
                404, b"{}", {"X-Error-Code": "RevisionNotFound", "X-Error-Message": f"no revision {revision}"}
            )
            return
        siblings = []
        for name, content in hub.files.items():
            sibling: dict = {"rfilename": name, "size": len(content), "blobId": "0" * 40}
            if name not in hub.plain:
                sha256 = hub.stated.get(name, hashlib.sha256(content).hexdigest())
                sibling["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 1}
            siblings.append(sibling)
        commit = revision if re.fullmatch(r"[0-9a-f]{40}", revision) else hub.commit
        self._send(200, json.dumps({"id": repo, "sha": commit, "siblings": siblings}).encode())

    def _file(self, name: str) -> None:
        data, wanted = self.hub.files[name], self.headers.get("Range")
        self.hub.ranges.append((name, wanted))
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted else 0
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        if self.headers.get("If-Range") not in (None, etag):
            start = 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", etag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        self._body(name, data[start:])

    def _body(self, name: str, body: bytes) -> None:
        hub = self.hub
        cut, stall = hub.cut.pop(name, len(body)), hub.stall.pop(name, None)
        for begin in range(0, cut, _CHUNK):
            if stall is not None and begin >= stall:
                hub.stalled.set()
                hub.go_on.wait(60)
                break
            chunk = body[begin : min(begin + _CHUNK, cut)]
            self.wfile.write(chunk)
            self.wfile.flush()
            hub.sent[name] += len(chunk)
        self.close_connection = True

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serve_hub(**attributes) -> Iterator[Hub]:
    """Serve a Hub on a port of its own."""
    hub = Hub(**attributes)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, hub=hub))
    server.daemon_threads = True
    hub.port = server.server_port
    hub.url = f"http://127.0.0.1:{hub.port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


def point_to(monkeypatch, hub: Hub) -> None:
    """Let huggingface_hub in this process speak to the stand-in; its HF_ENDPOINT is read when it is imported."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nonexistent/token")
