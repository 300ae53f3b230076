"""Group `evaluation`: the scores of what a user brings."""

import dagster as dg

from glm_assets.defs.assets.sources import OWNERS
from glm_assets.defs.checks.evaluation import scoring_checks, scoring_results
from glm_assets.defs.metadata import materialized, table_metadata
from glm_assets.defs.pipes import local_pipes_workers
from glm_assets.defs.steps import begin_step, explained
from glm_assets.defs.tags import gpu_work
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.scored_variants import make_scored_variants
from glm_assets.lineage.scoring_plan import Choices
from glm_assets.lineage.study import Study
from glm_assets.storage.schemas import SCORED_VARIANTS
from glm_assets.storage.tables import table_folder
from glm_assets.tracking import Tracker


class ScoringConfig(dg.Config):
    """Launch-time choices of scoring."""

    head: str = "head_v3"
    """This data root's (`head_v3`), a registered one (`head_v3@champion`, `head_v3/4`), a file's path, or `none`."""

    probe: str = "linear_probe"
    """`linear_probe`, `covariance_probe` or `none`."""

    likelihood: bool = True
    """Compute log-likelihood ratios, which take a pass through the whole model."""


@dg.asset(
    group_name="evaluation",
    deps=["reference_genome", "glm_checkpoint", "head_v3", "linear_probe", "covariance_probe"],
    kinds={"pytorch", "evo2"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["scored_variants"],
    metadata=table_metadata(SCORED_VARIANTS),
    check_specs=scoring_checks(),
    **gpu_work(sharded=True),
)
@explained
def scored_variants(
    context: dg.AssetExecutionContext,
    config: ScoringConfig,
    study: dg.ResourceParam[Study],
    tracker: dg.ResourceParam[Tracker],
) -> dg.MaterializeResult:
    """The variants of your VCF (`GLM_USER_VCF`), or every SNV of a region (`GLM_REGION`), with scores.

    Distances, the probe's probability and log-likelihood ratios; for a VCF also as INFO fields in `scored.vcf.gz`.
    `GLM_EXPERIMENT` names a table of measured scores to compare with.
    """
    begin_step(study)
    choices = Choices(config.head, config.probe, config.likelihood)
    workers = local_pipes_workers(context, study)
    manifest = make_scored_variants(study, choices, tracker.registry, context.log.info, workers)
    study.refresh_warehouse()
    folder = study.files(table_folder(study.tables, manifest.asset))
    return materialized(manifest, folder, checks=scoring_results(manifest))
