"""Only http(s), files and object stores are opened, and a redirect leads nowhere that the user did not mean."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from glm_assets.encoders.hub.model import parse_repository
from glm_assets.errors import DownloadError, GlmError, SettingsError, StorageError, TrackingError
from glm_assets.settings import Settings
from glm_assets.sources.fetch import fetch, read_text
from glm_assets.sources.listing import list_names
from glm_assets.storage.addresses import STORES, require_store
from glm_assets.storage.mirror import Mirror
from glm_assets.tracking import MlflowTracker
from glm_assets_tests.sources.servers import QUICK

FOREIGN = (
    *("ftp://user:pw@host/x", "gopher://host/x", "data:text/plain,x", "javascript:alert(1)", "ssh://host/x"),
    *("simplecache::s3://bucket/x", "filecache::https://host/x", "github://a:b@c/x", "reference://x", "dask://x"),
    *(
        "zip://x.txt::s3://bucket/x.zip",
        "s3://bucket/x::file:///etc",
        "ldap://host/x",
        "smb://host/x",
        "hdfs://host/x",
    ),
    *("blockcache::file:///etc", "generic://x", "jupyter://host", "sftp://host/x", "dir://x", "libarchive://x"),
    *("tar://x::file:///x.tar", "http+unix://x", "git://x", "s3:// bucket", "s3://b\0x"),
)
LOCAL = ("data:text/plain,x", "javascript:alert(1)")  # without `//`: folders, if odd ones


@pytest.fixture(autouse=True)
def _nothing_is_opened(monkeypatch):
    """fsspec must not even be asked."""
    import fsspec.core

    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda *args, **_options: pytest.fail(f"opens {args}"))


@pytest.mark.parametrize("url", FOREIGN)
def test_sources(tmp_path, url):
    for use in (lambda: read_text(url), lambda: list_names(url), lambda: fetch(url, tmp_path / "x")):
        with pytest.raises(DownloadError) as caught:
            use()
        assert "pw" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", [url for url in FOREIGN if url not in LOCAL])
def test_stores(url):
    with pytest.raises(StorageError, match="no object store"):
        Mirror(url)
    with pytest.raises(SettingsError) as caught:
        _settings_of(url)
    assert "pw" not in str(caught.value)


def _settings_of(url):
    try:
        os.environ["GLM_DATA_ROOT"] = url
        return Settings.from_environment()
    except ValueError as error:  # an embedded NUL cannot be in an environment at all
        raise SettingsError("no environment") from error
    finally:
        os.environ.pop("GLM_DATA_ROOT", None)


@pytest.mark.parametrize("url", [*FOREIGN, "file:///mlruns", "s3://bucket/mlruns"])
def test_tracking(url):
    with pytest.raises(TrackingError) as caught:
        MlflowTracker(url)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("text", FOREIGN)
def test_repositories(text):
    assert parse_repository(text) is None


@pytest.mark.parametrize("scheme", STORES)
def test_object_stores_are_taken(scheme):
    assert require_store(f"{scheme}://bucket/folder", "GLM_DATA_ROOT") == f"{scheme}://bucket/folder"


def test_a_secret_in_a_refused_address_is_not_repeated():
    with pytest.raises(StorageError) as caught:
        require_store("ftp://user:hunter2@host/x?token=hunter2", "GLM_DATA_ROOT")
    assert "hunter2" not in str(caught.value)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Authorization"), self.headers.get("Cookie")))
        target = self.server.leads_to
        self.send_response(302 if target else 200)
        if target:
            self.send_header("Location", target)
        self.send_header("Set-Cookie", "session=1")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    def log_message(self, *_args):
        pass


@contextmanager
def server(leads_to=None, certificate=None):
    running = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    running.seen, running.leads_to = [], leads_to
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        running.socket = context.wrap_socket(running.socket, server_side=True)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x -addext subjectAltName=IP:127.0.0.1"
    parts = [*command.split(), "-keyout", f"{path}.key", "-out", f"{path}.crt"]
    subprocess.run(parts, check=True, capture_output=True)
    path.write_bytes(path.with_name("both.pem.key").read_bytes() + path.with_name("both.pem.crt").read_bytes())
    return path


def test_credentials_go_to_the_host_they_are_for_and_to_no_other():
    with server() as other, server(f"http://localhost:{other.server_port}/x") as first:
        url = f"http://user:hunter2@127.0.0.1:{first.server_port}/x"
        assert read_text(url, policy=QUICK) == "hi"
    assert first.seen[0][1] == "Basic " + base64.b64encode(b"user:hunter2").decode()
    assert other.seen == [("/x", None, None)]


def test_a_token_in_a_header_goes_to_no_other_host(tmp_path):
    with server() as other, server(f"http://localhost:{other.server_port}/x") as first:
        headers = {"Authorization": "Bearer hunter2"}
        fetch(f"http://127.0.0.1:{first.server_port}/x", tmp_path / "x", headers=headers, policy=QUICK)
    assert first.seen[0][1] == "Bearer hunter2"
    assert other.seen == [("/x", None, None)]


def test_an_encrypted_address_leads_to_no_plain_one(monkeypatch, certificate):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with server() as plain, server(f"http://127.0.0.1:{plain.server_port}/x?token=hunter2", certificate) as first:
        with pytest.raises(DownloadError, match=r"leads to http://.*not encrypted") as caught:
            read_text(f"https://user:hunter2@127.0.0.1:{first.server_port}/x", policy=QUICK)
        first.leads_to = None
        assert read_text(f"https://127.0.0.1:{first.server_port}/x", policy=QUICK) == "hi"
    assert plain.seen == []
    assert "hunter2" not in str(caught.value)


def test_an_unknown_certificate_is_refused(certificate):
    with server(certificate=certificate) as first, pytest.raises(DownloadError, match=r"(?i)certificate"):
        read_text(f"https://127.0.0.1:{first.server_port}/x", policy=QUICK)
    assert first.seen == []


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://host/x", "data:,x", "javascript:alert(1)", "s3://b/x"]
)
def test_a_redirect_leads_to_web_addresses_only(target):
    with server(target) as first, pytest.raises(GlmError) as caught:
        read_text(f"http://127.0.0.1:{first.server_port}/x", policy=QUICK)
    assert "root:" not in str(caught.value)


def test_redirects_without_end_are_given_up(tmp_path):
    with server("/x") as first, pytest.raises(DownloadError):
        read_text(f"http://127.0.0.1:{first.server_port}/x", policy=QUICK)
    assert len(first.seen) < 200
