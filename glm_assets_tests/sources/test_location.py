from pathlib import Path

import pytest

from glm_assets.errors import DownloadError
from glm_assets.sources.location import is_remote, join_url, local_path, public_url, split_credentials


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/data/ncbi", "/data/ncbi"),
        ("ncbi", "ncbi"),
        ("a:b/c", "a:b/c"),
        ("file:///data/a%20b", "/data/a b"),
        ("file://localhost/data", "/data"),
    ],
)
def test_files_have_a_path(url, path):
    assert local_path(url) == Path(path)
    assert not is_remote(url)


@pytest.mark.parametrize("url", ["https://example.org/a", "http://127.0.0.1:80"])
def test_web_addresses_have_none(url):
    assert local_path(url) is None
    assert is_remote(url)


@pytest.mark.parametrize("url", ["ftp://ftp.ncbi.nlm.nih.gov/pub", "s3://bucket/key", "file://otherhost/data"])
def test_other_addresses_are_refused(url):
    with pytest.raises(DownloadError, match=r"no address that can be read.*Expected: https"):
        local_path(url)


@pytest.mark.parametrize("read", [is_remote, local_path, split_credentials, public_url])
def test_a_malformed_address_is_refused_without_its_password(read):
    with pytest.raises(DownloadError, match=r"\[bad is no address that can be read") as caught:
        read("http://me:secret@[bad")
    assert "secret" not in str(caught.value)


def test_parts_are_joined_with_one_slash_and_quoted_where_needed():
    assert (
        join_url("https://x.org/mirror/", "pub/clinvar", "a b.gz") == "https://x.org/mirror/pub/clinvar/a%20b.gz"
    )
    assert join_url("file:///mirror", "a b") == "file:///mirror/a%20b"
    assert join_url("/mirror", "pub/clinvar", "a b.gz") == "/mirror/pub/clinvar/a b.gz"


def test_what_is_shown_holds_no_secret():
    url = "https://me:p%40ss@x.org:8443/a/b.gz?X-Signature=secret#f"
    assert public_url(url) == "https://x.org:8443/a/b.gz"
    assert split_credentials(url) == ("https://x.org:8443/a/b.gz?X-Signature=secret#f", ("me", "p@ss"))
    assert split_credentials("https://x.org/a") == ("https://x.org/a", None)
    assert public_url("/data/what?#") == "/data/what?#"
