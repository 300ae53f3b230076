"""Group `submission`: the user's sequences, embedded and passed through a head."""

import dagster as dg

from glm_assets.defs.assets.sources import OWNERS
from glm_assets.defs.checks.submission import (
    sequence_check,
    sequence_result,
    submission_checks,
    submission_results,
    test_vector_check,
    test_vector_result,
)
from glm_assets.defs.metadata import materialized, table_metadata
from glm_assets.defs.pipes import local_pipes_workers
from glm_assets.defs.steps import begin_step, explained
from glm_assets.defs.tags import gpu_work
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.embeddings import make_test_embeddings
from glm_assets.lineage.study import SUBMITTED_HEAD, Study
from glm_assets.lineage.submission import make_submission, make_test_sequences
from glm_assets.storage.schemas import TEST_EMBEDDINGS, TEST_SEQUENCES
from glm_assets.tracking import Tracker


@dg.asset(
    group_name="submission",
    kinds={"csv"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["test_sequences"],
    metadata=table_metadata(TEST_SEQUENCES),
    check_specs=[sequence_check()],
)
@explained
def test_sequences(study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """The user's CSV (`ID`, `seq`; `GLM_TEST_CSV`), validated, in its order."""
    begin_step(study)
    manifest = make_test_sequences(study)
    study.refresh_warehouse()
    return materialized(manifest, study.test_sequences().files(), checks=[sequence_result(manifest)])


@dg.asset(
    group_name="submission",
    deps=[test_sequences, "glm_checkpoint"],
    kinds={"pytorch", "evo2"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["test_embeddings"],
    metadata=table_metadata(TEST_EMBEDDINGS),
    check_specs=[test_vector_check()],
    **gpu_work(sharded=True),
)
@explained
def test_embeddings(context: dg.AssetExecutionContext, study: dg.ResourceParam[Study]) -> dg.MaterializeResult:
    """The pooled vector of every test sequence."""
    begin_step(study)
    manifest = make_test_embeddings(study, context.log.info, local_pipes_workers(context, study))
    study.refresh_warehouse()
    return materialized(manifest, study.test_embeddings().files(), checks=[test_vector_result(manifest)])


class SubmissionConfig(dg.Config):
    """Launch-time choices of the submission."""

    head: str = SUBMITTED_HEAD
    """This data root's (`head_v3`), a registered one (`head_v3@champion`, `head_v3/4`), or the path of a file."""


@dg.asset(
    group_name="submission",
    deps=[test_embeddings, "head_v3"],
    kinds={"csv"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["submission"],
    check_specs=submission_checks(),
)
@explained
def submission(
    config: SubmissionConfig, study: dg.ResourceParam[Study], tracker: dg.ResourceParam[Tracker]
) -> dg.MaterializeResult:
    """`ID, emb_0000 .. emb_NNNN`: the head's unit-norm vector of every test sequence, in the CSV's order."""
    begin_step(study)
    manifest = make_submission(study, tracker.registry, head=config.head)
    return materialized(manifest, study.finished_submission_csv().parent, checks=submission_results(study))
