"""Servers at their worst: a file arrives whole, or an error says what to do and what has arrived is kept.

Cut connections, ranges that are ignored or shifted, 416, changed files, other statuses, wrong checksums and silent
servers are in `sources/test_fetch.py` and `lineage/test_faults.py`.
"""

from __future__ import annotations

import hashlib
import random
import time

import pytest

from glm_assets.errors import DownloadError, IntegrityError
from glm_assets.sources.fetch import fetch, read_text
from glm_assets.sources.pace import SLOWEST
from glm_assets.sources.web import DEFAULT_POLICY, RetryPolicy
from glm_assets_tests.sources.servers import Fault, serve

DATA = random.Random(11).randbytes(200_000)
GOOD = len(DATA) - 300  # bytes before a connection goes bad; six seconds' worth of drops remain
MD5 = hashlib.md5(DATA).hexdigest()
HASTY = RetryPolicy(attempts=3, first_wait_s=0.01, longest_wait_s=0.02, timeout_s=0.4)


@pytest.fixture
def site(tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "big.gz").write_bytes(DATA)
    with serve(tmp_path / "served") as served:
        yield served


@pytest.fixture
def dest(tmp_path):
    return tmp_path / "here" / "big.gz"


def get(site, dest, **options):
    return fetch(f"{site.url}/big.gz", dest, **({"md5": MD5, "policy": HASTY} | options))


def assert_only(dest):
    assert [path.name for path in dest.parent.iterdir()] == [dest.name]
    assert dest.read_bytes() == DATA


@pytest.mark.parametrize("kind", ["reset", "stall", "drip"])
def test_what_came_before_the_connection_went_bad_is_continued(site, dest, kind):
    site.faults = [Fault(kind, GOOD)]
    begin = time.monotonic()
    report = get(site, dest)
    assert time.monotonic() - begin < 5
    first, second = site.asked("big.gz")
    assert first is None
    assert second.startswith("bytes=")
    assert 1 <= report.resumed_from < len(DATA)
    assert_only(dest)


@pytest.mark.parametrize("kind", ["stall", "drip"])
def test_a_server_that_is_always_slow_is_given_up_with_what_has_come(site, dest, kind):
    site.faults = [Fault(kind, GOOD)] * HASTY.attempts
    words = {"stall": "timed out|ReadTimeout", "drip": r"only [\d,]+ bytes came in \d s"}[kind]
    with pytest.raises(DownloadError, match=rf"(?s)({words}).*what has arrived of a file is kept"):
        get(site, dest)
    assert dest.with_name("big.gz.part").stat().st_size >= 1
    assert not dest.exists()
    get(site, dest)
    assert_only(dest)


def test_a_listing_that_drips_is_given_up(site):
    (site.root / "list.gz").write_text("a line\n" * 40)
    site.faults = [Fault("drip", 10)] * HASTY.attempts
    with pytest.raises(DownloadError, match=r"only .* bytes came"):
        read_text(f"{site.url}/list.gz", policy=HASTY)


def test_the_patience_that_people_are_told_of():
    """By docs/operations.md."""
    assert (DEFAULT_POLICY.attempts, DEFAULT_POLICY.timeout_s, SLOWEST) == (5, 60, 1000)


def test_503_for_ever_ends_with_what_to_do_and_503_once_does_not(site, dest):
    site.faults = [Fault("status", 503)] * HASTY.attempts
    with pytest.raises(DownloadError, match=r"503.*check the address and the network, then run again"):
        get(site, dest)
    site.faults = [Fault("status", 503)]
    get(site, dest)
    assert_only(dest)


def test_a_content_length_that_promises_more_than_comes_is_a_broken_transfer(site, dest):
    site.faults = [Fault("longer", 1000)] * HASTY.attempts
    with pytest.raises((DownloadError, IntegrityError)):
        get(site, dest)
    assert not dest.exists()
    site.faults = []
    get(site, dest)
    assert_only(dest)


def test_a_content_length_that_promises_less_is_found_by_the_checksum_and_nothing_is_left(site, dest):
    site.faults = [Fault("shorter", 1000)]
    with pytest.raises(IntegrityError, match=rf"Expected: md5 {MD5}.*Fix: run again"):
        get(site, dest)
    assert list(dest.parent.iterdir()) == []
    get(site, dest)
    assert_only(dest)
