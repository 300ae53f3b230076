"""The runs of `glm-assets refresh`: in this process and in the shared history, without a daemon."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg
from dagster._cli.utils import get_possibly_temporary_instance_for_cli
from dagster._cli.workspace.cli_target import get_repository_python_origin_from_cli_opts
from dagster._core.origin import JobPythonOrigin
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster._utils.hosted_user_process import recon_job_from_origin
from dagster_shared.cli import PythonPointerOpts

from glm_assets.errors import RunFailedError

Execute = Callable[[str, str | None], None]

_DEFINITIONS = "glm_assets.definitions"
_REFRESH_TAG = {"glm/refresh": "true"}


@contextmanager
def running_jobs() -> Iterator[Execute]:
    """Give what executes a job of the code location, as `dagster asset materialize` executes assets.

    The instance is that of `DAGSTER_HOME`, or of the `dagster.yaml` in the current folder.
    """
    pointer = PythonPointerOpts(module_name=_DEFINITIONS)
    repository = get_repository_python_origin_from_cli_opts(pointer)
    with get_possibly_temporary_instance_for_cli("glm-assets refresh") as instance:

        def execute(job: str, partition: str | None) -> None:
            target = recon_job_from_origin(JobPythonOrigin(job, repository_origin=repository))
            tags = _REFRESH_TAG | ({PARTITION_NAME_TAG: partition} if partition else {})
            with dg.execute_job(target, instance=instance, tags=tags) as result:
                require_success(result, job, partition)

        yield execute


def require_success(
    result: dg.ExecuteInProcessResult | dg.JobExecutionResult, job: str, partition: str | None
) -> None:
    """Raise with the first failure of a run.

    Raises:
        RunFailedError: The run failed; the message is the failed step's own.
    """
    if result.success:
        return
    failed = [event for event in result.all_events if event.is_step_failure]
    name = f"{job} of chromosome {partition}" if partition else job
    told = f"step {failed[0].step_key}: {_reason(failed[0])}" if failed else "it ended before a step failed"
    raise RunFailedError(
        f"run {result.run_id} ({name}) failed; {told}",
        fix="mend that and run glm-assets refresh again: what is finished is not made again",
    )


def _reason(event: dg.DagsterEvent) -> str:
    """What a failed step says: our own message where it has one, else the error's."""
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error
    while error and error.cause:
        error = error.cause
    return " ".join(error.message.split()) if error else "no reason is recorded"
