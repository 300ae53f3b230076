import socket

import pytest

from glm_assets.errors import DownloadError, OfflineError
from glm_assets.sources.clinvar import WEEKLY
from glm_assets.sources.listing import list_names
from glm_assets_tests.sources.servers import QUICK, Fault

RELEASES = sorted(
    f"{name}.vcf.gz{suffix}"
    for name in ("clinvar_20260101", "clinvar_20260108", "clinvar_20260108_papu")
    for suffix in ("", ".md5", ".tbi")
)


def test_every_kind_of_source_lists_the_same_names(tree, site, plain_site):
    folder = tree / WEEKLY
    for base in (
        str(folder),
        folder.as_uri(),
        f"{site.url}/{WEEKLY}",
        f"{site.url}/{WEEKLY}/",
        f"{plain_site}/{WEEKLY}",
    ):
        assert list_names(base, policy=QUICK) == RELEASES


def test_folders_are_not_files(tree):
    assert list_names(str(tree)) == []


def test_links_are_read_as_a_browser_does(tree, plain_site):
    page = tree / "page" / "index.html"
    page.parent.mkdir()
    page.write_text("""
    <A HREF='plain.gz'>x</A> <a href="/page/absolute.gz">x</a> <a title="t" href = "a%20b%26c.gz">x</a>
    <a href="./dot.gz">x</a> <a href="../page/round.gz">x</a> <a href="amp&amp;.gz">x</a>
    <a href="/other/outside.gz">x</a> <a href="../up.gz">x</a> <a href="sub/">x</a> <a href="sub/deep.gz">x</a>
    <a href="%2e%2e%2fescape.gz">x</a> <a href="..">x</a> <a href="?C=N;O=D">x</a> <a href="a.gz?x=1">x</a>
    <a href="b.gz#top">x</a> <a href="http://elsewhere.invalid/page/foreign.gz">x</a> <a href="http://[broken/">x</a>
    <a href="mailto:me">x</a> <a href="back%5Cslash.gz">x</a> <a href="plain.gz">again</a>
    """)
    inside = ["plain.gz", "absolute.gz", "a b&c.gz", "dot.gz", "round.gz", "amp&.gz"]
    assert list_names(f"{plain_site}/page") == sorted(inside)


def test_a_missing_folder_is_named(tree, site):
    with pytest.raises(DownloadError, match=r"absent.*GLM_NCBI_URL"):
        list_names(str(tree / "nowhere"))
    with pytest.raises(DownloadError, match=r"/nowhere/ .*404"):
        list_names(f"{site.url}/nowhere", policy=QUICK)
    assert len(site.requests) == 1  # a 404 does not pass by itself


def test_a_file_is_no_folder(tree):
    with pytest.raises(DownloadError, match="not a folder"):
        list_names(str(tree / WEEKLY / "clinvar_20260101.vcf.gz"))


def test_a_refused_connection_is_tried_again_and_named():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    lines = []
    with pytest.raises(DownloadError, match=rf"127\.0\.0\.1:{port}/x/ cannot be read.*refused.*3 attempts"):
        list_names(f"http://127.0.0.1:{port}/x", policy=QUICK, progress=lines.append)
    assert len(lines) == 2


def test_a_busy_server_is_waited_for(site):
    site.faulty, site.faults = "weekly", [Fault("status", 503), Fault("status", 429)]
    assert list_names(f"{site.url}/{WEEKLY}", policy=QUICK) == RELEASES


def test_web_folders_need_a_network():
    with pytest.raises(OfflineError, match=r"example\.invalid/x"):
        list_names("https://example.invalid/x", offline=True)
