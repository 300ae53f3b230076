"""Group `evaluation`: the submission's score, from the structure of the test CSV."""

import dagster as dg

from glm_assets.defs.assets.sources import OWNERS
from glm_assets.defs.checks.evaluation import structure_check, structure_result
from glm_assets.defs.metadata import materialized, table_metadata
from glm_assets.defs.steps import begin_step, explained
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.study import Study
from glm_assets.lineage.submission_score import make_submission_score, submission_score_product
from glm_assets.storage.schemas import SUBMISSION_SCORE


@dg.asset(
    group_name="evaluation",
    deps=["submission", "test_sequences", "variant_windows"],
    kinds={"polars"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["submission_score"],
    metadata=table_metadata(SUBMISSION_SCORE),
    check_specs=[structure_check()],
)
@explained
def submission_score(context: dg.AssetExecutionContext, study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """CD, CDD and PCC of the submission, from the SNV pairs and mutation ladders found in the test CSV.

    CDD needs labels: those of the pairs that are found in this study's ClinVar, by the bases around the variant.
    """
    begin_step(study)
    manifest = make_submission_score(study, context.log.info)
    study.refresh_warehouse()
    folder = submission_score_product(study).files()
    return materialized(manifest, folder, checks=[structure_result(manifest)])
