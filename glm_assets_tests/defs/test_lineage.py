"""The whole lineage through Dagster: what is made, what is shown, and that nothing is made twice."""

from __future__ import annotations

import csv
import json

import dagster as dg
import duckdb
import numpy as np
import pytest
from dagster._serdes import serialize_value

from glm_assets.encoders.engines.job import EmbedJob
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets_tests.defs.conftest import open_lineage
from glm_assets_tests.readme import blocks

ASSETS = (
    "clinvar_release clinvar_release_diff reference_genome glm_checkpoint clinvar_variants variant_windows "
    "split_audit variant_embeddings "
    "covariance_embeddings variant_likelihoods mutation_ladders layer_comparison head_v0 head_v1 head_v2 head_v3 "
    "linear_probe covariance_probe head_search head_comparison test_sequences test_embeddings submission "
    "submission_score"
).split()


def test_the_submission_has_a_unit_row_for_each_sequence_in_order(lineage):
    with (lineage.study.settings.test_csv).open() as stream:
        ids = [row["ID"] for row in csv.DictReader(stream)]
    with lineage.study.submission_csv.open() as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["ID", *(f"emb_{index:04d}" for index in range(24))]
    assert [row[0] for row in rows[1:]] == ids
    vectors = np.array([row[1:] for row in rows[1:]], dtype=np.float64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert len(np.unique(vectors, axis=0)) > 1


def test_the_warehouse_answers_the_question_of_the_readme(lineage):
    with duckdb.connect(str(lineage.study.warehouse), read_only=True) as warehouse:
        counts = warehouse.sql("select chrom, label, count(*) from variant_windows group by all").fetchall()
        joined = warehouse.sql(
            "select count(*) from variant_windows join variant_embeddings using (chrom, pos, ref, alt)"
        ).fetchall()
    assert {(chrom, label) for chrom, label, _ in counts} == {("21", 0), ("21", 1), ("22", 0), ("22", 1)}
    assert joined == [(sum(count for *_, count in counts),)]


def test_the_warehouse_answers_the_question_of_the_page_on_refresh(lineage, repository):
    (query,) = (
        block.text for block in blocks((repository / "docs/refresh.md").read_text()) if block.language == "sql"
    )
    with duckdb.connect(str(lineage.study.warehouse), read_only=True) as warehouse:
        assert warehouse.sql(query).columns == ["gene", "old_label", "new_label", "alleles"]


@pytest.mark.parametrize("asset", ASSETS)
def test_every_asset_has_a_data_version_and_facts(lineage, asset):
    event = lineage.instance.get_latest_materialization_event(dg.AssetKey(asset))
    tags = event.asset_materialization.tags
    assert len(tags["dagster/data_version"]) in (32, 64)
    assert tags["dagster/code_version"] == CODE_VERSIONS[asset]
    assert event.asset_materialization.metadata["reused"].value is False


def test_figures_are_shown_and_small(lineage):
    for asset, figure in [
        ("clinvar_variants", "variants"),
        ("variant_windows", "windows"),
        ("split_audit", "overlap"),
        ("variant_embeddings", "distances"),
        ("layer_comparison", "layers"),
        ("head_v3", "training"),
        ("submission", "nearest"),
    ]:
        shown = lineage.metadata(asset)[figure].value
        assert shown.startswith(f"![{figure}](data:image/png;base64,")
        assert len(shown) < 200_000


@pytest.mark.parametrize("asset", ASSETS)
def test_what_is_no_figure_takes_little_room_in_the_history(lineage, asset):
    sizes = {name: len(serialize_value(value)) for name, value in lineage.metadata(asset).items()}
    assert sum(sizes.values()) < 400_000
    figures = {name for name, value in lineage.metadata(asset).items() if "data:image/png" in str(value.value)}
    assert max(size for name, size in sizes.items() if name not in figures) < 4_000


def test_a_partition_says_what_it_had_to_do_and_what_was_saved(lineage):
    shown = {name: value.value for name, value in lineage.metadata("variant_embeddings").items()}
    assert shown["rows"] == shown["dagster/row_count"] > 20
    assert shown["cache_hits"] + shown["windows_computed"] - shown["distinct_references"] == shown["rows"]
    assert shown["windows_per_second"] > 0 < shown["tokens_per_second"]
    assert (shown["device"], shown["precision"], shown["pairs"]) == ("cpu", "float32", "shared_prefix")
    saved = [shown[f"flops_saved/{name}"] for name in ("early_exit", "shared_prefix", "shared_references")]
    assert min(saved) > 0
    assert sum(saved) < 1
    assert shown["probe_drift"] <= 1


def test_every_check_passed_or_only_warned(lineage):
    made = {dg.AssetKey(asset) for asset in ASSETS}
    keys = [key for key in lineage.defs.resolve_asset_graph().asset_check_keys if key.asset_key in made]
    assert len(keys) >= 20
    records = lineage.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    assert set(records) == set(keys)
    for key, record in records.items():
        evaluation = record.event.dagster_event.asset_check_evaluation_data
        assert evaluation.passed or evaluation.severity == dg.AssetCheckSeverity.WARN, key


def test_heads_are_linked_with_mlflow_both_ways(lineage):
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{lineage.study.root.parent / 'mlflow' / 'mlflow.db'}")
    for name in ("head_v0", "head_v1", "head_v2", "head_v3"):
        meta = json.loads((lineage.study.head_folder(name) / "meta.json").read_text())
        assert not [name for name in meta if "mlflow" in name]  # or equal heads would have unequal versions
        run = client.get_run(lineage.metadata(name)["mlflow_run_id"].value)
        event = lineage.instance.get_latest_materialization_event(dg.AssetKey(name))
        assert run.data.tags["dagster/run_id"] == event.run_id
        assert run.info.status == "FINISHED"
        inputs = {item.dataset.name: item.dataset.digest for item in run.inputs.dataset_inputs}
        assert any(embeddings in name for name in inputs for embeddings in ["variant_embeddings/21"])
        assert client.get_model_version(name, "1").run_id == run.info.run_id


def test_a_second_run_makes_nothing_and_loads_no_model(lineage, monkeypatch):
    monkeypatch.setattr(EmbedJob, "load", lambda _: pytest.fail("encoder loaded"))
    monkeypatch.setattr("glm_assets.lineage.heads.train_head", lambda *a, **k: pytest.fail("head trained"))
    again = open_lineage(lineage.study.root.parent, lineage.study.profile.ncbi_url, lineage.instance)
    for chrom in ("21", "22"):
        again.run("clinvar_variants", "variant_windows", "variant_embeddings", partition=chrom)
    result = again.run("head_v0", "head_v3", "submission")
    for event in result.get_asset_materialization_events():
        assert event.materialization.metadata["reused"].value is True


def test_a_head_without_an_expected_chromosome_fails_and_lists_it(tmp_path, tiny_tree):
    with dg.DagsterInstance.ephemeral() as instance:
        part = open_lineage(tmp_path, tiny_tree, instance)
        part.run("clinvar_release", "reference_genome", "glm_checkpoint")
        part.run("clinvar_variants", "variant_windows", "variant_embeddings", partition="22")
        failed = part.run("head_v0", raise_on_error=False)
        assert not failed.success
        message = str(failed.failure_data_for_node("head_v0").error.cause)
        assert "for chromosome 21" in message
        assert "allow_partial" in message
        job = part.defs.get_implicit_global_asset_job_def()
        allowed = job.execute_in_process(
            asset_selection=[dg.AssetKey("mutation_ladders"), dg.AssetKey("head_v0")],
            instance=instance,
            run_config={
                "ops": {name: {"config": {"allow_partial": True}} for name in ("mutation_ladders", "head_v0")}
            },
        )
        assert allowed.success
        manifest = part.study.head("head_v0", allow_partial=True).current()
        assert manifest.facts["chromosomes"] == ["22"]


def test_a_missing_teacher_fails_the_asset(tmp_path, lineage):
    study = lineage.study
    failed = open_lineage(tmp_path, study.profile.ncbi_url, lineage.instance)
    result = failed.run("head_v1", raise_on_error=False)
    assert not result.success
