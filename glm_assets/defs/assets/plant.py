"""Group `plant`: a language model of several plants' 6-mers, from scratch, and phenotypes from its vectors."""

import dagster as dg

from glm_assets.defs.checks import plant as checks
from glm_assets.defs.steps import begin_step
from glm_assets.defs.study_group import StudyGroup, finished
from glm_assets.defs.tags import gpu_work
from glm_assets.storage.schemas_plant import EVALUATION, GENERATIONS, GENOME, PHENOTYPE_HEAD, PHENOTYPES
from glm_assets.studies.plant.evaluation import make_evaluation
from glm_assets.studies.plant.generations import make_generations
from glm_assets.studies.plant.genome import make_genome
from glm_assets.studies.plant.phenotype_head import make_phenotype_head
from glm_assets.studies.plant.phenotypes import make_phenotypes
from glm_assets.studies.plant.report import make_report
from glm_assets.studies.plant.study import PREFIX, PlantStudy
from glm_assets.studies.plant.tokens import make_tokens
from glm_assets.studies.plant.training import make_lm
from glm_assets.tracking import Tracker

GROUP = StudyGroup(PREFIX)


@GROUP.asset(kinds={"polars"}, table=GENOME)
def genome(context: dg.AssetExecutionContext, plant: dg.ResourceParam[PlantStudy]) -> dg.MaterializeResult:
    """A species' genome (`GLM_PLANT`): any FASTA files, checked, compressed so that any place can be read, indexed."""
    begin_step(plant.main)
    manifest = make_genome(plant, context.partition_key, context.log.info)
    return finished(plant.main, manifest, plant.files("genome", context.partition_key))


@GROUP.asset("genome", kinds={"numpy"}, checks=checks.TOKEN_CHECKS)
def tokens(context: dg.AssetExecutionContext, plant: dg.ResourceParam[PlantStudy]) -> dg.MaterializeResult:
    """A genome as 6-mers that span no gap and no end of a contig, in blocks that train, choose or test."""
    begin_step(plant.main)
    manifest = make_tokens(plant, context.partition_key, context.log.info)
    return finished(
        plant.main, manifest, plant.files("tokens", context.partition_key), checks.token_results(manifest)
    )


@GROUP.asset("tokens", kinds={"pytorch", "mlflow"}, gpu=gpu_work(), partitioned=False)
def lm(
    context: dg.AssetExecutionContext, plant: dg.ResourceParam[PlantStudy], tracker: dg.ResourceParam[Tracker]
) -> dg.MaterializeResult:
    """A causal language model of all species: local attention, and attention over a memory of every 6-mer.

    A killed training goes on from its last checkpoint. The model is an encoder as well (`plant_lm`).
    """
    begin_step(plant.main)
    manifest = make_lm(plant, tracker, context.log.info, dagster_run_id=context.run.run_id)
    return finished(plant.main, manifest, plant.files("lm"))


@GROUP.asset(
    "lm",
    kinds={"pytorch", "polars"},
    table=EVALUATION,
    checks=checks.EVALUATION_CHECKS,
    gpu=gpu_work(),
    partitioned=False,
)
def evaluation(context: dg.AssetExecutionContext, plant: dg.ResourceParam[PlantStudy]) -> dg.MaterializeResult:
    """Bits per base on test blocks, with the memory and without, beside Markov chains and chance."""
    begin_step(plant.main)
    manifest = make_evaluation(plant, context.log.info)
    return finished(plant.main, manifest, plant.files("evaluation"), checks.evaluation_results(manifest))


@GROUP.asset("lm", kinds={"pytorch"}, table=GENERATIONS, gpu=gpu_work(), partitioned=False)
def generations(context: dg.AssetExecutionContext, plant: dg.ResourceParam[PlantStudy]) -> dg.MaterializeResult:
    """Sequences drawn from the model, for each species."""
    begin_step(plant.main)
    manifest = make_generations(plant, context.log.info)
    return finished(plant.main, manifest, plant.files("generations"))


@GROUP.asset(kinds={"polars"}, table=PHENOTYPES, checks=checks.PHENOTYPE_CHECKS, partitioned=False)
def phenotypes(context: dg.AssetExecutionContext, plant: dg.ResourceParam[PlantStudy]) -> dg.MaterializeResult:
    """Samples with a phenotype, and their genes as 6-mers."""
    begin_step(plant.main)
    manifest = make_phenotypes(plant, context.log.info)
    return finished(plant.main, manifest, plant.files("phenotypes"), checks.phenotype_results(manifest))


@GROUP.asset(
    "phenotypes",
    "lm",
    kinds={"pytorch", "scikitlearn"},
    table=PHENOTYPE_HEAD,
    checks=checks.HEAD_CHECKS,
    gpu=gpu_work(),
    partitioned=False,
)
def phenotype_head(context: dg.AssetExecutionContext, plant: dg.ResourceParam[PlantStudy]) -> dg.MaterializeResult:
    """Phenotypes from the frozen model's vectors, judged on samples that were held out, beside the commonest class."""
    begin_step(plant.main)
    manifest = make_phenotype_head(plant, context.log.info)
    return finished(plant.main, manifest, plant.files("phenotype_head"), checks.head_results(manifest))


@GROUP.asset("evaluation", "generations", "phenotype_head", kinds={"html"}, partitioned=False)
def report(plant: dg.ResourceParam[PlantStudy]) -> dg.MaterializeResult:
    """All figures on one page that needs nothing else; without phenotypes, it says so."""
    begin_step(plant.main)
    manifest = make_report(plant)
    return finished(plant.main, manifest, plant.files("report"))
