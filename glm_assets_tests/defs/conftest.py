"""One tiny lineage, materialised through Dagster once for all tests that only look at it, and its cheap beginning."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg
import pytest

from glm_assets.defs.build import build_defs
from glm_assets.lineage.embeddings import make_variant_embeddings
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.study import Study
from glm_assets.lineage.variants import make_clinvar_variants, make_split_audit, make_variant_windows
from glm_assets.tracking import MlflowTracker
from glm_assets_tests.lineage.studies import tiny_study


@dataclass(frozen=True)
class Lineage:
    """A materialised lineage and where to ask about it."""

    study: Study
    defs: dg.Definitions
    instance: dg.DagsterInstance

    def run(self, *assets: str, partition: str | None = None, raise_on_error: bool = True):
        """Materialise assets in this process."""
        return self.defs.get_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[dg.AssetKey(asset) for asset in assets],
            partition_key=partition,
            instance=self.instance,
            raise_on_error=raise_on_error,
        )

    def metadata(self, asset: str) -> dict:
        """Metadata of an asset's newest materialisation."""
        event = self.instance.get_latest_materialization_event(dg.AssetKey(asset))
        return event.asset_materialization.metadata


def open_lineage(folder, tree, instance, **settings) -> Lineage:
    """Definitions over a tiny study in `folder`."""
    study = tiny_study(folder, tree, **settings)
    tracker = MlflowTracker(f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}")
    defs = build_defs(study, tracker, executor=dg.in_process_executor)
    return Lineage(study, defs, instance)


def silent(line: str) -> None:
    """Progress that nobody reads."""


def make_windows(study: Study) -> None:
    """Sources and windows, without Dagster."""
    study.claim()
    for make in (make_clinvar_release, make_reference_genome, make_glm_checkpoint):
        make(study, silent)
    for chrom in study.profile.chromosomes:
        make_clinvar_variants(study, chrom)
        make_variant_windows(study, chrom)


@pytest.fixture(scope="session")
def embedded(tmp_path_factory, tiny_tree) -> Study:
    """Two chromosomes with vectors for heads, in seconds. Tests must not change it."""
    study = tiny_study(tmp_path_factory.mktemp("embedded"), tiny_tree)
    make_windows(study)
    make_split_audit(study)
    for chrom in study.profile.chromosomes:
        make_variant_embeddings(study, chrom, silent)
    return study


@pytest.fixture(scope="session")
def lineage(tmp_path_factory, tiny_tree):
    """The tiny lineage from release to submission. Tests must not change it."""
    with dg.DagsterInstance.ephemeral() as instance:
        lineage = open_lineage(tmp_path_factory.mktemp("lineage"), tiny_tree, instance)
        lineage.run("clinvar_release", "clinvar_release_diff", "reference_genome", "glm_checkpoint")
        for chrom in ("21", "22"):
            lineage.run("clinvar_variants", "variant_windows", "variant_embeddings", partition=chrom)
            lineage.run("variant_likelihoods", "covariance_embeddings", partition=chrom)
        lineage.run("split_audit", "layer_comparison", "mutation_ladders")
        lineage.run("head_v0", "head_v1", "head_v2", "head_v3", "linear_probe", "covariance_probe", "head_search")
        lineage.run("test_sequences", "test_embeddings", "submission", "submission_score", "head_comparison")
        yield lineage
