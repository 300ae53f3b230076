"""The leakage audit through Dagster: a planted leak fails its run before any head trains."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest

from glm_assets.variants.windows import build_variant_windows
from glm_assets_tests.defs.conftest import open_lineage

LEAKS = {
    "bases": {"no_shared_bases"},
    "genes": {"no_shared_genes"},
    "windows": {"no_duplicate_windows"},
}


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def opened(tmp_path, tiny_tree, instance, rule: str, *, merge: bool = False):
    profile = {"split": {"rule": rule, "merge_test_into_train": merge}}
    return open_lineage(tmp_path, tiny_tree, instance, profile=profile)


def make_windows(lineage) -> None:
    lineage.run("clinvar_release", "reference_genome")
    for chrom in ("21", "22"):
        lineage.run("clinvar_variants", "variant_windows", partition=chrom)


def evaluations(result) -> dict[str, dg.AssetCheckEvaluation]:
    return {found.check_name: found for found in result.get_asset_check_evaluations()}


def failed_steps(result) -> set[str]:
    return {event.step_key for event in result.all_events if event.is_step_failure}


def started_steps(result) -> set[str]:
    return {event.step_key for event in result.all_events if event.is_step_start}


def plant(monkeypatch, kind: str) -> None:
    """Have the windows tables written with one test row that shares something with train."""

    def leaking(*arguments, **keys):
        table, counts = build_variant_windows(*arguments, **keys)
        train = table.filter(pl.col("genes").is_not_null(), split="train").row(0, named=True)
        row = pl.int_range(pl.len())
        target = table.with_row_index().filter(split="test")["index"][0]
        changes = {
            "bases": {"window_start": train["window_start"] + 100, "window_end": train["window_end"] + 100},
            "genes": {"genes": f"{train['genes']},OTHER"},
            "windows": {"ref_digest": train["ref_digest"], "var_digest": train["var_digest"]},
        }[kind]
        planted = [
            pl.when(row == target).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
            for name, value in changes.items()
        ]
        return table.with_columns(planted), counts

    monkeypatch.setattr("glm_assets.lineage.variants.build_variant_windows", leaking)


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_fails_the_run_and_no_head_trains(tmp_path, tiny_tree, instance, monkeypatch, leak):
    plant(monkeypatch, leak)
    lineage = opened(tmp_path, tiny_tree, instance, "gene")
    make_windows(lineage)
    result = lineage.run("split_audit", "head_v0", raise_on_error=False)
    assert not result.success
    failed = {name for name, found in evaluations(result).items() if not found.passed and found.blocking}
    assert failed == LEAKS[leak]
    assert "split_audit" in {
        event.asset_key.to_user_string() for event in result.get_asset_materialization_events()
    }
    assert instance.get_latest_materialization_event(dg.AssetKey("head_v0")) is None
    assert not any(event.step_key == "head_v0" and event.is_step_start for event in result.all_events)


def test_the_same_locus_in_train_and_test_fails_the_run(tmp_path, tiny_tree, instance, monkeypatch):
    def leaking(*arguments, **keys):
        table, counts = build_variant_windows(*arguments, **keys)
        loci = table["locus"].value_counts().filter(pl.col("count") > 1)["locus"]
        first = (pl.col("locus") == loci.min()) & pl.col("locus").is_first_distinct()
        rest = pl.col("locus") == loci.min()
        split = pl.when(first).then(pl.lit("test")).when(rest).then(pl.lit("train")).otherwise(pl.col("split"))
        return table.with_columns(split.alias("split")), counts

    monkeypatch.setattr("glm_assets.lineage.variants.build_variant_windows", leaking)
    lineage = opened(tmp_path, tiny_tree, instance, "locus")
    make_windows(lineage)
    result = lineage.run("split_audit", "head_v0", raise_on_error=False)
    assert not result.success
    assert failed_steps(result) == {"split_audit"}
    assert "head_v0" not in started_steps(result)
    found = evaluations(result)["no_shared_bases"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert found.metadata["overlapping_rows"].value >= 2


def test_an_honest_split_passes_and_tells_its_figures(tmp_path, tiny_tree, instance):
    lineage = opened(tmp_path, tiny_tree, instance, "gene")
    make_windows(lineage)
    result = lineage.run("split_audit")
    found = evaluations(result)
    blocking = {name for name, one in found.items() if one.blocking}
    assert blocking == {"no_shared_bases", "no_shared_genes", "no_duplicate_windows"}
    assert all(found[name].passed for name in blocking)
    for figure in ("overlap", "leakage", "seen_sequences"):
        assert lineage.metadata("split_audit")[figure].value.startswith(f"![{figure}](data:image/png;base64,")
    told = found["test_sequences_unseen"]
    seen = told.metadata["test_sequences_seen"].value
    assert (told.passed, told.severity) == (seen == 0, dg.AssetCheckSeverity.WARN)


@pytest.mark.parametrize("merge", [True, False])
def test_the_faithful_split_leaks_and_only_warns(tmp_path, tiny_tree, instance, merge):
    lineage = opened(tmp_path, tiny_tree, instance, "faithful", merge=merge)
    make_windows(lineage)
    result = lineage.run("split_audit")
    assert result.success
    found = evaluations(result)
    leak = found["no_shared_bases"]
    assert (leak.passed, leak.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert leak.metadata["overlapping_rows"].value > 0
    assert found["every_split_has_rows"].passed


def test_an_empty_split_warns_and_says_what_to_do(tmp_path, tiny_tree, instance):
    profile = {
        "split": {
            "rule": "chromosome",
            "merge_test_into_train": False,
            "test_chromosomes": ["22"],
            "val_chromosomes": ["1"],
        }
    }
    lineage = open_lineage(tmp_path, tiny_tree, instance, profile=profile)
    make_windows(lineage)
    found = evaluations(lineage.run("split_audit"))["every_split_has_rows"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.metadata["val"].value == 0
    assert "split.val_chromosomes" in found.metadata["advice"].value
