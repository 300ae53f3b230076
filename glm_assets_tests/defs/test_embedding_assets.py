"""Likelihoods, covariances and ladders through Dagster: what it shows and what its checks say."""

from __future__ import annotations

import dagster as dg
import pytest

pytest.importorskip("vortex")

from glm_assets.defs.assets.embeddings import covariance_embeddings, variant_likelihoods
from glm_assets.defs.assets.ladders import mutation_ladders
from glm_assets.defs.checks.embeddings import ladder_results, pair_results
from glm_assets.lineage.embeddings import make_covariance_embeddings
from glm_assets.lineage.study import Study
from glm_assets_tests.lineage.test_likelihoods import windowed


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_tree) -> Study:
    return windowed(tmp_path_factory.mktemp("study"), tiny_tree)


def run(study, asset, partition=None):
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([asset], resources={"study": study}, partition_key=partition, instance=instance)
    (event,) = done.asset_materializations_for_node(asset.node_def.name)
    checks = {check.check_name: check for check in done.get_asset_check_evaluations()}
    return event.metadata, checks


@pytest.mark.parametrize("asset", [variant_likelihoods, covariance_embeddings])
def test_what_a_chromosome_has_is_shown_and_checked(study, asset):
    metadata, checks = run(study, asset, "21")
    assert {"finite", "sees_variants", "probe_unchanged"} == set(checks)
    assert all(check.passed for check in checks.values())
    assert metadata["rows"].value > 20
    assert ("ratios" if asset is variant_likelihoods else "distances") in metadata


def test_ladders_are_made_for_all_chromosomes_at_once(study):
    metadata, checks = run(study, mutation_ladders)
    assert set(checks) == {"finite", "sees_variants", "probe_unchanged", "distances_grow"}
    assert all(check.passed for check in checks.values())
    assert metadata["ladders"].value == 12


def test_checks_fail_where_the_facts_are_bad(study):
    from dataclasses import replace

    manifest = make_covariance_embeddings(study, "22", lambda line: None)
    bad = {"finite": False, "zero_delta_share": 0.02, "probe_drift": 1.5, "mean_pearson": -0.1}
    manifest = replace(manifest, facts=manifest.facts | bad)
    assert not any(result.passed for result in [*pair_results(manifest), *ladder_results(manifest)])
