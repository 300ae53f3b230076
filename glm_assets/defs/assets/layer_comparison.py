"""Group `evaluation`: how layers compare."""

import dagster as dg

from glm_assets.defs.assets.sources import OWNERS
from glm_assets.defs.metadata import materialized, table_metadata
from glm_assets.defs.steps import begin_step, explained
from glm_assets.defs.tags import gpu_work
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.layer_comparison import make_layer_comparison
from glm_assets.lineage.study import Study
from glm_assets.storage.schemas import LAYER_COMPARISON


@dg.asset(
    group_name="evaluation",
    deps=["variant_windows", "glm_checkpoint"],
    kinds={"pytorch", "evo2"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["layer_comparison"],
    metadata=table_metadata(LAYER_COMPARISON),
    **gpu_work(),
)
@explained
def layer_comparison(context: dg.AssetExecutionContext, study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """How well each of several layers tells pathogenic from benign variants, on a sample from one forward."""
    begin_step(study)
    manifest = make_layer_comparison(study, context.log.info)
    study.refresh_warehouse()
    return materialized(manifest, study.layer_comparison().files())
