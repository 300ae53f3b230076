"""Group `embeddings`: the language model's vectors."""

import dagster as dg

from glm_assets.defs.assets.sources import OWNERS
from glm_assets.defs.checks.embeddings import (
    embedding_checks,
    embedding_results,
    pair_checks,
    pair_results,
)
from glm_assets.defs.metadata import materialized, table_metadata
from glm_assets.defs.partitions import chromosomes
from glm_assets.defs.pipes import local_pipes_workers
from glm_assets.defs.steps import begin_step, explained
from glm_assets.defs.tags import gpu_work
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.embeddings import make_covariance_embeddings, make_variant_embeddings
from glm_assets.lineage.likelihoods import make_variant_likelihoods
from glm_assets.lineage.study import Study
from glm_assets.storage.schemas import COVARIANCE_EMBEDDINGS, VARIANT_EMBEDDINGS, VARIANT_LIKELIHOODS


@dg.asset(
    group_name="embeddings",
    partitions_def=chromosomes,
    deps=["variant_windows", "glm_checkpoint"],
    kinds={"pytorch", "evo2"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["variant_embeddings"],
    metadata=table_metadata(VARIANT_EMBEDDINGS),
    check_specs=embedding_checks(),
    **gpu_work(sharded=True),
)
@explained
def variant_embeddings(context: dg.AssetExecutionContext, study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """Per variant of a chromosome the pooled vector of its reference window and the difference to its variant's.

    Vectors are kept by content, so only windows that were never embedded are computed, and a killed run goes on
    from its last finished shard.
    """
    begin_step(study)
    chrom = context.partition_key
    manifest = make_variant_embeddings(study, chrom, context.log.info, local_pipes_workers(context, study))
    study.refresh_warehouse()
    return materialized(manifest, study.variant_embeddings(chrom).files(), checks=embedding_results(manifest))


@dg.asset(
    group_name="embeddings",
    partitions_def=chromosomes,
    deps=["variant_windows", "glm_checkpoint"],
    kinds={"pytorch", "evo2"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["covariance_embeddings"],
    metadata=table_metadata(COVARIANCE_EMBEDDINGS),
    check_specs=pair_checks("covariance_embeddings"),
    **gpu_work(sharded=True),
)
@explained
def covariance_embeddings(
    context: dg.AssetExecutionContext, study: dg.ResourceParam[Study]
) -> dg.MaterializeResult:
    """Per variant of a chromosome the second moments of what its reference window and it do along fixed directions.

    The covariance probe takes them; heads take `variant_embeddings`.
    """
    begin_step(study)
    chrom = context.partition_key
    manifest = make_covariance_embeddings(study, chrom, context.log.info, local_pipes_workers(context, study))
    study.refresh_warehouse()
    return materialized(manifest, study.covariance_embeddings(chrom).files(), checks=pair_results(manifest))


@dg.asset(
    group_name="embeddings",
    partitions_def=chromosomes,
    deps=["variant_windows", "glm_checkpoint"],
    kinds={"pytorch", "evo2"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["variant_likelihoods"],
    metadata=table_metadata(VARIANT_LIKELIHOODS),
    check_specs=pair_checks("variant_likelihoods"),
    **gpu_work(sharded=True),
)
@explained
def variant_likelihoods(context: dg.AssetExecutionContext, study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """Per variant of a chromosome how much less likely the whole model finds its window than the reference window.

    Sums over the windows' bases of natural logarithms, means over both strands: the score that most people use such
    a model for, without any training.
    """
    begin_step(study)
    chrom = context.partition_key
    manifest = make_variant_likelihoods(study, chrom, context.log.info, local_pipes_workers(context, study))
    study.refresh_warehouse()
    return materialized(manifest, study.variant_likelihoods(chrom).files(), checks=pair_results(manifest))
