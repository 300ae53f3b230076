"""The study `impact` through Dagster: what is shown, what its checks say, and what stops it."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import pytest

pytest.importorskip("vortex")

from glm_assets.defs.assets import impact
from glm_assets.defs.build import build_defs
from glm_assets.defs.checks.impact import (
    embedding_results,
    example_results,
    report_results,
    training_set_results,
    variant_results,
)
from glm_assets.defs.partitions import chromosomes
from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.tracking import NullTracker

ASSETS = {asset.key.path[-1]: asset for asset in impact.GROUP.build(chromosomes)}
PARTITIONED = {
    "individual_alignments": set(),
    "individual_variants": {"consequences_known"},
    "read_examples": {"splits_apart", "alleles_shown", "reads_fit_the_reference"},
    "read_embeddings": {"finite", "probe_unchanged"},
}
FIGURES = {
    "individual_alignments": "reads",
    "individual_variants": "impacts",
    "read_examples": "mapping",
    "training_set": "examples",
    "head": "training",
    "report": "scatter_conv",
    "predictions": "score_conv",
}
WHOLE = {
    "training_set": {"splits_apart"},
    "head": set(),
    "report": {"beats_the_mean"},
    "predictions": set(),
}


def run(made, asset, partition=None):
    resources = {"impact": made.study, "tracker": NullTracker()}
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([ASSETS[asset]], resources=resources, partition_key=partition, instance=instance)
    (event,) = done.asset_materializations_for_node(ASSETS[asset].node_def.name)
    return event, {check.check_name: check for check in done.get_asset_check_evaluations()}


@pytest.mark.parametrize("asset", [*PARTITIONED, *WHOLE])
def test_what_is_made_is_shown_and_checked(made, asset):
    event, checks = run(made, asset, "21" if asset in PARTITIONED else None)
    assert event.asset_key.path == ["impact", asset]
    assert event.metadata["reused"].value is True
    assert set(checks) == (PARTITIONED | WHOLE)[asset]
    failed = {name for name, check in checks.items() if not check.passed}
    assert failed <= {"beats_the_mean"}  # the demo's model has learned nothing
    if name := FIGURES.get(asset):
        assert event.metadata[name].value.startswith("![")


def test_checks_fail_where_the_facts_are_bad(made):
    main, study = made.study.main, made.study

    def bad(manifest, **facts):
        return replace(manifest, facts=manifest.facts | facts)

    shared = {"groups": 1, "reads": 0, "sequences": 0}
    variants = bad(
        main.require(study.individual_variants("21")), records_with_unknown_terms=9, unknown_terms={"new_term": 9}
    )
    examples = bad(
        main.require(study.read_examples("21")),
        in_several_splits=shared,
        allele_agreement=0.5,
        known_allele_share=0.5,
    )
    vectors = bad(main.require(study.read_embeddings("21")), finite=False, probe_drift=1.5)
    results = [
        *variant_results(variants),
        *example_results(examples),
        *embedding_results(vectors),
        *training_set_results(bad(made.training_set, in_several_splits=shared)),
        *report_results(bad(made.report, rmse_saved=-0.1)),
    ]
    assert not any(result.passed for result in results)
    assert len(results) == 8
    (variant_check,) = variant_results(variants)
    assert variant_check.metadata["unknown_terms"].value == "new_term"


def test_leaks_stop_what_follows():
    blocking = {
        (spec.asset_key.path[-1], spec.name)
        for asset in [*PARTITIONED, *WHOLE]
        for spec in ASSETS[asset].check_specs
        if spec.blocking
    }
    assert blocking == {("read_examples", "splits_apart"), ("training_set", "splits_apart")}


def test_a_wrong_configuration_spoils_only_the_studys_own_runs(tmp_path, tiny_tree):
    study = Study(Settings(data_root=str(tmp_path), ncbi_url=str(tiny_tree), impact="nowhere.yaml"))
    defs = build_defs(study, NullTracker(), executor=dg.in_process_executor)
    job = defs.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(
            asset_selection=[dg.AssetKey(["impact", "training_set"])], instance=instance, raise_on_error=False
        )
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    assert "nowhere.yaml" in str(failure.step_failure_data.error_display_string)


def test_jobs_never_mix_partitioned_and_other_assets():
    from glm_assets.defs.jobs import impact_embed, impact_predict, impact_train

    assert {f"impact/{name}" for name in PARTITIONED} == _selected(impact_embed)
    assert {f"impact/{name}" for name in WHOLE} == _selected(impact_train) | _selected(impact_predict)


def _selected(job) -> set[str]:
    return {key.to_user_string() for key in job.selection.resolve([*ASSETS.values()])}
