"""Group `sugarcane`: a language model adapted to the genomes of a crop's varieties, and what that changes."""

import dagster as dg

from glm_assets.defs.checks import sugarcane as checks
from glm_assets.defs.steps import begin_step
from glm_assets.defs.study_group import StudyGroup, finished
from glm_assets.defs.tags import gpu_work
from glm_assets.storage.schemas_sugarcane import (
    ANNOTATION,
    GENERATIONS,
    GENOME,
    GENOME_PROFILE,
    MODEL_COMPARISON,
    SEARCH,
    TOKEN_PROFILES,
    UNIT_SCORES,
    UNITS,
)
from glm_assets.studies.sugarcane.annotation import make_annotation
from glm_assets.studies.sugarcane.generations import make_generations
from glm_assets.studies.sugarcane.genome import make_genome
from glm_assets.studies.sugarcane.genome_profile import make_genome_profile
from glm_assets.studies.sugarcane.model_comparison import make_model_comparison
from glm_assets.studies.sugarcane.report import make_report
from glm_assets.studies.sugarcane.search import make_search
from glm_assets.studies.sugarcane.study import PREFIX, SugarcaneStudy
from glm_assets.studies.sugarcane.token_profiles import make_token_profiles
from glm_assets.studies.sugarcane.token_shards import make_token_shards
from glm_assets.studies.sugarcane.training import make_lora_adapter
from glm_assets.studies.sugarcane.unit_scores import make_unit_scores
from glm_assets.studies.sugarcane.units import make_units
from glm_assets.tracking import Tracker

GROUP = StudyGroup(PREFIX)


@GROUP.asset(kinds={"polars"}, table=GENOME, checks=checks.GENOME_CHECKS)
def genome(context: dg.AssetExecutionContext, sugarcane: dg.ResourceParam[SugarcaneStudy]) -> dg.MaterializeResult:
    """A variety's genome (`GLM_SUGARCANE`): any FASTA, checked, compressed so that any place can be read, indexed."""
    begin_step(sugarcane.main)
    manifest = make_genome(sugarcane, context.partition_key, context.log.info)
    return finished(
        sugarcane.main, manifest, sugarcane.files("genome", context.partition_key), checks.genome_results(manifest)
    )


@GROUP.asset("genome", kinds={"polars"}, table=ANNOTATION, checks=checks.ANNOTATION_CHECKS)
def annotation(
    context: dg.AssetExecutionContext, sugarcane: dg.ResourceParam[SugarcaneStudy]
) -> dg.MaterializeResult:
    """A variety's features: any GFF3, checked against the genome."""
    begin_step(sugarcane.main)
    manifest = make_annotation(sugarcane, context.partition_key, context.log.info)
    return finished(
        sugarcane.main,
        manifest,
        sugarcane.files("annotation", context.partition_key),
        checks.annotation_results(manifest),
    )


@GROUP.asset("genome", "annotation", kinds={"polars"}, table=GENOME_PROFILE)
def genome_profile(
    context: dg.AssetExecutionContext, sugarcane: dg.ResourceParam[SugarcaneStudy]
) -> dg.MaterializeResult:
    """What a genome is like: genes, introns, codon usage, microsatellites; what the data do not say is missing."""
    begin_step(sugarcane.main)
    manifest = make_genome_profile(sugarcane, context.partition_key, context.log.info)
    return finished(sugarcane.main, manifest, sugarcane.files("genome_profile", context.partition_key))


@GROUP.asset("genome", "annotation", kinds={"polars"}, table=UNITS, checks=checks.UNIT_CHECKS)
def units(context: dg.AssetExecutionContext, sugarcane: dg.ResourceParam[SugarcaneStudy]) -> dg.MaterializeResult:
    """Genes with their flanks, clusters and regulatory elements; and which stretches train, choose and test."""
    begin_step(sugarcane.main)
    manifest = make_units(sugarcane, context.partition_key, context.log.info)
    return finished(
        sugarcane.main, manifest, sugarcane.files("units", context.partition_key), checks.unit_results(manifest)
    )


@GROUP.asset("genome", "units", kinds={"numpy"}, checks=checks.SHARD_CHECKS)
def token_shards(
    context: dg.AssetExecutionContext, sugarcane: dg.ResourceParam[SugarcaneStudy]
) -> dg.MaterializeResult:
    """Sequence as tokens, by split, for windows of any length."""
    begin_step(sugarcane.main)
    manifest = make_token_shards(sugarcane, context.partition_key, context.log.info)
    return finished(
        sugarcane.main,
        manifest,
        sugarcane.files("token_shards", context.partition_key),
        checks.shard_results(manifest),
    )


@GROUP.asset("token_shards", kinds={"pytorch", "mlflow"}, checks=checks.ADAPTER_CHECKS, gpu=gpu_work())
def lora_adapter(
    context: dg.AssetExecutionContext,
    sugarcane: dg.ResourceParam[SugarcaneStudy],
    tracker: dg.ResourceParam[Tracker],
) -> dg.MaterializeResult:
    """Low-rank adapters on Evo2, or all of its weights, trained to predict a variety's next base.

    Only what was trained is kept. A killed training goes on from its last checkpoint.
    """
    begin_step(sugarcane.main)
    variety, run = context.partition_key, context.run.run_id
    manifest = make_lora_adapter(sugarcane, variety, tracker, context.log.info, dagster_run_id=run)
    return finished(
        sugarcane.main, manifest, sugarcane.files("lora_adapter", variety), checks.adapter_results(manifest)
    )


@GROUP.asset(
    "units", "lora_adapter", kinds={"pytorch"}, table=UNIT_SCORES, checks=checks.SCORE_CHECKS, gpu=gpu_work()
)
def unit_scores(
    context: dg.AssetExecutionContext, sugarcane: dg.ResourceParam[SugarcaneStudy]
) -> dg.MaterializeResult:
    """How likely the model finds each unit, before training and after."""
    begin_step(sugarcane.main)
    manifest = make_unit_scores(sugarcane, context.partition_key, context.log.info)
    return finished(
        sugarcane.main,
        manifest,
        sugarcane.files("unit_scores", context.partition_key),
        checks.score_results(manifest),
    )


@GROUP.asset("unit_scores", kinds={"pytorch", "numpy"}, table=TOKEN_PROFILES, gpu=gpu_work())
def token_profiles(
    context: dg.AssetExecutionContext, sugarcane: dg.ResourceParam[SugarcaneStudy]
) -> dg.MaterializeResult:
    """Logits of A, C, G and T and their entropy along some units, in half precision."""
    begin_step(sugarcane.main)
    manifest = make_token_profiles(sugarcane, context.partition_key, context.log.info)
    return finished(sugarcane.main, manifest, sugarcane.files("token_profiles", context.partition_key))


@GROUP.asset(
    "units", "lora_adapter", kinds={"pytorch"}, table=GENERATIONS, checks=checks.GENERATION_CHECKS, gpu=gpu_work()
)
def generations(
    context: dg.AssetExecutionContext, sugarcane: dg.ResourceParam[SugarcaneStudy]
) -> dg.MaterializeResult:
    """Sequences drawn from the model after some prompts, before training and after."""
    begin_step(sugarcane.main)
    manifest = make_generations(sugarcane, context.partition_key, context.log.info)
    return finished(
        sugarcane.main,
        manifest,
        sugarcane.files("generations", context.partition_key),
        checks.generation_results(manifest),
    )


@GROUP.asset(
    "unit_scores",
    kinds={"pytorch", "polars"},
    table=MODEL_COMPARISON,
    checks=checks.COMPARISON_CHECKS,
    gpu=gpu_work(),
)
def model_comparison(
    context: dg.AssetExecutionContext, sugarcane: dg.ResourceParam[SugarcaneStudy]
) -> dg.MaterializeResult:
    """Zero-shot beside fine-tuned, by type of unit, and against an experiment's values."""
    begin_step(sugarcane.main)
    manifest = make_model_comparison(sugarcane, context.partition_key, context.log.info)
    return finished(
        sugarcane.main,
        manifest,
        sugarcane.files("model_comparison", context.partition_key),
        checks.comparison_results(manifest),
    )


@GROUP.asset("token_shards", kinds={"pytorch", "optuna", "mlflow"}, table=SEARCH, gpu=gpu_work())
def search(
    context: dg.AssetExecutionContext,
    sugarcane: dg.ResourceParam[SugarcaneStudy],
    tracker: dg.ResourceParam[Tracker],
) -> dg.MaterializeResult:
    """Trials of other learning rates, ranks, scales, dropouts and sets of modules, the first with the study's own."""
    begin_step(sugarcane.main)
    variety, run = context.partition_key, context.run.run_id
    manifest = make_search(sugarcane, variety, tracker, context.log.info, dagster_run_id=run)
    return finished(sugarcane.main, manifest, sugarcane.files("search", variety))


@GROUP.asset("genome_profile", "token_profiles", "generations", "model_comparison", kinds={"html"})
def report(context: dg.AssetExecutionContext, sugarcane: dg.ResourceParam[SugarcaneStudy]) -> dg.MaterializeResult:
    """All figures of a variety on one page that needs nothing else."""
    begin_step(sugarcane.main)
    manifest = make_report(sugarcane, context.partition_key)
    return finished(sugarcane.main, manifest, sugarcane.files("report", context.partition_key))
