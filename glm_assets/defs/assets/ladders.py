"""Group `embeddings`: real windows with more and more substitutions."""

import dagster as dg

from glm_assets.defs.assets.sources import OWNERS
from glm_assets.defs.checks.embeddings import ladder_checks, ladder_results
from glm_assets.defs.metadata import materialized, table_metadata
from glm_assets.defs.pipes import local_pipes_workers
from glm_assets.defs.steps import begin_step, explained
from glm_assets.defs.tags import gpu_work
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.ladders import make_mutation_ladders
from glm_assets.lineage.study import Study
from glm_assets.storage.schemas import MUTATION_LADDERS
from glm_assets.storage.tables import table_folder


class LadderConfig(dg.Config):
    """Launch-time choices of the ladders."""

    allow_partial: bool = False
    """Draw from the chromosomes that are there, instead of failing for those that are not."""


@dg.asset(
    group_name="embeddings",
    deps=["variant_windows", "glm_checkpoint"],
    kinds={"pytorch", "evo2"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["mutation_ladders"],
    metadata=table_metadata(MUTATION_LADDERS),
    check_specs=ladder_checks(),
    **gpu_work(sharded=True),
)
@explained
def mutation_ladders(
    context: dg.AssetExecutionContext, config: LadderConfig, study: dg.ResourceParam[Study]
) -> dg.MaterializeResult:
    """Windows with 1, 2, 4 .. 512 random substitutions and their vectors: how distances answer to their number.

    The contest judges by such ladders; heads train on those of the train split. A ladder has the split of the
    variant whose window it is made of.
    """
    begin_step(study)
    workers = local_pipes_workers(context, study)
    manifest = make_mutation_ladders(study, context.log.info, workers, allow_partial=config.allow_partial)
    study.refresh_warehouse()
    folder = study.files(table_folder(study.tables, manifest.asset))
    return materialized(manifest, folder, checks=ladder_results(manifest))
