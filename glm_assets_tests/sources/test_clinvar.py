import hashlib
from datetime import date

import pytest

from glm_assets.errors import DownloadError, FormatError, GlmError, IntegrityError, OfflineError
from glm_assets.sources.clinvar import WEEKLY, ClinvarRelease, choose_release, fetch_release, latest_release
from glm_assets_tests.sources.conftest import publish
from glm_assets_tests.sources.servers import QUICK, Fault

NEW, OLD = "clinvar_20260108.vcf.gz", "clinvar_20260101.vcf.gz"

NAMES = [
    "clinvar_20251109.vcf.gz",
    "clinvar_20251102.vcf.gz",
    "clinvar_20251116.vcf.gz",
    "clinvar_20251109_papu.vcf.gz",
    "clinvar_20251230.vcf.gz.md5",
    "clinvar_20251231.vcf",
    "clinvar.vcf.gz",
    "clinvar_20259999.vcf.gz",
    "clinvar_20260230.vcf.gz",
    "xclinvar_20260101.vcf.gz",
    "clinvar_20260101.vcf.gz.tbi",
    "clinvar_2026-01-01.vcf.gz",
    "clinvar_\uff12\uff10\uff12\uff16\uff10\uff11\uff10\uff11.vcf.gz",  # digits, but not 0-9
]


@pytest.mark.parametrize(
    ("cutoff", "chosen"),
    [
        (None, date(2025, 11, 16)),
        (date(2025, 11, 16), date(2025, 11, 16)),
        (date(2025, 11, 15), date(2025, 11, 9)),
        (date(2025, 11, 9), date(2025, 11, 9)),
        (date(2025, 11, 8), date(2025, 11, 2)),
    ],
)
def test_the_newest_release_at_or_before_the_cutoff_is_chosen(cutoff, chosen):
    assert choose_release(NAMES, cutoff) == ClinvarRelease(chosen, f"clinvar_{chosen:%Y%m%d}.vcf.gz")


def test_a_cutoff_before_all_releases_names_what_is_there():
    with pytest.raises(DownloadError) as caught:
        choose_release(NAMES, date(2025, 11, 1), where="the page")
    message = str(caught.value)
    assert "the page holds no ClinVar release of 2025-11-01 or before" in message
    assert "holds 3, the newest 2025-11-16, 2025-11-09, 2025-11-02, the oldest 2025-11-02" in message


def test_a_listing_without_releases_says_so():
    with pytest.raises(DownloadError, match=r"no ClinVar release; it holds none at all.*GLM_NCBI_URL"):
        choose_release(NAMES[3:], None)


def md5_of(tree, name):
    return hashlib.md5((tree / WEEKLY / name).read_bytes()).hexdigest()


def bring(base, folder, **options):
    return fetch_release(str(base), options.pop("cutoff", None), folder, policy=QUICK, **options)


@pytest.mark.parametrize("source", ["folder", "file", "plain server", "server"])
def test_a_release_arrives_from_every_kind_of_source(tree, site, plain_site, tmp_path, source):
    base = {"folder": str(tree), "file": tree.as_uri(), "plain server": plain_site, "server": site.url}[source]
    files = bring(base, tmp_path / "here")
    folder = tmp_path / "here" / "20260108"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: (tree / WEEKLY / name).read_bytes() for name in (NEW, f"{NEW}.md5", f"{NEW}.tbi")
    }
    assert (files.release.date, files.md5, files.reused) == (date(2026, 1, 8), md5_of(tree, NEW), False)
    assert (files.vcf, files.md5_file, files.tbi) == tuple(
        folder / name for name in (NEW, f"{NEW}.md5", f"{NEW}.tbi")
    )
    assert files.url == f"{base}/{WEEKLY}/{NEW}"
    assert files.size == files.vcf.stat().st_size


def test_a_release_that_is_there_is_not_downloaded_again(site, tmp_path):
    bring(site.url, tmp_path)
    site.requests.clear()
    assert bring(site.url, tmp_path).reused
    assert site.asked(NEW) == site.asked(f"{NEW}.tbi") == []


def test_a_release_that_was_published_again_brings_its_new_index(tree, tmp_path):
    bring(tree, tmp_path)
    publish(tree / WEEKLY / NEW, b"another release")
    (tree / WEEKLY / f"{NEW}.tbi").write_bytes(b"another index")
    found = bring(tree, tmp_path)
    assert not found.reused
    assert found.tbi is not None
    assert found.tbi.read_bytes() == b"another index"


def test_releases_do_not_disturb_each_other(tree, tmp_path):
    bring(tree, tmp_path)
    assert bring(tree, tmp_path, cutoff=date(2026, 1, 7)).vcf.name == OLD
    assert bring(tree, tmp_path).reused


def test_a_release_without_an_index_is_accepted(tree, tmp_path):
    (tree / WEEKLY / f"{NEW}.tbi").unlink()
    assert bring(tree, tmp_path).tbi is None


def test_what_would_be_chosen_is_known_without_a_download(tree, site):
    release, md5 = latest_release(site.url, date(2026, 1, 7), policy=QUICK)
    assert release == ClinvarRelease(date(2026, 1, 1), OLD)
    assert md5 == md5_of(tree, OLD)
    assert site.asked(OLD) == []


def spoil_md5(tree):
    (tree / WEEKLY / f"{NEW}.md5").write_text(f"{'0' * 32}  {NEW}\n")


def rename_in_md5(tree):
    (tree / WEEKLY / f"{NEW}.md5").write_text(f"{'0' * 32}  {OLD}\n")


def remove_md5(tree):
    (tree / WEEKLY / f"{NEW}.md5").unlink()


def remove_releases(tree):
    for path in (tree / WEEKLY).iterdir():
        if "_papu" not in path.name:
            path.unlink()


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (spoil_md5, IntegrityError, rf"{NEW} has md5 [0-9a-f]{{32}}.*0{{32}}"),
        (rename_in_md5, FormatError, rf"{NEW}\.md5 states no md5"),
        (remove_md5, DownloadError, rf"{NEW}\.md5 cannot be read"),
        (remove_releases, DownloadError, f"{WEEKLY} holds no ClinVar release; it holds none at all"),
    ],
)
@pytest.mark.parametrize("source", ["folder", "server"])
def test_a_fault_of_the_source_is_clear_and_leaves_nothing_in_the_way(
    tree, site, tmp_path, source, fault, error, message
):
    base = str(tree) if source == "folder" else site.url
    sound = {path: path.read_bytes() for path in (tree / WEEKLY).iterdir()}
    fault(tree)
    with pytest.raises(error, match=message):
        bring(base, tmp_path / "here")
    for path, data in sound.items():
        path.write_bytes(data)
    assert bring(base, tmp_path / "here").md5 == md5_of(tree, NEW)


def test_a_release_cut_half_way_is_continued_by_the_next_run(tree, site, tmp_path):
    half = (tree / WEEKLY / NEW).stat().st_size // 2
    site.faults = [Fault("cut", half), *[Fault("status", 503)] * 2]
    with pytest.raises(DownloadError, match="503"):
        bring(site.url, tmp_path)
    site.requests.clear()
    assert bring(site.url, tmp_path).md5 == md5_of(tree, NEW)
    assert site.asked(NEW) == [f"bytes={half}-"]


def test_a_release_replaced_under_its_name_is_downloaded_again(tree, tmp_path):
    first = bring(tree, tmp_path)
    publish(tree / WEEKLY / NEW, (tree / WEEKLY / OLD).read_bytes())
    second = bring(tree, tmp_path)
    assert not second.reused
    assert second.md5 == md5_of(tree, OLD) != first.md5


def test_offline_needs_a_kept_release_that_fits(site, tmp_path):
    with pytest.raises(OfflineError, match=rf"{site.url}.*downloads are off.*{tmp_path}"):
        bring(site.url, tmp_path, offline=True)
    bring(site.url, tmp_path)
    site.requests.clear()
    kept = bring(site.url, tmp_path, offline=True)
    assert kept.reused
    assert kept.tbi is not None
    with pytest.raises(OfflineError):
        bring(site.url, tmp_path, offline=True, cutoff=date(2026, 1, 7))
    assert site.requests == []


def test_offline_does_not_trust_a_damaged_release(site, tmp_path):
    bring(site.url, tmp_path).vcf.write_bytes(b"damaged")
    with pytest.raises(GlmError):
        bring(site.url, tmp_path, offline=True)


def test_offline_reads_folders(tree, tmp_path):
    assert bring(tree, tmp_path, offline=True).vcf.name == NEW
    assert latest_release(str(tree), None, offline=True)[0].file_name == NEW
