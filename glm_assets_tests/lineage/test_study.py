"""What is up to date, what is stale, and what a product says when something above it is missing."""

from __future__ import annotations

import shutil

import polars as pl
import pytest

from glm_assets.errors import DataRootError, MissingUpstreamError, OfflineError, ReferenceMismatchError
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.study import check_reference
from glm_assets.lineage.variants import make_clinvar_variants, make_split_audit, make_variant_windows
from glm_assets.storage.tables import read_part
from glm_assets_tests.lineage.studies import tiny_study


def silent(line: str) -> None:
    """Progress that nobody reads."""


def make_windows(study, *chromosomes: str) -> None:
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    for chrom in chromosomes:
        make_clinvar_variants(study, chrom)
        make_variant_windows(study, chrom)


def test_a_product_without_its_upstream_names_it_and_the_command_that_makes_it(tmp_path, tiny_tree):
    study = tiny_study(tmp_path, tiny_tree)
    with pytest.raises(MissingUpstreamError, match="--select clinvar_release"):
        make_clinvar_variants(study, "21")
    make_clinvar_release(study, silent)
    with pytest.raises(MissingUpstreamError, match=r"clinvar_variants of chromosome 21.*--partition 21"):
        make_variant_windows(study, "21")


def test_nothing_is_made_twice(tmp_path, tiny_tree):
    study = tiny_study(tmp_path, tiny_tree)
    make_windows(study, "21")
    again = tiny_study(tmp_path, tiny_tree)
    assert make_clinvar_release(again, silent).reused
    assert make_reference_genome(again, silent).reused
    assert make_clinvar_variants(again, "21").reused
    assert make_variant_windows(again, "21").reused


def test_rows_kept_and_dropped_add_up_to_the_file(tmp_path, tiny_tree):
    study = tiny_study(tmp_path, tiny_tree)
    release = make_clinvar_release(study, silent).facts
    assert (
        sum(release["chromosomes"].values()) + sum(release["other_contigs"].values()) == release["records_in_file"]
    )
    for chrom in ("21", "22"):
        facts = make_clinvar_variants(study, chrom).facts
        assert facts["records"] == release["chromosomes"][chrom]
        assert facts["kept"] + sum(facts["dropped"].values()) == facts["rows"]
        assert facts["pathogenic"] + facts["benign"] == facts["kept"]


def test_a_new_release_makes_stale_what_changed_and_a_lower_cutoff_goes_back(tmp_path, tiny_tree):
    older = tiny_study(tmp_path, tiny_tree, clinvar_cutoff="2025-11-02")
    make_windows(older, "21")
    old_version = older.require(older.variant_windows("21")).data_version

    newer = tiny_study(tmp_path, tiny_tree)
    with pytest.raises(MissingUpstreamError):
        newer.require(newer.clinvar_variants("22"))
    make_windows(newer, "21")
    assert newer.release().inputs["date"] == "20251109"
    assert newer.require(newer.variant_windows("21")).data_version != old_version
    assert older.release().inputs["date"] == "20251102"


def test_the_audit_lists_every_chromosome_that_is_missing(tmp_path, tiny_tree):
    study = tiny_study(tmp_path, tiny_tree)
    make_windows(study, "21")
    with pytest.raises(MissingUpstreamError, match="for chromosome 22"):
        make_split_audit(study)
    make_windows(study, "22")
    assert make_split_audit(study).facts["overlapping_rows"] == 0


def test_merged_test_rows_count_as_train_in_the_audit(tmp_path, tiny_tree):
    split = {"rule": "faithful", "merge_test_into_train": True}
    study = tiny_study(tmp_path, tiny_tree, profile={"split": split})
    make_windows(study, "21", "22")
    facts = make_split_audit(study).facts
    val = sum(study.require(study.variant_windows(chrom)).facts["splits"].get("val", 0) for chrom in ("21", "22"))
    assert facts["held_out_rows"] == val > 0
    assert set(facts["overlapping_share"]) == {"val"}


def test_a_password_in_the_source_is_written_nowhere(tmp_path):
    study = tiny_study(tmp_path, "https://reader:hunter2@example.invalid/ncbi", test_csv=None)
    study.claim()
    assert "hunter2" not in (study.root / "platform.json").read_text()
    assert "hunter2" not in str(study.reference_genome("md5"))


def test_a_chromosome_that_the_release_lacks_is_our_error(tmp_path, tiny_tree):
    study = tiny_study(tmp_path, tiny_tree)
    make_clinvar_release(study, silent)
    with pytest.raises(MissingUpstreamError, match="no record on chromosome X"):
        make_clinvar_variants(study, "X")


def test_windows_of_another_build_are_refused_before_they_are_embedded(tmp_path, tiny_tree):
    study = tiny_study(tmp_path, tiny_tree)
    make_windows(study, "21")
    manifest = study.require(study.variant_windows("21"))
    check_reference(manifest)
    manifest.facts["reference_mismatch_share"] = 0.02
    with pytest.raises(ReferenceMismatchError, match=r"chromosome 21.*2\.0%"):
        check_reference(manifest)


def test_a_data_root_refuses_another_source(tmp_path, tiny_tree):
    tiny_study(tmp_path, tiny_tree).claim()
    with pytest.raises(DataRootError, match=r"source.*GLM_DATA_ROOT"):
        tiny_study(tmp_path, tiny_tree.parent).claim()


def test_offline_a_finished_source_is_enough_and_a_missing_one_says_so(tmp_path):
    study = tiny_study(tmp_path, "https://example.invalid/ncbi", test_csv=None, offline=True)
    with pytest.raises(OfflineError):
        make_clinvar_release(study, silent)
    with pytest.raises(OfflineError):
        make_reference_genome(study, silent)


def test_a_changed_weights_file_makes_its_record_stale(tmp_path, tiny_tree):
    first = tiny_study(tmp_path, tiny_tree)
    weights = tmp_path / "mine.pt"
    shutil.copy(make_glm_checkpoint(first, silent).facts["path"], weights)
    study = tiny_study(tmp_path, tiny_tree, checkpoint=weights)
    with pytest.raises(MissingUpstreamError):
        study.checkpoint()
    make_glm_checkpoint(study, silent)
    assert study.checkpoint().facts["path"] == str(weights)
    weights.write_bytes(weights.read_bytes() + b"x")
    with pytest.raises(MissingUpstreamError, match=r"mine\.pt"):
        study.checkpoint()


def test_the_stored_windows_are_the_reference_with_the_allele_put_in(tmp_path, tiny_tree):
    import pysam

    study = tiny_study(tmp_path, tiny_tree)
    make_windows(study, "21")
    windows = read_part(study.variant_windows("21").folder)
    with pysam.FastaFile(str(next(study.reference_folder.glob("*.bgz")))) as fasta:
        for row in windows.iter_rows(named=True):
            start, end = row["window_start"], row["window_end"]
            assert row["ref_seq"] == fasta.fetch("NC_000021.9", start, end).upper()
            changed = row["ref_seq"][: row["variant_offset"]] + row["alt"]
            assert row["var_seq"].startswith(changed[: len(row["var_seq"])])
    assert windows.select(pl.col("pos").is_sorted()).item()
