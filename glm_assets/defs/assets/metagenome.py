"""Group `metagenome`: classification of reads, by taxon or any other label."""

from pathlib import Path

import dagster as dg

from glm_assets.defs.checks import metagenome as checks
from glm_assets.defs.steps import begin_step
from glm_assets.defs.study_group import StudyGroup, finished
from glm_assets.defs.tags import gpu_work
from glm_assets.storage.schemas_metagenome import CLASS_FIGURES, PREDICTIONS, READS, SPLITS
from glm_assets.studies.metagenome.evaluation import make_evaluation
from glm_assets.studies.metagenome.labelled_reads import make_reads, make_splits
from glm_assets.studies.metagenome.prediction import make_predictions
from glm_assets.studies.metagenome.study import MetagenomeStudy
from glm_assets.studies.metagenome.training import make_classifier
from glm_assets.tracking import Tracker

GROUP = StudyGroup("metagenome")


@GROUP.asset(kinds={"polars"}, table=READS, checks=checks.READ_CHECKS)
def reads(metagenome: dg.ResourceParam[MetagenomeStudy]) -> dg.MaterializeResult:
    """Your labelled reads (`GLM_METAGENOME`), parsed once: FASTA or FASTQ with headers that name class and genome.

    What is dropped or changed (unknown classes, U, lower case, other codes) is counted.
    """
    begin_step(metagenome.main)
    manifest = make_reads(metagenome)
    return finished(metagenome.main, manifest, metagenome.reads().files(), checks.read_results(manifest))


@GROUP.asset("reads", kinds={"polars"}, table=SPLITS, checks=checks.SPLIT_CHECKS)
def splits(metagenome: dg.ResourceParam[MetagenomeStudy]) -> dg.MaterializeResult:
    """Which reads train, choose and test: whole source genomes, without shared sequence."""
    begin_step(metagenome.main)
    manifest = make_splits(metagenome)
    return finished(metagenome.main, manifest, metagenome.splits().files(), checks.split_results(manifest))


@GROUP.asset("splits", kinds={"pytorch", "huggingface", "mlflow"}, checks=checks.CLASSIFIER_CHECKS, gpu=gpu_work())
def classifier(
    context: dg.AssetExecutionContext,
    metagenome: dg.ResourceParam[MetagenomeStudy],
    tracker: dg.ResourceParam[Tracker],
) -> dg.MaterializeResult:
    """A language model of DNA with a classifier on it: fine-tuned by adapters, on 4-bit weights, whole, or frozen.

    Only what was trained is kept. A killed training goes on from its last checkpoint.
    """
    begin_step(metagenome.main)
    manifest = make_classifier(metagenome, tracker, context.log.info, dagster_run_id=context.run.run_id)
    folder = metagenome.main.files(metagenome.classifier_folder)
    return finished(metagenome.main, manifest, folder, checks.classifier_results(manifest))


@GROUP.asset(
    "classifier",
    kinds={"pytorch", "scikitlearn"},
    table=CLASS_FIGURES,
    checks=checks.EVALUATION_CHECKS,
    gpu=gpu_work(),
)
def evaluation(
    context: dg.AssetExecutionContext, metagenome: dg.ResourceParam[MetagenomeStudy]
) -> dg.MaterializeResult:
    """The classifier on test reads of genomes it never saw, beside a linear model on k-mer counts."""
    begin_step(metagenome.main)
    manifest = make_evaluation(metagenome, context.log.info)
    folder = metagenome.evaluation().files()
    return finished(metagenome.main, manifest, folder, checks.evaluation_results(manifest))


class PredictionConfig(dg.Config):
    """Launch-time choices of `predictions`."""

    files: list[str] | None = None
    """FASTA, FASTQ or CSV files, instead of `predict.files` of the configuration."""


@GROUP.asset("classifier", kinds={"pytorch"}, table=PREDICTIONS, checks=checks.PREDICTION_CHECKS, gpu=gpu_work())
def predictions(
    context: dg.AssetExecutionContext, config: PredictionConfig, metagenome: dg.ResourceParam[MetagenomeStudy]
) -> dg.MaterializeResult:
    """Labels of new reads with probabilities, as CSV and Parquet, and what each sample consists of."""
    begin_step(metagenome.main)
    files = tuple(map(Path, config.files)) if config.files else None
    manifest = make_predictions(metagenome, files, context.log.info)
    folder = metagenome.predictions(files).files()
    return finished(metagenome.main, manifest, folder, checks.prediction_results(manifest))
