"""Group `impact`: the impact of a variant, learned from one person's reads."""

import dagster as dg

from glm_assets.defs.checks import impact as checks
from glm_assets.defs.pipes import local_pipes_workers
from glm_assets.defs.steps import begin_step
from glm_assets.defs.study_group import StudyGroup, finished
from glm_assets.defs.tags import gpu_work
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

GROUP = StudyGroup("impact")


@GROUP.asset(main=("reference_genome",), kinds={"pysam", "parquet"}, table=ALIGNMENT_SUMMARY)
def individual_alignments(
    context: dg.AssetExecutionContext, impact: dg.ResourceParam[ImpactStudy]
) -> dg.MaterializeResult:
    """The person's BAM or CRAM on a chromosome: its contig, and counts of its reads by flag, quality and length.

    A CRAM is read with the reference genome; a BAM needs none.
    """
    begin_step(impact.main)
    chrom = context.partition_key
    manifest = make_individual_alignments(impact, chrom)
    return finished(impact.main, manifest, impact.individual_alignments(chrom).files())


@GROUP.asset(
    "individual_alignments",
    main=("clinvar_release",),
    kinds={"polars", "parquet"},
    table=INDIVIDUAL_VARIANTS,
    checks=checks.VARIANT_CHECKS,
)
def individual_variants(
    context: dg.AssetExecutionContext, impact: dg.ResourceParam[ImpactStudy]
) -> dg.MaterializeResult:
    """ClinVar's alleles of a chromosome with their impact, and whether the person carries them.

    By the person's VCF; without one, by what the reads show.
    """
    begin_step(impact.main)
    chrom = context.partition_key
    manifest = make_individual_variants(impact, chrom, context.log.info)
    return finished(
        impact.main, manifest, impact.individual_variants(chrom).files(), checks.variant_results(manifest)
    )


@GROUP.asset(
    "individual_variants",
    "individual_alignments",
    kinds={"pysam", "parquet"},
    table=READ_EXAMPLES,
    checks=checks.EXAMPLE_CHECKS,
)
def read_examples(
    context: dg.AssetExecutionContext, impact: dg.ResourceParam[ImpactStudy]
) -> dg.MaterializeResult:
    """Reads of a chromosome that show a variant's allele, on the forward strand, with what is learned and the split."""
    begin_step(impact.main)
    chrom = context.partition_key
    manifest = make_read_examples(impact, chrom, context.log.info)
    return finished(impact.main, manifest, impact.read_examples(chrom).files(), checks.example_results(manifest))


@GROUP.asset(
    "read_examples",
    kinds={"pytorch"},
    table=READ_EMBEDDINGS,
    checks=checks.EMBEDDING_CHECKS,
    gpu=gpu_work(sharded=True),
)
def read_embeddings(
    context: dg.AssetExecutionContext, impact: dg.ResourceParam[ImpactStudy]
) -> dg.MaterializeResult:
    """The language model's activations over the reads of a chromosome, base by base; equal reads share a vector."""
    begin_step(impact.main)
    chrom = context.partition_key
    workers = local_pipes_workers(context, impact.main)
    manifest = make_read_embeddings(impact, chrom, context.log.info, workers)
    return finished(
        impact.main, manifest, impact.read_embeddings(chrom).files(), checks.embedding_results(manifest)
    )


@GROUP.asset(
    "read_examples",
    "read_embeddings",
    kinds={"polars", "parquet"},
    table=TRAINING_SET,
    checks=checks.TRAINING_SET_CHECKS,
    partitioned=False,
)
def training_set(impact: dg.ResourceParam[ImpactStudy]) -> dg.MaterializeResult:
    """The examples of all expected chromosomes; those that train are balanced after their split."""
    begin_step(impact.main)
    manifest = make_training_set(impact)
    return finished(impact.main, manifest, impact.training_set().files(), checks.training_set_results(manifest))


@GROUP.asset("training_set", kinds={"pytorch", "mlflow"}, gpu=gpu_work(), partitioned=False)
def head(
    context: dg.AssetExecutionContext,
    impact: dg.ResourceParam[ImpactStudy],
    tracker: dg.ResourceParam[Tracker],
) -> dg.MaterializeResult:
    """A convolutional head over the activations of a read, and a linear baseline on their mean, tracked in MLflow."""
    begin_step(impact.main)
    manifest = make_head(impact, tracker, context.log.info, dagster_run_id=context.run.run_id)
    return finished(impact.main, manifest, impact.head().files())


@GROUP.asset(
    "head",
    "training_set",
    kinds={"pytorch", "parquet"},
    table=REPORT,
    checks=checks.REPORT_CHECKS,
    partitioned=False,
)
def report(context: dg.AssetExecutionContext, impact: dg.ResourceParam[ImpactStudy]) -> dg.MaterializeResult:
    """Errors and correlations of both heads and of the mean on examples that they have not seen, with intervals."""
    begin_step(impact.main)
    manifest = make_report(impact, context.log.info)
    return finished(impact.main, manifest, impact.report().files(), checks.report_results(manifest))


class PredictionConfig(dg.Config):
    """Launch-time choices of predictions."""

    reads: str | None = None
    """FASTA, FASTQ, BAM or CRAM instead of the configuration's."""

    variants: str | None = None
    """VCF instead of the configuration's."""


@GROUP.asset(
    "head",
    main=("reference_genome",),
    kinds={"pytorch", "parquet"},
    table=PREDICTIONS,
    gpu=gpu_work(sharded=True),
    partitioned=False,
)
def predictions(
    context: dg.AssetExecutionContext, config: PredictionConfig, impact: dg.ResourceParam[ImpactStudy]
) -> dg.MaterializeResult:
    """The impact, 0 to 10, of new reads and of new variants: the reference around each with its allele put in."""
    begin_step(impact.main)
    workers = local_pipes_workers(context, impact.main)
    manifest = make_predictions(impact, context.log.info, workers, reads=config.reads, variants=config.variants)
    return finished(impact.main, manifest, impact.main.files(impact.predictions_folder))
