"""Group `heads`: the search for better values of a recipe."""

import dagster as dg

from glm_assets.defs.assets.sources import OWNERS
from glm_assets.defs.metadata import materialized, table_metadata
from glm_assets.defs.steps import begin_step, explained
from glm_assets.defs.tags import gpu_work
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.search import head_search_product, make_head_search
from glm_assets.lineage.study import Study
from glm_assets.storage.schemas import HEAD_SEARCH
from glm_assets.tracking import Tracker


@dg.asset(
    group_name="heads",
    deps=["variant_embeddings", "mutation_ladders", "split_audit", "head_v0", "head_v1", "head_v2"],
    kinds={"pytorch", "mlflow"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["head_search"],
    metadata=table_metadata(HEAD_SEARCH),
    **gpu_work(),
)
@explained
def head_search(
    context: dg.AssetExecutionContext, study: dg.ResourceParam[Study], tracker: dg.ResourceParam[Tracker]
) -> dg.MaterializeResult:
    """Which learning rate, widths and loss weights suit one head (profile key `search`), on the validation split.

    Trials are given up early when they fall behind, and a killed search goes on. Nothing is changed by what is
    found: put it into a profile or recipe by hand.
    """
    begin_step(study)
    manifest = make_head_search(study, tracker, context.log.info, dagster_run_id=context.run.run_id)
    study.refresh_warehouse()
    links = {"mlflow": manifest.facts["mlflow_url"]} if manifest.facts.get("mlflow_url") else {}
    return materialized(manifest, head_search_product(study).files(), links=links)
