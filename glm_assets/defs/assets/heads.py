"""Group `heads`: the Siamese heads, each distilled from the one before."""

import dagster as dg

from glm_assets.defs.assets.sources import OWNERS
from glm_assets.defs.checks.heads import head_checks, head_results
from glm_assets.defs.metadata import materialized
from glm_assets.defs.steps import begin_step, explained
from glm_assets.defs.tags import gpu_work
from glm_assets.heads.recipes import recipe_name
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.heads import make_head
from glm_assets.lineage.study import Study
from glm_assets.tracking import Tracker

_DESCRIPTIONS = {
    "head_v0": "The first head: a narrow residual network over the embedding.",
    "head_v1": "A wider head with skip projections, distilled from v0.",
    "head_v2": "A deeper, gated head, warm-started and distilled from v1.",
    "head_v3": "The deepest head, with RMS norms and layer scales, warm-started and distilled from v2.",
}


class HeadConfig(dg.Config):
    """Launch-time choices of a head."""

    allow_partial: bool = False
    """Train on the chromosomes that are there, instead of failing for those that are not."""
    recipe: str | None = None
    """Train by another recipe than the profile's (`open` or `faithful`); head and teachers lie beside the profile's."""


def head_asset(name: str, teacher: str | None) -> dg.AssetsDefinition:
    """The asset of one head.

    Args:
        name: `head_v0` to `head_v3`.
        teacher: The head it is distilled from.
    """

    @dg.asset(
        name=name,
        group_name="heads",
        deps=["variant_embeddings", "mutation_ladders", "split_audit", *([teacher] if teacher else [])],
        kinds={"pytorch", "mlflow"},
        owners=OWNERS,
        code_version=CODE_VERSIONS[name],
        description=f"{_DESCRIPTIONS[name]}\n\nTrained on the embeddings of all expected chromosomes, chosen on "
        "the validation split (recipe open: epochs and soups on different halves of it), souped greedily, and "
        "tracked in MLflow.",
        check_specs=head_checks(name),
        **gpu_work(),
    )
    @explained
    def head(
        context: dg.AssetExecutionContext,
        config: HeadConfig,
        study: dg.ResourceParam[Study],
        tracker: dg.ResourceParam[Tracker],
    ) -> dg.MaterializeResult:
        begin_step(study)
        recipe = recipe_name(config.recipe) if config.recipe else None
        manifest = make_head(
            study,
            name,
            tracker,
            context.log.info,
            dagster_run_id=context.run.run_id,
            allow_partial=config.allow_partial,
            recipe=recipe,
        )
        links = {"mlflow": manifest.facts["mlflow_url"]} if manifest.facts.get("mlflow_url") else {}
        folder = study.files(study.head_folder(name, recipe))
        return materialized(manifest, folder, checks=head_results(manifest), links=links)

    return head


head_v0 = head_asset("head_v0", None)
head_v1 = head_asset("head_v1", "head_v0")
head_v2 = head_asset("head_v2", "head_v1")
head_v3 = head_asset("head_v3", "head_v2")
