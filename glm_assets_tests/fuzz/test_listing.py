"""The listing parser on pages that a broken or hostile server would send."""

from __future__ import annotations

import html
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm_assets.errors import DownloadError
from glm_assets.sources import listing
from glm_assets.sources.releases import choose_release
from glm_assets_tests.fuzz.tally import Tally, examples

pytestmark = pytest.mark.system

PAGE = "https://host/pub/weekly"
RELEASES = st.sampled_from(["clinvar_20240101.vcf.gz", "clinvar_20240101.vcf.gz.md5", "clinvar_20241301.vcf.gz"])
HOSTILE = st.sampled_from(
    [
        *("../x", "/etc/passwd", "..", ".", "", "a\0b", "%2e%2e%2fx", "..%2f..%2fx", "%2Fetc%2Fpasswd", "a%00b"),
        *(
            "x\u2215y",
            "CON",
            "x" * 5000,
            "//evil/pub/weekly/x",
            "https://[",
            "javascript:alert(1)",
            "file:///etc/passwd",
        ),
        *(
            "..\\x",
            "%5c..%5cx",
            "&#46;&#46;&#47;x",
            "sub/",
            "https://host/pub/weekly/ok.txt",
            "?C=M",
            "#top",
            "%zz",
            "%",
        ),
    ]
)
PLAIN = st.from_regex(r"[A-Za-z0-9_]{1,12}\.(txt|vcf\.gz|md5)", fullmatch=True)
LINKS = st.lists(
    st.tuples(RELEASES | HOSTILE | PLAIN | st.text(max_size=20), st.booleans()), min_size=15, max_size=40
)


def test_pages(monkeypatch):
    tally = Tally()

    @examples(700)
    @given(links=LINKS, noise=st.text(max_size=40))
    def fuzz(links, noise):
        written = [f'<a href="{html.escape(link) if escaped else link}">' for link, escaped in links]
        monkeypatch.setattr(listing, "read_text", lambda *_args, **_options: noise.join(written))
        names = listing.list_names(PAGE)
        tally["cases"] += len(links)
        tally["listed"] += len(names)
        assert names == sorted(set(names)) == listing.list_names(PAGE)
        for name in names:
            assert PurePosixPath("/data", name).parent == PurePosixPath("/data")
            assert PurePosixPath(name).name == name
            assert not set(name) & set("/\\\0")
        if "<" not in noise and "href" not in noise.lower() and not set(noise) & set("\"'"):
            plain = {
                link for link, _ in links if link.isascii() and link.replace(".", "").replace("_", "").isalnum()
            }
            quiet = all(not set(link) & set("\"'<>&") for link, _ in links)
            assert not quiet or {name for name in plain if len(name) < 100 and name.strip(".")} <= set(names)
        try:
            release = choose_release(names, None)
        except DownloadError:
            tally["no release"] += 1
        else:
            tally["release"] += 1
            assert release.file_name in names
            assert release.folder_name.isdigit()

    fuzz()
    tally.require("listed", "no release", "release")
