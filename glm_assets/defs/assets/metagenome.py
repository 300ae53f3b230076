"""Group `metagenome`: classification of reads, by taxon or any other label."""

from pathlib import Path

import dagster as dg

from glm_assets.defs.assets.sources import OWNERS
from glm_assets.defs.checks import metagenome as checks
from glm_assets.defs.metadata import materialized, table_metadata
from glm_assets.defs.steps import begin_step, explained
from glm_assets.defs.tags import gpu_work
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.storage.schemas_metagenome import CLASS_FIGURES, PREDICTIONS, READS, SPLITS
from glm_assets.studies.metagenome.evaluation import make_evaluation
from glm_assets.studies.metagenome.labelled_reads import make_reads, make_splits
from glm_assets.studies.metagenome.prediction import make_predictions
from glm_assets.studies.metagenome.study import MetagenomeStudy
from glm_assets.studies.metagenome.training import make_classifier
from glm_assets.tracking import Tracker

PREFIX = "metagenome"


def _key(name: str) -> dg.AssetKey:
    return dg.AssetKey([PREFIX, name])


@dg.asset(
    key_prefix=PREFIX,
    group_name=PREFIX,
    kinds={"polars"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["metagenome/reads"],
    metadata=table_metadata(READS),
    check_specs=checks.read_checks(),
)
@explained
def reads(metagenome: dg.ResourceParam[MetagenomeStudy]) -> dg.MaterializeResult:
    """Your labelled reads (`GLM_METAGENOME`), parsed once: FASTA or FASTQ with headers that name class and genome.

    What is dropped or changed (unknown classes, U, lower case, other codes) is counted.
    """
    begin_step(metagenome.main)
    manifest = make_reads(metagenome)
    metagenome.main.refresh_warehouse()
    return materialized(manifest, metagenome.reads().files(), checks=checks.read_results(manifest))


@dg.asset(
    key_prefix=PREFIX,
    group_name=PREFIX,
    deps=[_key("reads")],
    kinds={"polars"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["metagenome/splits"],
    metadata=table_metadata(SPLITS),
    check_specs=checks.split_checks(),
)
@explained
def splits(metagenome: dg.ResourceParam[MetagenomeStudy]) -> dg.MaterializeResult:
    """Which reads train, choose and test: whole source genomes, without shared sequence."""
    begin_step(metagenome.main)
    manifest = make_splits(metagenome)
    metagenome.main.refresh_warehouse()
    return materialized(manifest, metagenome.splits().files(), checks=checks.split_results(manifest))


@dg.asset(
    key_prefix=PREFIX,
    group_name=PREFIX,
    deps=[_key("splits")],
    kinds={"pytorch", "huggingface", "mlflow"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["metagenome/classifier"],
    check_specs=checks.classifier_checks(),
    **gpu_work(),
)
@explained
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
    links = {"mlflow": manifest.facts["mlflow_url"]} if manifest.facts.get("mlflow_url") else {}
    folder = metagenome.main.files(metagenome.classifier_folder)
    return materialized(manifest, folder, checks=checks.classifier_results(manifest), links=links)


@dg.asset(
    key_prefix=PREFIX,
    group_name=PREFIX,
    deps=[_key("classifier")],
    kinds={"pytorch", "scikitlearn"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["metagenome/evaluation"],
    metadata=table_metadata(CLASS_FIGURES),
    check_specs=checks.evaluation_checks(),
    **gpu_work(),
)
@explained
def evaluation(
    context: dg.AssetExecutionContext, metagenome: dg.ResourceParam[MetagenomeStudy]
) -> dg.MaterializeResult:
    """The classifier on test reads of genomes it never saw, beside a linear model on k-mer counts."""
    begin_step(metagenome.main)
    manifest = make_evaluation(metagenome, context.log.info)
    metagenome.main.refresh_warehouse()
    folder = metagenome.evaluation().files()
    return materialized(manifest, folder, checks=checks.evaluation_results(manifest))


class PredictionConfig(dg.Config):
    """Launch-time choices of `predictions`."""

    files: list[str] | None = None
    """FASTA, FASTQ or CSV files, instead of `predict.files` of the configuration."""


@dg.asset(
    key_prefix=PREFIX,
    group_name=PREFIX,
    deps=[_key("classifier")],
    kinds={"pytorch"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["metagenome/predictions"],
    metadata=table_metadata(PREDICTIONS),
    check_specs=[checks.prediction_check()],
    **gpu_work(),
)
@explained
def predictions(
    context: dg.AssetExecutionContext, config: PredictionConfig, metagenome: dg.ResourceParam[MetagenomeStudy]
) -> dg.MaterializeResult:
    """Labels of new reads with probabilities, as CSV and Parquet, and what each sample consists of."""
    begin_step(metagenome.main)
    files = tuple(map(Path, config.files)) if config.files else None
    manifest = make_predictions(metagenome, files, context.log.info)
    metagenome.main.refresh_warehouse()
    folder = metagenome.predictions(files).files()
    return materialized(manifest, folder, checks=[checks.prediction_result(manifest)])
