"""Group `evaluation`: every head on the sealed test."""

import dagster as dg

from glm_assets.defs.assets.sources import OWNERS
from glm_assets.defs.checks.evaluation import comparison_checks, comparison_results
from glm_assets.defs.metadata import materialized, table_metadata
from glm_assets.defs.steps import begin_step, explained
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.comparison import make_head_comparison, move_champions
from glm_assets.lineage.study import Study
from glm_assets.storage.schemas import HEAD_COMPARISON
from glm_assets.tracking import Tracker


class ComparisonConfig(dg.Config):
    """Launch-time choices of a comparison."""

    move_champions: bool = True
    """Give a head the alias `champion` where the comparison supports it."""


@dg.asset(
    group_name="evaluation",
    deps=[
        *("head_v0", "head_v1", "head_v2", "head_v3", "linear_probe", "covariance_probe"),
        *("variant_likelihoods", "mutation_ladders", "split_audit"),
    ],
    kinds={"polars", "html"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["head_comparison"],
    metadata=table_metadata(HEAD_COMPARISON),
    check_specs=comparison_checks(),
)
@explained
def head_comparison(
    context: dg.AssetExecutionContext,
    config: ComparisonConfig,
    study: dg.ResourceParam[Study],
    tracker: dg.ResourceParam[Tracker],
) -> dg.MaterializeResult:
    """Every head, probe and zero-shot score on the sealed test, against baselines that never see the sequence.

    `report.html` in its folder is one page that opens from disk and says which head to use and how sure that is.
    """
    begin_step(study)
    manifest, folder = make_head_comparison(study, tracker.registry, context.log.info)
    study.refresh_warehouse()
    if config.move_champions:
        move_champions(manifest, tracker.registry, context.log.info)
    return materialized(manifest, folder, checks=comparison_results(manifest))
