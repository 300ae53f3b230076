"""Group `sources`: what comes from outside."""

from datetime import timedelta

import dagster as dg

from glm_assets.defs.checks.sources import chromosome_check, chromosome_result, row_check, row_result
from glm_assets.defs.metadata import materialized
from glm_assets.defs.steps import begin_step, explained
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.study import Study

OWNERS = ["team:genomics"]
# ClinVar comes out once a week: a day's delay is worth a look, a week that was left out is a fault.
WEEKLY_RELEASE = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=15), warn_window=timedelta(days=8))


@dg.asset(
    group_name="sources",
    kinds={"clinvar", "parquet"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["clinvar_release"],
    check_specs=[chromosome_check("clinvar_release"), row_check()],
    freshness_policy=WEEKLY_RELEASE,
)
@explained
def clinvar_release(context: dg.AssetExecutionContext, study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """The newest weekly ClinVar release at or before the cutoff, md5-verified, each record parsed once.

    The data version is the md5 of the VCF. Records on contigs other than the 25 chromosomes are counted and left out.
    """
    begin_step(study)
    manifest = make_clinvar_release(study, context.log.info)
    checks = [chromosome_result(study, manifest), row_result(study)]
    return materialized(manifest, study.release_folder, checks=checks)


@dg.asset(
    group_name="sources",
    kinds={"fasta"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["reference_genome"],
    check_specs=[chromosome_check("reference_genome")],
)
@explained
def reference_genome(context: dg.AssetExecutionContext, study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """GRCh38.p14, verified against NCBI's checksum list, as BGZF with an index.

    The data version is a checksum over contig names and upper-case sequences, whatever the compression.
    """
    begin_step(study)
    manifest = make_reference_genome(study, context.log.info)
    return materialized(manifest, study.reference_folder, checks=[chromosome_result(study, manifest)])


@dg.asset(group_name="sources", kinds={"pytorch"}, owners=OWNERS, code_version=CODE_VERSIONS["glm_checkpoint"])
@explained
def glm_checkpoint(context: dg.AssetExecutionContext, study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """The encoder's weights: a pinned download, a local file, or the demo's tiny model of Evo2's architecture.

    The data version is the SHA-256 of the weights.
    """
    begin_step(study)
    manifest = make_glm_checkpoint(study, context.log.info)
    return materialized(manifest, study.checkpoint_folder)
