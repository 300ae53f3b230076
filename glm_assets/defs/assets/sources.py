"""Group `sources`: what comes from outside."""

import dagster as dg

from glm_assets.defs.checks.sources import chromosome_check, chromosome_result
from glm_assets.defs.metadata import materialized
from glm_assets.defs.steps import begin_step
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.study import Study

OWNERS = ["team:genomics"]


@dg.asset(
    group_name="sources",
    kinds={"clinvar", "parquet"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["clinvar_release"],
    check_specs=[chromosome_check("clinvar_release")],
)
def clinvar_release(context: dg.AssetExecutionContext, study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """The newest weekly ClinVar release at or before the cutoff, md5-verified, each record parsed once.

    The data version is the md5 of the VCF. Records on contigs other than the 25 chromosomes are counted and left out.
    """
    begin_step(study)
    manifest = make_clinvar_release(study, context.log.info)
    return materialized(manifest, study.release_folder, checks=[chromosome_result(study, manifest)])


@dg.asset(
    group_name="sources",
    kinds={"fasta"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["reference_genome"],
    check_specs=[chromosome_check("reference_genome")],
)
def reference_genome(context: dg.AssetExecutionContext, study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """GRCh38.p14, verified against NCBI's checksum list, as BGZF with an index.

    The data version is a checksum over contig names and upper-case sequences, whatever the compression.
    """
    begin_step(study)
    manifest = make_reference_genome(study, context.log.info)
    return materialized(manifest, study.reference_folder, checks=[chromosome_result(study, manifest)])


@dg.asset(group_name="sources", kinds={"pytorch"}, owners=OWNERS, code_version=CODE_VERSIONS["glm_checkpoint"])
def glm_checkpoint(context: dg.AssetExecutionContext, study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """The encoder's weights: a pinned download, a local file, or the demo's tiny model of Evo2's architecture.

    The data version is the SHA-256 of the weights.
    """
    begin_step(study)
    manifest = make_glm_checkpoint(study, context.log.info)
    return materialized(manifest, study.checkpoint_folder)
