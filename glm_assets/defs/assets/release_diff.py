"""Group `evaluation`: what the newest release changed."""

import dagster as dg

from glm_assets.defs.assets.sources import OWNERS
from glm_assets.defs.metadata import materialized, table_metadata
from glm_assets.defs.steps import begin_step, explained
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.release_diff import make_release_diff, release_diff_product
from glm_assets.lineage.study import Study
from glm_assets.storage.schemas_release import CLINVAR_RELEASE_DIFF


@dg.asset(
    group_name="evaluation",
    deps=["clinvar_release"],
    kinds={"polars", "duckdb"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["clinvar_release_diff"],
    metadata=table_metadata(CLINVAR_RELEASE_DIFF),
)
@explained
def clinvar_release_diff(study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """What the newest release added, removed, moved, judged or reviewed anew against the one before it.

    Query it: `select gene, old_label, new_label, count(*) from clinvar_release_diff where label_changed group by all`
    in `warehouse.duckdb`.
    """
    begin_step(study)
    manifest = make_release_diff(study)
    study.refresh_warehouse()
    shown = materialized(manifest, release_diff_product(study).files())
    if table := manifest.facts.get("by_gene_and_label"):
        return shown._replace(metadata={**(shown.metadata or {}), "by_gene_and_label": dg.MetadataValue.md(table)})
    return shown
