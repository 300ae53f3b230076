"""Puts the definitions together; tests pass their own study and tracker."""

import dagster as dg

from glm_assets.defs import jobs, schedules, sensors
from glm_assets.defs.assets import (
    comparison,
    embeddings,
    head_search,
    heads,
    impact,
    ladders,
    layer_comparison,
    metagenome,
    plant,
    probes,
    release_diff,
    scored_variants,
    sources,
    submission,
    submission_score,
    sugarcane,
    variants,
)
from glm_assets.defs.automation import automation_sensor, with_automation
from glm_assets.defs.executor import step_processes
from glm_assets.defs.partitions import chromosomes
from glm_assets.lineage.study import Study
from glm_assets.studies.impact.study import ImpactStudy
from glm_assets.studies.metagenome.study import MetagenomeStudy
from glm_assets.studies.plant.study import PlantStudy
from glm_assets.studies.sugarcane.study import SugarcaneStudy
from glm_assets.tracking import Tracker

_ASSET_MODULES = [
    sources,
    release_diff,
    variants,
    embeddings,
    ladders,
    layer_comparison,
    heads,
    probes,
    head_search,
    comparison,
    submission,
    submission_score,
    scored_variants,
]


def build_defs(
    study: Study, tracker: Tracker, *, executor: dg.ExecutorDefinition = step_processes
) -> dg.Definitions:
    """The whole code location.

    Args:
        study: The main study in its data root.
        tracker: Where training is tracked.
        executor: How the steps of a run are executed.

    Returns:
        Assets, checks, jobs, sensors, the schedule and resources.
    """
    sugarcane_study, plant_study = SugarcaneStudy(study), PlantStudy(study)
    assets = [
        *dg.load_assets_from_modules(_ASSET_MODULES),
        *impact.GROUP.build(chromosomes),
        *metagenome.GROUP.build(),
        *sugarcane.GROUP.build(dg.StaticPartitionsDefinition(list(sugarcane_study.varieties))),
        *plant.GROUP.build(dg.StaticPartitionsDefinition(list(plant_study.species))),
    ]
    return dg.Definitions(
        assets=with_automation(study, assets),
        jobs=[
            jobs.sources,
            jobs.embed,
            jobs.embed_for_evaluation,
            jobs.layer_sweep,
            jobs.train,
            jobs.search,
            jobs.evaluate,
            jobs.score_variants,
            jobs.submit,
            jobs.impact_embed,
            jobs.impact_train,
            jobs.impact_predict,
            jobs.metagenome_train,
            jobs.metagenome_predict,
            jobs.sugarcane_prepare,
            jobs.sugarcane_train,
            jobs.sugarcane_evaluate,
            jobs.sugarcane_search,
            jobs.plant_prepare,
            jobs.plant_train,
            jobs.plant_phenotypes,
        ],
        sensors=[
            sensors.clinvar_release_sensor,
            sensors.embed_sensor,
            sensors.train_sensor,
            sensors.submit_sensor,
            automation_sensor,
        ],
        schedules=[schedules.weekly_sources],
        resources={
            "study": study,
            "tracker": tracker,
            "impact": ImpactStudy(study),
            "metagenome": MetagenomeStudy(study),
            "sugarcane": sugarcane_study,
            "plant": plant_study,
        },
        executor=executor,
    )
