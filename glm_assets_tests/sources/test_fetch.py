import hashlib
import logging
import random

import pytest

from glm_assets.errors import DownloadError, IntegrityError, OfflineError
from glm_assets.sources.fetch import fetch, read_text
from glm_assets.sources.progress import TransferMeter
from glm_assets_tests.sources.servers import QUICK, Fault, serve, serve_plainly

DATA = random.Random(7).randbytes(300_000)
MD5 = hashlib.md5(DATA).hexdigest()
OTHER_MD5 = "0" * 32


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
    return fetch(f"{site.url}/big.gz", dest, **({"md5": MD5, "policy": QUICK} | options))


def leave_part(site, dest, size=100_000, md5=MD5):
    """Let every attempt break off, so that a part is left behind as after a kill."""
    site.faults = [Fault("cut", size)] + [Fault("status", 503)] * (QUICK.attempts - 1)
    with pytest.raises(DownloadError, match="503"):
        get(site, dest, md5=md5)
    assert dest.with_name("big.gz.part").stat().st_size == size
    site.requests.clear()


def assert_only(dest):
    assert [path.name for path in dest.parent.iterdir()] == [dest.name]
    assert dest.read_bytes() == DATA


def test_a_file_arrives_whole(site, dest):
    report = get(site, dest)
    assert_only(dest)
    assert (report.url, report.path, report.size, report.md5) == (f"{site.url}/big.gz", dest, len(DATA), MD5)
    assert (report.resumed_from, report.reused) == (0, False)


def test_a_plain_server_will_do(site, dest):
    with serve_plainly(site.root) as url:
        assert fetch(f"{url}/big.gz", dest, md5=MD5, policy=QUICK).md5 == MD5
    assert_only(dest)


def test_without_a_checksum_the_size_is_checked(site, dest):
    site.faults = [Fault("cut", 10)]
    assert get(site, dest, md5=None).md5 == MD5
    assert_only(dest)


def test_a_verified_file_is_not_transferred_again(site, dest):
    get(site, dest)
    site.requests.clear()
    report = get(site, dest)
    assert report.reused
    assert site.requests == []


def test_a_file_with_another_checksum_is_replaced(site, dest):
    dest.parent.mkdir()
    dest.write_bytes(b"last week's")
    assert not get(site, dest).reused
    assert_only(dest)


def test_a_cut_connection_is_continued(site, dest):
    site.faults = [Fault("cut", 100_000)]
    report = get(site, dest)
    assert site.asked("big.gz") == [None, "bytes=100000-"]
    assert report.resumed_from == 100_000
    assert_only(dest)


def test_a_later_run_continues_the_part_of_a_killed_one(site, dest):
    leave_part(site, dest)
    assert get(site, dest).resumed_from == 100_000
    assert site.asked("big.gz") == ["bytes=100000-"]
    assert_only(dest)


def test_a_server_that_ignores_ranges_starts_over(site, dest):
    site.faults = [Fault("cut", 100_000), Fault("whole")]
    report = get(site, dest)
    assert site.asked("big.gz") == [None, "bytes=100000-"]
    assert report.resumed_from == 0
    assert_only(dest)


def test_a_file_that_changed_on_the_server_starts_over(site, dest):
    site.etag = '"first"'
    leave_part(site, dest)
    site.etag = '"second"'
    (site.root / "big.gz").write_bytes(DATA[::-1])
    report = get(site, dest, md5=hashlib.md5(DATA[::-1]).hexdigest())
    assert site.headers[-1]["If-Range"] == '"first"'
    assert report.resumed_from == 0


def test_a_weak_validator_is_not_sent(site, dest):
    site.etag = 'W/"about the same"'
    site.faults = [Fault("cut", 5)]
    get(site, dest)
    assert all("If-Range" not in headers for headers in site.headers)


def test_a_complete_part_is_taken_as_it_is(site, dest):
    leave_part(site, dest)
    dest.with_name("big.gz.part").write_bytes(DATA)
    get(site, dest)
    assert site.asked("big.gz") == [f"bytes={len(DATA)}-"]
    assert_only(dest)


def test_a_part_longer_than_the_file_starts_over(site, dest):
    leave_part(site, dest)
    dest.with_name("big.gz.part").write_bytes(DATA + b"more")
    get(site, dest)
    assert_only(dest)


def test_a_part_of_another_address_is_not_continued(site, dest):
    leave_part(site, dest)
    (site.root / "moved").mkdir()
    (site.root / "moved" / "big.gz").write_bytes(DATA)
    assert fetch(f"{site.url}/moved/big.gz", dest, md5=MD5, policy=QUICK).resumed_from == 0
    assert site.asked("big.gz") == [None]


@pytest.mark.parametrize("notes", ["", "{", "[]", "null"])
def test_a_part_without_readable_notes_is_not_continued(site, dest, notes):
    leave_part(site, dest)
    dest.with_name("big.gz.part.json").write_text(notes)
    assert get(site, dest).resumed_from == 0
    assert_only(dest)


def test_a_range_that_starts_elsewhere_is_not_appended(site, dest):
    leave_part(site, dest)
    site.faults = [Fault("shift", 7)]
    get(site, dest)
    assert site.asked("big.gz") == ["bytes=100000-", None]
    assert_only(dest)


def test_a_range_that_ends_early_is_continued(site, dest):
    leave_part(site, dest)
    site.faults = [Fault("short", 50_000)]
    get(site, dest, md5=None)
    assert site.asked("big.gz") == ["bytes=100000-", "bytes=150000-"]
    assert_only(dest)


def test_a_spoilt_part_is_found_out_and_starts_over_once(site, dest):
    leave_part(site, dest)
    dest.with_name("big.gz.part").write_bytes(b"x" * 100_000)
    lines = []
    report = get(site, dest, progress=lines.append)
    assert site.asked("big.gz") == ["bytes=100000-", None]
    assert report.resumed_from == 0
    assert "from scratch" in "".join(lines)
    assert_only(dest)


@pytest.mark.parametrize("resumed", [False, True])
def test_a_wrong_checksum_leaves_nothing_and_the_next_run_is_clean(site, dest, resumed):
    if resumed:
        leave_part(site, dest, md5=OTHER_MD5)
    with pytest.raises(IntegrityError) as caught:
        get(site, dest, md5=OTHER_MD5)
    assert MD5 in str(caught.value)
    assert OTHER_MD5 in str(caught.value)
    assert list(dest.parent.iterdir()) == []
    get(site, dest)
    assert_only(dest)


def test_a_wrong_checksum_does_not_touch_the_file_that_is_there(site, dest):
    get(site, dest)
    with pytest.raises(IntegrityError):
        get(site, dest, md5=OTHER_MD5)
    assert_only(dest)


def test_a_busy_server_is_asked_again(site, dest):
    site.faults = [Fault("status", 503), Fault("status", 429)]
    lines = []
    get(site, dest, progress=lines.append)
    assert_only(dest)
    assert "attempt 1 of 3" in lines[0]
    assert "503" in lines[0]
    assert "429" in lines[1]


def test_a_server_that_stays_busy_ends_in_an_error_that_names_it(site, dest):
    site.faults = [Fault("status", 502)] * 3
    with pytest.raises(DownloadError, match=r"big\.gz cannot be read: .*502.*3 attempts"):
        get(site, dest)
    get(site, dest)
    assert_only(dest)


def test_an_address_without_a_server_is_not_tried_again(tmp_path):
    tried = []
    with pytest.raises(DownloadError, match=r"http:///a cannot be read.*GLM_NCBI_URL"):
        fetch("http:///a", tmp_path / "a", progress=tried.append)
    assert tried == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(site, dest, status):
    site.faults = [Fault("status", status)]
    with pytest.raises(DownloadError, match=f"big.gz cannot be read: the server answers {status}"):
        get(site, dest)
    assert len(site.requests) == 1
    assert not dest.exists()


def test_a_silent_server_is_not_waited_for_forever(site, dest):
    import socket

    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        policy = type(QUICK)(attempts=2, first_wait_s=0.01, timeout_s=0.1)
        with pytest.raises(DownloadError, match="timed out"):
            fetch(f"http://127.0.0.1:{deaf.getsockname()[1]}/big.gz", dest, md5=MD5, policy=policy)


@pytest.mark.parametrize("form", ["path", "address"])
def test_local_files_are_copied_with_the_same_care(site, dest, form):
    source = site.root / "big.gz"
    url = str(source) if form == "path" else source.as_uri()
    with pytest.raises(IntegrityError, match=f"{MD5}.*{OTHER_MD5}"):
        fetch(url, dest, md5=OTHER_MD5)
    assert list(dest.parent.iterdir()) == []
    assert fetch(url, dest, md5=MD5, offline=True).size == len(DATA)
    assert fetch(url, dest, md5=MD5).reused
    assert_only(dest)
    assert source.read_bytes() == DATA


def test_a_missing_local_file_is_named(tmp_path, dest):
    with pytest.raises(DownloadError, match=r"absent\.gz cannot be read \(No such file"):
        fetch(str(tmp_path / "absent.gz"), dest)
    with pytest.raises(DownloadError, match="Is a directory"):
        fetch(str(tmp_path), dest)


@pytest.mark.parametrize("limit", [len(DATA) - 1, 10])
def test_too_large_files_are_refused(site, dest, limit):
    for url in (f"{site.url}/big.gz", str(site.root / "big.gz")):
        with pytest.raises(DownloadError, match=f"at most {limit:,} bytes"):
            fetch(url, dest, max_bytes=limit, policy=QUICK)
        assert list(dest.parent.iterdir()) == []


def test_offline_names_the_address_and_the_place(site, dest):
    with pytest.raises(OfflineError) as caught:
        get(site, dest, offline=True)
    assert f"{site.url}/big.gz" in str(caught.value)
    assert str(dest) in str(caught.value)
    assert site.requests == []


def test_offline_is_content_with_a_verified_file(site, dest):
    get(site, dest)
    site.requests.clear()
    assert get(site, dest, offline=True).reused
    assert site.requests == []


def test_credentials_are_sent_and_never_shown(site, dest, caplog):
    caplog.set_level(logging.DEBUG)
    url = site.url.replace("http://", "http://me:hunter2@") + "/big.gz"
    site.faults = [Fault("cut", 50), Fault("status", 503), Fault("status", 503)]
    lines = []
    with pytest.raises(DownloadError) as caught:
        fetch(f"{url}?token=hunter2", dest, policy=QUICK, progress=lines.append)
    notes = dest.with_name("big.gz.part.json").read_text()
    assert "Authorization" in site.headers[0]
    shown = [*lines, str(caught.value), notes]
    assert "hunter2" not in "".join(shown)
    report = fetch(url, dest, policy=QUICK)
    assert "hunter2" not in report.url
    assert "me:" not in caplog.text


def test_texts_are_read_from_everywhere(site):
    (site.root / "text").write_bytes("é\xff".encode() + b"\xff")
    for url in (f"{site.url}/text", str(site.root / "text")):
        assert read_text(url, policy=QUICK) == "éÿ�"
        with pytest.raises(DownloadError, match="too long"):
            read_text(url, max_bytes=3, policy=QUICK)
    with pytest.raises(OfflineError, match="/text"):
        read_text(f"{site.url}/text", offline=True)


def test_progress_says_how_much_and_how_fast():
    lines = []
    meter = TransferMeter("a.gz", done=1_000_000, total=4_000_000, progress=lines.append, every_s=0)
    meter.add(1_000_000)
    TransferMeter("b.gz", done=0, total=None, progress=lines.append, every_s=0).add(500_000)
    TransferMeter("c.gz", done=0, total=9, progress=lines.append).add(9)
    assert lines[0].startswith("a.gz: 2.0 of 4.0 MB (50%), ")
    assert lines[1].startswith("b.gz: 0.5 MB, ")
    assert all(line.endswith("MB/s") for line in lines)
    assert len(lines) == 2  # the third is not yet five seconds old
