"""Group `impact`: the impact of a variant, learned from one person's reads."""

import dagster as dg

from glm_assets.defs.assets.sources import OWNERS
from glm_assets.defs.checks.impact import (
    embedding_checks,
    embedding_results,
    example_checks,
    example_results,
    report_checks,
    report_results,
    training_set_checks,
    training_set_results,
    variant_checks,
    variant_results,
)
from glm_assets.defs.metadata import materialized, table_metadata
from glm_assets.defs.partitions import chromosomes
from glm_assets.defs.pipes import local_pipes_workers
from glm_assets.defs.steps import begin_step, explained
from glm_assets.defs.tags import gpu_work
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.storage.schemas_impact import (
    ALIGNMENT_SUMMARY,
    INDIVIDUAL_VARIANTS,
    PREDICTIONS,
    READ_EMBEDDINGS,
    READ_EXAMPLES,
    REPORT,
    TRAINING_SET,
)
from glm_assets.studies.impact.embeddings import make_read_embeddings
from glm_assets.studies.impact.examples import make_read_examples
from glm_assets.studies.impact.head import make_head
from glm_assets.studies.impact.individual import make_individual_alignments, make_individual_variants
from glm_assets.studies.impact.predictions import make_predictions
from glm_assets.studies.impact.report import make_report
from glm_assets.studies.impact.study import ImpactStudy
from glm_assets.studies.impact.training_set import make_training_set
from glm_assets.tracking import Tracker

GROUP = "impact"


def _key(name: str) -> dg.AssetKey:
    return dg.AssetKey([GROUP, name])


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    partitions_def=chromosomes,
    deps=["reference_genome"],
    kinds={"pysam", "parquet"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["impact/individual_alignments"],
    metadata=table_metadata(ALIGNMENT_SUMMARY),
)
@explained
def individual_alignments(
    context: dg.AssetExecutionContext, impact: dg.ResourceParam[ImpactStudy]
) -> dg.MaterializeResult:
    """The person's BAM or CRAM on a chromosome: its contig, and counts of its reads by flag, quality and length.

    A CRAM is read with the reference genome; a BAM needs none.
    """
    begin_step(impact.main)
    chrom = context.partition_key
    manifest = make_individual_alignments(impact, chrom)
    impact.main.refresh_warehouse()
    return materialized(manifest, impact.individual_alignments(chrom).files())


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    partitions_def=chromosomes,
    deps=["clinvar_release", _key("individual_alignments")],
    kinds={"polars", "parquet"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["impact/individual_variants"],
    metadata=table_metadata(INDIVIDUAL_VARIANTS),
    check_specs=variant_checks(),
)
@explained
def individual_variants(
    context: dg.AssetExecutionContext, impact: dg.ResourceParam[ImpactStudy]
) -> dg.MaterializeResult:
    """ClinVar's alleles of a chromosome with their impact, and whether the person carries them.

    By the person's VCF; without one, by what the reads show.
    """
    begin_step(impact.main)
    chrom = context.partition_key
    manifest = make_individual_variants(impact, chrom, context.log.info)
    impact.main.refresh_warehouse()
    return materialized(manifest, impact.individual_variants(chrom).files(), checks=variant_results(manifest))


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    partitions_def=chromosomes,
    deps=[_key("individual_variants"), _key("individual_alignments")],
    kinds={"pysam", "parquet"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["impact/read_examples"],
    metadata=table_metadata(READ_EXAMPLES),
    check_specs=example_checks(),
)
@explained
def read_examples(
    context: dg.AssetExecutionContext, impact: dg.ResourceParam[ImpactStudy]
) -> dg.MaterializeResult:
    """Reads of a chromosome that show a variant's allele, on the forward strand, with what is learned and the split."""
    begin_step(impact.main)
    chrom = context.partition_key
    manifest = make_read_examples(impact, chrom, context.log.info)
    impact.main.refresh_warehouse()
    return materialized(manifest, impact.read_examples(chrom).files(), checks=example_results(manifest))


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    partitions_def=chromosomes,
    deps=[_key("read_examples")],
    kinds={"pytorch"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["impact/read_embeddings"],
    metadata=table_metadata(READ_EMBEDDINGS),
    check_specs=embedding_checks(),
    **gpu_work(sharded=True),
)
@explained
def read_embeddings(
    context: dg.AssetExecutionContext, impact: dg.ResourceParam[ImpactStudy]
) -> dg.MaterializeResult:
    """The language model's activations over the reads of a chromosome, base by base; equal reads share a vector."""
    begin_step(impact.main)
    chrom = context.partition_key
    workers = local_pipes_workers(context, impact.main)
    manifest = make_read_embeddings(impact, chrom, context.log.info, workers)
    impact.main.refresh_warehouse()
    return materialized(manifest, impact.read_embeddings(chrom).files(), checks=embedding_results(manifest))


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    deps=[_key("read_examples"), _key("read_embeddings")],
    kinds={"polars", "parquet"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["impact/training_set"],
    metadata=table_metadata(TRAINING_SET),
    check_specs=training_set_checks(),
)
@explained
def training_set(impact: dg.ResourceParam[ImpactStudy]) -> dg.MaterializeResult:
    """The examples of all expected chromosomes; those that train are balanced after their split."""
    begin_step(impact.main)
    manifest = make_training_set(impact)
    impact.main.refresh_warehouse()
    return materialized(manifest, impact.training_set().files(), checks=training_set_results(manifest))


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    deps=[_key("training_set")],
    kinds={"pytorch", "mlflow"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["impact/head"],
    **gpu_work(),
)
@explained
def head(
    context: dg.AssetExecutionContext,
    impact: dg.ResourceParam[ImpactStudy],
    tracker: dg.ResourceParam[Tracker],
) -> dg.MaterializeResult:
    """A convolutional head over the activations of a read, and a linear baseline on their mean, tracked in MLflow."""
    begin_step(impact.main)
    manifest = make_head(impact, tracker, context.log.info, dagster_run_id=context.run.run_id)
    links = {"mlflow": manifest.facts["mlflow_url"]} if manifest.facts.get("mlflow_url") else {}
    return materialized(manifest, impact.head().files(), links=links)


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    deps=[_key("head"), _key("training_set")],
    kinds={"pytorch", "parquet"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["impact/report"],
    metadata=table_metadata(REPORT),
    check_specs=report_checks(),
)
@explained
def report(context: dg.AssetExecutionContext, impact: dg.ResourceParam[ImpactStudy]) -> dg.MaterializeResult:
    """Errors and correlations of both heads and of the mean on examples that they have not seen, with intervals."""
    begin_step(impact.main)
    manifest = make_report(impact, context.log.info)
    impact.main.refresh_warehouse()
    return materialized(manifest, impact.report().files(), checks=report_results(manifest))


class PredictionConfig(dg.Config):
    """Launch-time choices of predictions."""

    reads: str | None = None
    """FASTA, FASTQ, BAM or CRAM instead of the configuration's."""

    variants: str | None = None
    """VCF instead of the configuration's."""


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    deps=[_key("head"), "reference_genome"],
    kinds={"pytorch", "parquet"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["impact/predictions"],
    metadata=table_metadata(PREDICTIONS),
    **gpu_work(sharded=True),
)
@explained
def predictions(
    context: dg.AssetExecutionContext, config: PredictionConfig, impact: dg.ResourceParam[ImpactStudy]
) -> dg.MaterializeResult:
    """The impact, 0 to 10, of new reads and of new variants: the reference around each with its allele put in."""
    begin_step(impact.main)
    workers = local_pipes_workers(context, impact.main)
    manifest = make_predictions(impact, context.log.info, workers, reads=config.reads, variants=config.variants)
    impact.main.refresh_warehouse()
    return materialized(manifest, impact.main.files(impact.predictions_folder))
