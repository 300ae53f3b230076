"""Sources that fail on the way: a clear error each, and a rerun after the cause is gone needs no cleaning by hand."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from pathlib import Path

import dagster as dg
import pytest

from glm_assets.errors import DownloadError, IntegrityError, MissingUpstreamError, ReferenceMismatchError
from glm_assets.lineage.embeddings import make_variant_embeddings
from glm_assets.lineage.source_catalogue import file_stamp
from glm_assets.lineage.sources import make_clinvar_release, make_reference_genome
from glm_assets.lineage.study import Study
from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
from glm_assets.sources.clinvar import WEEKLY
from glm_assets.sources.reference import ARCHIVE, ASSEMBLY_FOLDER
from glm_assets.sources.web import DEFAULT_POLICY
from glm_assets_tests.defs.conftest import open_lineage
from glm_assets_tests.lineage.studies import tiny_study
from glm_assets_tests.sources.servers import Fault, Site, serve, serve_plainly

VCF = "clinvar_20251109.vcf.gz"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No proxy is asked for this machine, and failed requests are repeated at once."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setitem(vars(DEFAULT_POLICY), "first_wait_s", 0.01)


@pytest.fixture
def tree(tmp_path, tiny_tree):
    """An NCBI-like tree that a test may damage."""
    return Path(shutil.copytree(tiny_tree, tmp_path / "tree"))


@pytest.fixture
def site(tree):
    """The tree on a web server with ranges."""
    with serve(tree) as served:
        yield served


@pytest.fixture
def study(tmp_path, site):
    return tiny_study(tmp_path, site.url, test_csv=None)


def silent(line: str) -> None:
    """Progress that nobody reads."""


def make_release(study: Study):
    return make_clinvar_release(study, silent)


def make_reference(study: Study):
    return make_reference_genome(study, silent)


def release_files(tree: Path) -> tuple[Path, Path]:
    """The newest VCF and its checksum file."""
    return tree / WEEKLY / VCF, tree / WEEKLY / f"{VCF}.md5"


def reference_files(tree: Path) -> tuple[Path, Path]:
    """The archive of the reference and its checksum file."""
    return tree / ASSEMBLY_FOLDER / ARCHIVE, tree / ASSEMBLY_FOLDER / "md5checksums.txt"


SOURCES = pytest.mark.parametrize(
    ("make", "files", "there"),
    [(make_release, release_files, Study.release), (make_reference, reference_files, Study.reference)],
    ids=["release", "reference"],
)


def replace(path: Path, checksums: Path, data: bytes) -> None:
    """Put other content into a file of the tree, and its MD5 into the checksum file."""
    path.write_bytes(data)
    checksums.write_text(f"{hashlib.md5(data).hexdigest()}  ./{path.name}\n")


def assert_nothing_is_there(study: Study, there) -> None:
    with pytest.raises(MissingUpstreamError):
        there(study)


def assert_whole(study: Study, make, there) -> None:
    """The source can be made now, stays made, and nothing half-written is left."""
    assert not make(study).reused
    assert there(study)
    assert make(study).reused
    left = [path for path in study.root.rglob("*") if ".part" in path.name or ".new" in path.name]
    assert left == []


@SOURCES
def test_a_connection_that_is_cut_once_is_continued(tree, site, study, make, files, there):
    data, _ = files(tree)
    half = data.stat().st_size // 2
    site.faults = [Fault("cut", half)]
    assert make(study)
    assert there(study)
    assert site.asked(data.name) == [None, f"bytes={half}-"]


@SOURCES
def test_a_connection_that_is_always_cut_is_an_error_and_the_rerun_continues(
    tree, site, study, make, files, there
):
    data, _ = files(tree)
    site.faults = [Fault("cut", 100)] * DEFAULT_POLICY.attempts
    with pytest.raises(DownloadError, match=rf"{data.name} cannot be read.*what has arrived of a file is kept"):
        make(study)
    assert_nothing_is_there(study, there)
    assert_whole(study, make, there)
    assert site.asked(data.name)[DEFAULT_POLICY.attempts] == f"bytes={100 * DEFAULT_POLICY.attempts}-"


@SOURCES
def test_a_wrong_md5_is_an_error(tree, study, make, files, there):
    data, checksums = files(tree)
    right = checksums.read_text()
    checksums.write_text(f"{'0' * 32}  ./{data.name}\n")
    with pytest.raises(IntegrityError, match=rf"{data.name} has md5 \w+\. Expected: md5 0000"):
        make(study)
    assert_nothing_is_there(study, there)
    checksums.write_text(right)
    assert_whole(study, make, there)


@SOURCES
@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_a_truncated_gzip_whose_md5_is_right_is_an_error(tree, study, make, files, there, kept):
    data, checksums = files(tree)
    whole = data.read_bytes()
    replace(data, checksums, whole[: int(len(whole) * kept)])
    with pytest.raises(IntegrityError, match=rf"{data.name} is damaged.*Expected: a whole gzip file"):
        make(study)
    assert_nothing_is_there(study, there)
    replace(data, checksums, whole)
    assert_whole(study, make, there)


@pytest.mark.parametrize("server", ["plain", "with ranges", "none"])
def test_a_listing_without_any_release_is_an_error(tmp_path, tree, site, server):
    weekly = tree / WEEKLY
    weekly.rename(tree / "elsewhere")
    weekly.mkdir()
    shutil.copy(tree / "elsewhere" / "clinvar_20251109_papu.vcf.gz", weekly)
    with serve_plainly(tree) as plain:
        address = {"plain": plain, "with ranges": site.url, "none": str(tree)}[server]
        study = tiny_study(tmp_path, address, test_csv=None)
        with pytest.raises(DownloadError, match=r"weekly/? holds no ClinVar release.*GLM_NCBI_URL"):
            make_release(study)
        shutil.rmtree(weekly)
        (tree / "elsewhere").rename(weekly)
        assert_whole(study, make_release, Study.release)


def test_a_whole_tree_comes_from_a_plain_server_too(tmp_path, tree):
    with serve_plainly(tree) as address:
        study = tiny_study(tmp_path, address, test_csv=None)
        assert_whole(study, make_release, Study.release)
        assert_whole(study, make_reference, Study.reference)


def shift_bases(tree: Path) -> bytes:
    """Make the reference another build, whose contigs lack their first base; gives the right archive."""
    archive, checksums = reference_files(tree)
    right = archive.read_bytes()
    contigs = [contig.split(b"\n", 1) for contig in gzip.decompress(right).split(b">")[1:]]
    shifted = b"".join(b">%s\n%s\n" % (name, bases.replace(b"\n", b"")[1:]) for name, bases in contigs)
    replace(archive, checksums, gzip.compress(shifted))
    return right


def make_windows(study: Study):
    make_release(study)
    make_reference(study)
    make_clinvar_variants(study, "21")
    return make_variant_windows(study, "21")


def know_checkpoint(study: Study) -> None:
    """Record weights; these are never read."""
    weights = study.root / "weights"
    weights.write_bytes(b"weights")
    facts = {"data_version": "weights", "path": str(weights), "stamp": file_stamp(weights)}
    study.glm_checkpoint("0" * 64).make(lambda work: facts)


def test_windows_of_a_wrong_build_are_counted_and_refused_until_the_right_one_is_there(tree, study, monkeypatch):
    def no_encoder(study):
        pytest.fail("the encoder was loaded for windows of another build")

    monkeypatch.setattr("glm_assets.lineage.embeddings.load_encoder", no_encoder)
    right = shift_bases(tree)
    assert make_windows(study).facts["reference_mismatch_share"] > 0.5
    know_checkpoint(study)
    with pytest.raises(ReferenceMismatchError, match=r"chromosome 21: REF disagrees.*GRCh38"):
        make_variant_embeddings(study, "21", silent)

    replace(*reference_files(tree), right)
    facts = make_windows(study).facts
    assert (facts["reference_mismatches"], facts["dropped"]["ref_mismatch"]) == (0, 0)
    assert facts["rows"] > 30
    assert study.variant_embeddings("21").current() is None  # missing, but no longer refused


def test_the_blocking_check_stops_a_run_on_a_wrong_build(tmp_path, tree, site: Site):
    right = shift_bases(tree)
    with dg.DagsterInstance.ephemeral() as instance:
        lineage = open_lineage(tmp_path, site.url, instance, test_csv=None)
        stages = ("clinvar_variants", "variant_windows", "variant_embeddings")
        lineage.run("clinvar_release", "reference_genome")
        know_checkpoint(lineage.study)
        result = lineage.run(*stages, partition="21", raise_on_error=False)
        assert not result.success
        (failed,) = (
            check for check in result.get_asset_check_evaluations() if check.blocking and not check.passed
        )
        assert failed.check_name == "reference_matches"
        assert failed.metadata["share"].value > 0.5
        started = {event.step_key for event in result.all_events if event.is_step_start}
        assert started == {"clinvar_variants", "variant_windows"}

        replace(*reference_files(tree), right)
        lineage.run("clinvar_release", "reference_genome")
        result = lineage.run(*stages[:2], partition="21")
        assert all(check.passed for check in result.get_asset_check_evaluations())


def test_a_failed_source_shows_the_error_in_dagster_and_the_next_run_succeeds(tmp_path, tree, site):
    _, checksums = release_files(tree)
    right = checksums.read_text()
    checksums.write_text(f"{'0' * 32}  {VCF}\n")
    with dg.DagsterInstance.ephemeral() as instance:
        lineage = open_lineage(tmp_path, site.url, instance, test_csv=None)
        result = lineage.run("clinvar_release", raise_on_error=False)
        cause = result.failure_data_for_node("clinvar_release").error.cause
        assert cause.cls_name == "IntegrityError"
        assert "Fix: run again" in cause.message
        checksums.write_text(right)
        assert lineage.run("clinvar_release").success
