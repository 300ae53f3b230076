"""Cutoffs that the weekly folder does not reach: the archive's folders of years."""

from __future__ import annotations

from datetime import date

import pytest

from glm_assets.errors import DownloadError, OfflineError
from glm_assets.sources.clinvar import ARCHIVE, WEEKLY, fetch_release, latest_release
from glm_assets.sources.listing import list_folders, list_names
from glm_assets_tests.sources.conftest import publish
from glm_assets_tests.sources.files import HEADER, bgzf, record
from glm_assets_tests.sources.servers import QUICK, Fault

ARCHIVED = {
    "2023": ["20230102", "20231230"],
    "2024": ["20240107", "20240630", "20241229", "20241229_papu"],
    "2025": ["20250105", "20251109"],
    "misc": ["20240708"],
}


@pytest.fixture
def archived(tree):
    """The tree, whose weekly folder begins with 2026, with an archive as NCBI has it."""
    for year, dates in ARCHIVED.items():
        folder = tree / ARCHIVE / year
        folder.mkdir(parents=True)
        for number, day in enumerate(dates):
            path = folder / f"clinvar_{day}.vcf.gz"
            publish(path, bgzf(HEADER + record(1000 + number)))
            path.with_name(f"{path.name}.tbi").write_bytes(b"an index of " + day.encode())
    (tree / ARCHIVE / "README.txt").write_text("of the archive")
    return tree


def chosen(base, cutoff: str) -> str:
    release, _ = latest_release(str(base), date.fromisoformat(cutoff), policy=QUICK)
    return release.folder_name


@pytest.mark.parametrize("source", ["folder", "server", "plain server"])
@pytest.mark.parametrize(
    ("cutoff", "wanted"),
    [
        ("2025-12-31", "20251109"),
        ("2025-11-09", "20251109"),
        ("2025-11-08", "20250105"),
        ("2025-01-04", "20241229"),  # the year has nothing so early: the year before is looked into
        ("2024-01-01", "20231230"),
    ],
)
def test_the_newest_archived_release_at_or_before_the_cutoff_is_chosen(
    archived, site, plain_site, source, cutoff, wanted
):
    base = {"folder": archived, "server": site.url, "plain server": plain_site}[source]
    assert chosen(base, cutoff) == wanted


def test_an_archived_release_arrives_whole_with_its_index(archived, site, tmp_path):
    files = fetch_release(site.url, date(2024, 12, 31), tmp_path / "here", policy=QUICK)
    home = archived / ARCHIVE / "2024"
    assert {path.name: path.read_bytes() for path in (tmp_path / "here" / "20241229").iterdir()} == {
        f"clinvar_20241229.vcf.gz{suffix}": (home / f"clinvar_20241229.vcf.gz{suffix}").read_bytes()
        for suffix in ("", ".md5", ".tbi")
    }
    assert files.url == f"{site.url}/{ARCHIVE}/2024/clinvar_20241229.vcf.gz"


def test_the_archive_is_not_looked_into_when_the_weekly_folder_has_one(archived, site):
    assert chosen(site.url, "2026-01-07") == "20260101"
    latest_release(site.url, None, policy=QUICK)
    assert not any(ARCHIVE in path for path, _ in site.requests)


def test_a_cutoff_before_everything_names_every_folder_that_was_looked_into(archived, site):
    with pytest.raises(DownloadError) as caught:
        chosen(site.url, "2023-01-01")
    message = str(caught.value)
    assert f"{site.url}/{WEEKLY} holds no ClinVar release of 2023-01-01 or before" in message
    assert "the oldest 2026-01-01" in message
    assert f"nor does the archive: {site.url}/{ARCHIVE}/2023" in message
    assert "later GLM_CLINVAR_CUTOFF" in message
    with pytest.raises(DownloadError, match="no year to 2022-05-05"):
        chosen(site.url, "2022-05-05")


@pytest.mark.parametrize("source", ["folder", "server"])
def test_a_mirror_without_an_archive_says_what_it_has(tree, site, source):
    base = tree if source == "folder" else site.url
    with pytest.raises(DownloadError) as caught:
        chosen(base, "2025-11-09")
    message = str(caught.value)
    assert f"{WEEKLY} holds no ClinVar release of 2025-11-09 or before; it holds 2" in message
    assert "archive_2.0" in message


def test_an_archive_that_fails_half_way_does_not_give_an_older_release(archived, site):
    site.faulty, site.faults = r"2025/$", [Fault("status", 503)] * 3
    with pytest.raises(DownloadError, match=r"2025/ cannot be read: the server answers 503"):
        chosen(site.url, "2025-11-30")


def test_offline_asks_no_archive(archived, site):
    with pytest.raises(OfflineError):
        latest_release(site.url, date(2025, 1, 1), offline=True, policy=QUICK)
    assert site.requests == []


def test_folders_are_listed_apart_from_files(archived, site, plain_site):
    for base in (str(archived), plain_site, site.url):
        assert list_folders(f"{base}/{ARCHIVE}") == sorted(ARCHIVED)
        assert list_names(f"{base}/{ARCHIVE}") == ["README.txt"]
