"""The release sensor before servers that are down, odd or slow: a skip with the reason, and the cursor stays."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler

import dagster as dg
import pytest

from glm_assets.sources.clinvar import WEEKLY
from glm_assets.sources.web import RetryPolicy
from glm_assets_tests.defs.daemon import Daemon
from glm_assets_tests.lineage.finished import finish_release
from glm_assets_tests.lineage.studies import tiny_study
from glm_assets_tests.sources.servers import _running

NAME = "clinvar_20260101.vcf.gz"
PAGE = f'<html><a href="../">up</a><a href="{NAME}">{NAME}</a><a href="{NAME}.md5">md5</a></html>'.encode()
MD5 = hashlib.md5(b"release").hexdigest()
GOOD = {f"/{WEEKLY}/": PAGE, f"/{WEEKLY}/{NAME}.md5": f"{MD5}  {NAME}\n".encode()}
SENSOR = "clinvar_release_sensor"


class _Answers(BaseHTTPRequestHandler):
    """Answers from a table: the bytes of a page, or a function that takes over."""

    def __init__(self, *args, table: dict[str, bytes | Callable]) -> None:
        self.table = table
        super().__init__(*args)

    def do_GET(self) -> None:
        answer = self.table.get(self.path)
        if callable(answer):
            answer(self)
            return
        self.send_response(404 if answer is None else 200)
        self.end_headers()
        self.wfile.write(answer or b"not here")

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def answering(**changes) -> Iterator[str]:
    """A server with one release, apart from changes to its `listing` or its `md5` file."""
    table = dict(zip(GOOD, (changes.get("listing", PAGE), changes.get("md5", [*GOOD.values()][1])), strict=True))
    table |= changes.get("more", {})
    with _running(partial(_Answers, table=table)) as url:
        yield url


def status(code: int, location: str | None = None) -> Callable:
    def answer(handler) -> None:
        handler.send_response(code)
        if location:
            handler.send_header("Location", location)
        handler.end_headers()

    return answer


def hang_up(handler) -> None:
    handler.close_connection = True


def drip(handler) -> None:
    """A byte now and then, so that no wait for bytes is ever long."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" ")
            time.sleep(0.1)
    except OSError:  # nobody listens any more
        pass


def drip_headers(handler) -> None:
    try:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
        drip(handler)
    except OSError:
        pass


@pytest.fixture
def daemon(monkeypatch):
    """A daemon whose glance at a source is quick to give up, and no proxy."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    quick = RetryPolicy(attempts=2, first_wait_s=0.01, longest_wait_s=0.02, timeout_s=2)
    monkeypatch.setattr("glm_assets.lineage.sources._GLANCE", quick)
    monkeypatch.setattr("glm_assets.lineage.sources._LONGEST_GLANCE_S", 1.0)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(instance, cursors={SENSOR: "kept"})


def skipped(daemon: Daemon, folder, url: str) -> str:
    result = daemon.tick(tiny_study(folder, url, test_csv=None), SENSOR)
    assert result.run_requests == []
    assert result.cursor == "kept"
    return result.skip_message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"listing": b"<html><p>We are moving! <a href='http:////['>x</a> <<< \x00"}, "holds no ClinVar release"),
        ({"listing": b""}, "holds no ClinVar release; it holds none at all"),
        ({"listing": b"\xff\xfe\x80" * 500}, "holds no ClinVar release"),
        ({"listing": PAGE.replace(b"20260101", b"20269999")}, "holds no ClinVar release; it holds none at all"),
        ({"listing": PAGE.replace(b".vcf.gz", b"_papu.vcf.gz")}, "holds no ClinVar release"),
        ({"listing": status(500)}, "the server answers 500"),
        ({"listing": status(403)}, "the server answers 403"),
        ({"listing": status(302, f"/{WEEKLY}/")}, "redirect"),
        ({"listing": status(302, "http://[")}, "cannot be read"),
        ({"listing": status(302, "gopher://x/")}, "cannot be read"),
        ({"listing": hang_up}, "cannot be read"),
        ({"listing": drip}, "has not answered within 1 s"),
        ({"listing": drip_headers}, "has not answered within 1 s"),
        ({"md5": None}, r".md5 cannot be read: the server answers 404"),
        ({"md5": b""}, f"states no md5 sum for {NAME}"),
        ({"md5": b"<html>maintenance</html>"}, f"states no md5 sum for {NAME}"),
        ({"md5": f"{MD5[:-1]}  {NAME}".encode()}, f"states no md5 sum for {NAME}"),
        ({"md5": f"{MD5}  other.vcf.gz".encode()}, f"states no md5 sum for {NAME}"),
        ({"md5": f"{MD5}  {NAME}\n{'0' * 32}  {NAME}".encode()}, "states 2 md5 sums"),
        ({"md5": b"\xff" * 40}, f"states no md5 sum for {NAME}"),
        ({"md5": drip}, "has not answered within 1 s"),
    ],
)
def test_an_odd_answer_is_a_skip_that_says_what_is_odd(daemon, tmp_path, changes, reason):
    with answering(**changes) as url:
        begin = time.monotonic()
        message = skipped(daemon, tmp_path, url)
        assert time.monotonic() - begin < 10
    assert message.startswith("The release listing cannot be used now. ")
    assert reason in message


def test_the_same_server_in_order_is_a_request(daemon, tmp_path):
    with answering() as url:
        result = daemon.tick(tiny_study(tmp_path, url, test_csv=None), SENSOR)
    assert [request.run_key for request in result.run_requests] == [MD5]
    assert result.cursor == f"2026-01-01:{MD5}"


def test_a_server_that_comes_back_is_asked_once_more_and_only_once(daemon, tmp_path):
    del daemon.cursors[SENSOR]
    with answering() as url:
        study = tiny_study(tmp_path, url, test_csv=None)
        assert len(daemon.tick(study, SENSOR).run_requests) == 1
    down = daemon.tick(study, SENSOR)
    assert "cannot be read" in down.skip_message
    assert down.cursor == f"2026-01-01:{MD5}"  # so that what was requested is not requested again
    with answering() as url:
        again = daemon.tick(tiny_study(tmp_path / "again", url, test_csv=None), SENSOR)
    assert again.run_requests == []


def test_a_cursor_from_elsewhere_asks_again_under_a_run_key_that_dagster_knows(daemon, tmp_path):
    """A cursor that was reset by hand costs a request, not a run: Dagster launches no run key of a sensor twice."""
    with answering() as url:
        study = tiny_study(tmp_path, url, test_csv=None)
        first = [request.run_key for request in daemon.tick(study, SENSOR).run_requests]
        daemon.cursors[SENSOR] = None
        assert [request.run_key for request in daemon.tick(study, SENSOR).run_requests] == first


def test_the_other_sensors_skip_an_implausible_release_with_both_counts(daemon, tmp_path):
    study = tiny_study(tmp_path, tmp_path / "source")
    finish_release(study, "20260101", "a" * 32, chr21=1000)
    finish_release(study, "20260108", "b" * 32, chr21=800)
    result = daemon.tick(study, "embed_sensor")
    assert result.run_requests == []
    assert "chromosome 21: 800 records, 1,000 before" in result.skip_message
    assert "refresh.max_row_drop" in result.skip_message
