"""Group `variants`: from the release to labelled windows."""

import dagster as dg

from glm_assets.defs.assets.sources import OWNERS
from glm_assets.defs.checks.variants import (
    audit_checks,
    audit_results,
    variant_checks,
    variant_results,
    window_checks,
    window_results,
)
from glm_assets.defs.metadata import materialized, table_metadata
from glm_assets.defs.partitions import chromosomes
from glm_assets.defs.steps import begin_step, explained
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.study import Study
from glm_assets.lineage.variants import make_clinvar_variants, make_split_audit, make_variant_windows
from glm_assets.storage.schemas import CLINVAR_VARIANTS, SPLIT_AUDIT, VARIANT_WINDOWS


@dg.asset(
    group_name="variants",
    partitions_def=chromosomes,
    deps=["clinvar_release"],
    kinds={"polars", "parquet"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["clinvar_variants"],
    metadata=table_metadata(CLINVAR_VARIANTS),
    check_specs=variant_checks(),
)
@explained
def clinvar_variants(context: dg.AssetExecutionContext, study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """One row per alternate allele of a chromosome, with its label or the reason why it was dropped."""
    begin_step(study)
    chrom = context.partition_key
    manifest = make_clinvar_variants(study, chrom)
    study.refresh_warehouse()
    return materialized(manifest, study.clinvar_variants(chrom).files(), checks=variant_results(manifest))


@dg.asset(
    group_name="variants",
    partitions_def=chromosomes,
    deps=[clinvar_variants, "reference_genome"],
    kinds={"polars", "duckdb"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["variant_windows"],
    metadata=table_metadata(VARIANT_WINDOWS),
    check_specs=window_checks(),
)
@explained
def variant_windows(context: dg.AssetExecutionContext, study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """The reference and variant window of every labelled variant of a chromosome, with its split and digests.

    Query it: `select chrom, label, count(*) from variant_windows group by all` in `warehouse.duckdb`.
    """
    begin_step(study)
    chrom = context.partition_key
    manifest = make_variant_windows(study, chrom)
    study.refresh_warehouse()
    return materialized(manifest, study.variant_windows(chrom).files(), checks=window_results(study, manifest))


@dg.asset(
    group_name="variants",
    deps=[variant_windows],
    kinds={"polars"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["split_audit"],
    metadata=table_metadata(SPLIT_AUDIT),
    check_specs=audit_checks(),
)
@explained
def split_audit(study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """What held-out rows share with train over all chromosomes (bases, genes, windows): the leakage of the split.

    Also how much of the contest's test sequences lies in windows of train, wherever it lies in them.
    """
    begin_step(study)
    manifest = make_split_audit(study)
    study.refresh_warehouse()
    return materialized(manifest, study.split_audit().files(), checks=audit_results(study, manifest))
