"""A server that speaks S3 (rclone's, which keeps objects as files), and one that refuses everybody."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BUCKET = "bucket"

REFUSAL = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"""


@contextmanager
def serve_s3(folder: Path | None = None) -> Iterator[str]:
    """Address of a server, a process of its own, with one bucket.

    Args:
        folder: Where it keeps its objects as files, the bucket as a folder; a temporary one by default.
    """
    with tempfile.TemporaryDirectory() as temporary:
        home = folder or Path(temporary)
        (home / BUCKET).mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        rclone = Path(sys.executable).with_name("rclone")
        options = ["--config", os.devnull, "--auth-key", "key,secret", "--addr", f"127.0.0.1:{port}"]
        command = [str(rclone), "serve", "s3", *options, str(home)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _await_port(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait()


def _await_port(port: int, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"rclone's S3 server does not answer at port {port}")


def environment(address: str) -> dict[str, str]:
    """What a user sets to reach a server."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "NO_PROXY": "127.0.0.1",
    }


@contextmanager
def serve_refusals() -> Iterator[str]:
    """Address of a server that answers every request with S3's 403."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def nothing_listens() -> Iterator[str]:
    """An address where there is no server."""
    yield "http://127.0.0.1:9"


class _Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(REFUSAL)))
        self.end_headers()
        self.wfile.write(REFUSAL)

    def do_PUT(self) -> None:
        self.do_GET()

    def do_HEAD(self) -> None:
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_message: object) -> None:
        """Stay silent."""
