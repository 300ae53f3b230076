import hashlib
import random

import pysam
import pytest

from glm_assets.errors import DownloadError, FormatError, IntegrityError, OfflineError
from glm_assets.sources import reference as reference_module
from glm_assets.sources.reference import ARCHIVE, ASSEMBLY_FOLDER, FASTA, Contig, fetch_reference, stated_md5
from glm_assets_tests.sources import files
from glm_assets_tests.sources.conftest import publish_reference
from glm_assets_tests.sources.servers import QUICK, Fault
from glm_assets_tests.sources.test_fasta_stream import CHECKSUM

RESULT = sorted([FASTA, f"{FASTA}.fai", f"{FASTA}.gzi", "reference.json"])


def bring(base, folder, **options):
    return fetch_reference(str(base), folder, policy=QUICK, **options)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("source", ["folder", "file", "plain server", "server"])
def test_the_reference_arrives_verified_recompressed_and_indexed(tree, site, plain_site, tmp_path, source):
    base = {"folder": str(tree), "file": tree.as_uri(), "plain server": plain_site, "server": site.url}[source]
    archive = tree / ASSEMBLY_FOLDER / ARCHIVE
    found = bring(base, tmp_path / "here")
    assert names(tmp_path / "here") == RESULT
    assert found.url == f"{base}/{ASSEMBLY_FOLDER}/{ARCHIVE}"
    assert (found.md5, found.size) == (hashlib.md5(archive.read_bytes()).hexdigest(), archive.stat().st_size)
    assert found.checksum == CHECKSUM
    assert found.contigs == (
        Contig("NC_000021.9", 22, "21"),
        Contig("NT_187633.1", 10, None),
        Contig("NC_012920.1", 4, "MT"),
    )
    with pysam.BGZFile(str(found.fasta), "rb", None) as stream:
        assert stream.read() == files.FASTA
    with pysam.FastaFile(str(found.fasta)) as fasta:
        assert fasta.fetch("NC_000021.9", 8, 14) == "tnACGT"


def test_a_finished_reference_is_neither_downloaded_nor_made_again(site, tmp_path):
    first = bring(site.url, tmp_path)
    site.requests.clear()
    second = bring(site.url, tmp_path)
    assert second.reused
    assert (second.checksum, second.contigs, second.md5) == (first.checksum, first.contigs, first.md5)
    assert site.asked(ARCHIVE) == []


@pytest.mark.parametrize("lost", [FASTA, f"{FASTA}.fai", f"{FASTA}.gzi", "reference.json"])
def test_a_reference_with_a_file_missing_or_cut_is_made_again(tree, tmp_path, lost):
    bring(tree, tmp_path)
    (tmp_path / lost).unlink()
    assert not bring(tree, tmp_path).reused
    (tmp_path / lost).write_bytes((tmp_path / lost).read_bytes()[:-5])
    assert not bring(tree, tmp_path).reused
    assert bring(tree, tmp_path).reused


def test_another_archive_at_the_source_replaces_the_reference(tree, tmp_path):
    before = bring(tree, tmp_path)
    publish_reference(tree, files.gzipped(files.FASTA.replace(b"GGCC", b"GGCA")))
    after = bring(tree, tmp_path)
    assert not after.reused
    assert after.checksum != before.checksum


def test_the_checksum_is_of_the_sequence_not_of_the_file(tree, tmp_path):
    before = bring(tree, tmp_path)
    publish_reference(tree, files.bgzf(files.FASTA.upper()))
    after = bring(tree, tmp_path)
    assert after.md5 != before.md5
    assert after.checksum == before.checksum


def test_the_stated_md5_is_known_without_a_download(tree, site):
    stated = stated_md5(site.url, policy=QUICK)
    assert stated == hashlib.md5((tree / ASSEMBLY_FOLDER / ARCHIVE).read_bytes()).hexdigest()
    assert site.asked(ARCHIVE) == []


LONG = b">NC_000021.9\n" + b"".join(bytes(random.Random(n).choices(b"ACGT", k=60)) + b"\n" for n in range(3_000))


@pytest.mark.parametrize(
    ("archive", "error", "message"),
    [
        (files.gzipped(LONG)[:-2000], IntegrityError, f"{ARCHIVE} is damaged"),
        (files.bgzf(LONG)[:-28], IntegrityError, "end marker"),
        (files.FASTA, FormatError, f"{ARCHIVE} is no gzip file"),
        (files.gzipped(b"<html>not found</html>\n"), FormatError, "no usable FASTA: it begins with b'<html>"),
        (files.gzipped(b""), FormatError, "no contig"),
        (files.gzipped(b">21\nACGT\nAC\nACGT\n"), FormatError, "cannot be indexed"),
    ],
)
def test_a_bad_archive_is_refused_and_a_good_one_is_accepted_afterwards(tree, tmp_path, archive, error, message):
    here = tmp_path / "here"
    publish_reference(tree, archive)
    with pytest.raises(error, match=message):
        bring(tree, here)
    assert names(here) == [ARCHIVE]
    publish_reference(tree, files.gzipped(LONG))
    bring(tree, here)
    assert names(here) == RESULT


def test_a_bad_archive_leaves_the_old_reference_whole(tree, tmp_path):
    good = (tree / ASSEMBLY_FOLDER / ARCHIVE).read_bytes()
    bring(tree, tmp_path)
    publish_reference(tree, files.gzipped(LONG)[:-2000])
    with pytest.raises(IntegrityError):
        bring(tree, tmp_path)
    publish_reference(tree, good)
    assert bring(tree, tmp_path).reused


@pytest.mark.parametrize(
    ("sums", "error", "message"),
    [
        ("", FormatError, rf"md5checksums\.txt states no md5 sum for {ARCHIVE}"),
        (f"{'0' * 32}  ./{ARCHIVE}\n", IntegrityError, f"{ARCHIVE} has md5 .*0{{32}}"),
        (None, DownloadError, r"md5checksums\.txt cannot be read"),
    ],
)
def test_the_checksum_list_must_vouch_for_the_archive(tree, tmp_path, sums, error, message):
    listing = tree / ASSEMBLY_FOLDER / "md5checksums.txt"
    sound = listing.read_text()
    listing.unlink() if sums is None else listing.write_text(sums)
    with pytest.raises(error, match=message):
        bring(tree, tmp_path / "here")
    listing.write_text(sound)
    assert bring(tree, tmp_path / "here").checksum == CHECKSUM


def test_an_archive_cut_half_way_is_continued_by_the_next_run(tree, site, tmp_path):
    archive = files.gzipped(LONG)
    publish_reference(tree, archive)
    half = len(archive) // 2
    site.faults = [Fault("cut", half), *[Fault("status", 503)] * 2]
    with pytest.raises(DownloadError, match="503"):
        bring(site.url, tmp_path / "here")
    site.requests.clear()
    bring(site.url, tmp_path / "here")
    assert site.asked(ARCHIVE) == [f"bytes={half}-"]
    assert names(tmp_path / "here") == RESULT


def test_what_a_killed_run_left_is_not_in_the_way(tree, tmp_path, monkeypatch):
    here = tmp_path / "here"

    class Killed(BaseException):
        pass

    def die(_fasta):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(reference_module, "index_fasta", die)
        patch.setattr(reference_module.shutil, "rmtree", lambda *_args, **_options: None)
        with pytest.raises(Killed):
            bring(tree, here)
    assert names(here) == [".building", ARCHIVE]
    bring(tree, here)
    assert names(here) == RESULT


def test_offline_needs_a_finished_reference(site, tmp_path):
    with pytest.raises(OfflineError, match=r"md5checksums\.txt"):
        bring(site.url, tmp_path, offline=True)
    bring(site.url, tmp_path)
    site.requests.clear()
    assert bring(site.url, tmp_path, offline=True).reused
    assert site.requests == []


def test_offline_reads_folders(tree, tmp_path):
    assert not bring(tree, tmp_path, offline=True).reused


@pytest.mark.real_data
def test_the_real_cut_of_grch38(real_data, tmp_path):
    found = bring(real_data / "ncbi_mirror", tmp_path)
    assert found.contigs == (
        Contig("NC_000013.11", 114_364_328, "13"),
        Contig("NC_000017.11", 83_257_441, "17"),
        Contig("NC_012920.1", 16_569, "MT"),
    )
    with pysam.FastaFile(str(found.fasta)) as fasta:
        # The revised Cambridge Reference Sequence has a published checksum.
        mitochondrion = fasta.fetch("NC_012920.1").encode()
    assert hashlib.md5(mitochondrion).hexdigest() == "c68f52674c9fb33aef52dcf399755519"
