"""Steps as jobs of a Ray cluster: each is placed where the CPUs and GPUs are that its tags ask for.

Jobs are sent over HTTP, so the run itself may live anywhere. Other than dagster_ray's own executor this one limits the
steps of a run, lets a step's tags come before the default, notices jobs that were stopped and clusters that are gone,
and puts steps that only wait for Ray actors beside the head, where they take nothing from these.
"""

import json
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import dagster as dg
from dagster._core.events import EngineEventData
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.step_delegating import (
    CheckStepHealthResult,
    StepDelegatingExecutor,
    StepHandler,
    StepHandlerContext,
)

from glm_assets.defs.executor import OwnedRunExecutor
from glm_assets.defs.ray_environment import shown_to_all, without
from glm_assets.defs.tags import SHARDED, only_waits
from glm_assets.encoders.device import CPU
from glm_assets.encoders.engines.ray_actors import knock
from glm_assets.errors import SettingsError
from glm_assets.settings import Settings
from glm_assets.tracking.secrets import mask, mask_in

CONFIG_TAG = "dagster-ray/config"
# A head that restarts keeps its jobs; one that stays away this long has lost them.
PATIENCE_S = 120.0
_HEALTH_INTERVAL_S = 5
_PAUSE_S = 1.0
_MOST_NODES = 10_000  # more than these Ray does not list
_AGAIN = "run the same command again; what is finished is reused"


def ray_steps(settings: Settings) -> dg.ExecutorDefinition:
    """The executor that runs every step on the Ray cluster of the settings.

    Args:
        settings: Handed on to the steps, which may run on other machines.
    """

    @dg.executor(
        name="ray_steps",
        requirements=dg.multiple_process_executor_requirements(),
        config_schema={
            "max_concurrent": dg.Field(
                int, default_value=0, description="most steps of a run at once; 0 for as many as the cluster takes"
            )
        },
    )
    def create(context: dg.InitExecutorContext) -> dg.Executor:
        return OwnedRunExecutor(RayExecutor(settings, cast("int", context.executor_config["max_concurrent"])))

    return create


class RayExecutor(dg.Executor):
    """Executes a run's steps on the cluster that is there when it starts.

    Args:
        settings: Name the cluster; handed on to the steps.
        max_concurrent: Most steps at once; 0 for as many as the cluster takes.
    """

    def __init__(self, settings: Settings, max_concurrent: int) -> None:
        self._settings = settings
        self._max_concurrent = max_concurrent

    @property
    def retries(self) -> RetryMode:
        """A step's own retry policy holds."""
        return RetryMode.ENABLED

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        """Connect, and execute the plan.

        Raises:
            SettingsError: No cluster answers, or a setting holds a password.
        """
        jobs = connect(self._settings.ray_address)
        device = _device(self._settings.device, jobs)
        settings = self._settings.model_copy(update={"device": device})
        steps = RaySteps(
            jobs=jobs,
            needs=lambda tags: step_needs(tags, settings, gpus=device != CPU),
            variables=shown_to_all(settings.variables),
            absent=settings.absent_variables,
            address=settings.ray_address or "",
            folder=Path.cwd(),
        )
        delegating = StepDelegatingExecutor(
            steps,
            retries=self.retries,
            max_concurrent=self._max_concurrent or None,
            check_step_health_interval_seconds=_HEALTH_INTERVAL_S,
            should_verify_step=True,
        )
        yield from delegating.execute(plan_context, execution_plan)


def connect(address: str | None) -> Any:
    """A client of the cluster's jobs.

    Args:
        address: Host and port of the head, the URL of its dashboard, or None for a cluster on this machine.

    Raises:
        SettingsError: Ray is not installed, or no cluster answers.
    """
    try:
        from ray.job_submission import JobSubmissionClient
    except ImportError as error:
        raise SettingsError("GLM_EXECUTOR=ray needs Ray", fix="pip install 'glm_assets[ray]'") from error
    try:
        knock(address)
        return JobSubmissionClient(address)
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(
            f"no Ray cluster can be reached ({mask_in(str(error), address or '')})",
            expected=f"a running cluster at {mask(address) if address else 'RAY_ADDRESS, or on this machine'}",
            fix="ray start --head, set RAY_ADDRESS to the head's host and port, or unset GLM_EXECUTOR",
        ) from None  # whose message may repeat a password in the address


def step_needs(tags: Mapping[str, str], settings: Settings, *, gpus: bool) -> dict[str, Any]:
    """What a step's job asks of the cluster.

    Args:
        tags: The step's.
        settings: Say what a step without a wish of its own gets, and who computes shards.
        gpus: Whether this study computes on GPUs; else nobody needs one.

    Returns:
        Arguments of a job's submission. Without a CPU and a GPU Ray places it beside the head.
    """
    if settings.engine == "ray" and SHARDED in tags:
        return {"entrypoint_num_cpus": 0, "entrypoint_num_gpus": 0}
    wishes = json.loads(tags.get(CONFIG_TAG, "{}"))
    gpus = gpus and not only_waits(tags, settings)
    return {
        "entrypoint_num_cpus": wishes.get("num_cpus", settings.step_cpus),
        "entrypoint_num_gpus": wishes.get("num_gpus", 0) if gpus else 0,
        "entrypoint_memory": wishes.get("memory"),
        "entrypoint_resources": wishes.get("resources"),
    }


@dataclass
class RaySteps(StepHandler):
    """Starts, watches and stops the jobs of a run's steps.

    Attributes:
        jobs: Client of the cluster's jobs.
        needs: From a step's tags to what its job asks for.
        variables: Environment of the steps.
        absent: Variables that the steps must not take from the environment of their nodes.
        address: The cluster's, whose password messages leave out.
        folder: Where they run, as the run does; every node must have it.
        patience_s: How long the cluster may be out of reach.
    """

    jobs: Any
    needs: Callable[[Mapping[str, str]], dict[str, Any]]
    variables: Mapping[str, str]
    folder: Path
    absent: Sequence[str] = ()
    address: str = ""
    patience_s: float = PATIENCE_S
    _silent_since: float | None = field(default=None, init=False)
    _unsent: dict[str, dict[str, Any]] = field(default_factory=dict, init=False)

    @property
    def name(self) -> str:
        """Shown in the run's log."""
        return "RaySteps"

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        """Submit the step's job; where the cluster is out of reach, the checks of its health try it again."""
        step, job = _step_key(step_handler_context), _job_id(step_handler_context)
        arguments = step_handler_context.execute_step_args
        command = shlex.join([sys.executable, "-m", *arguments.get_command_args(skip_serialized_namedtuple=True)])
        own = {variable["name"]: variable["value"] for variable in arguments.get_command_env()}
        run = step_handler_context.dagster_run
        yield dg.DagsterEvent.step_worker_starting(
            step_handler_context.get_step_context(step),
            message=f"Step {step} is Ray job {job}.",
            metadata={"Ray job": dg.MetadataValue.text(job)},
        )
        self._unsent[job] = {
            "entrypoint": f"cd {shlex.quote(str(self.folder))} && exec {without(self.absent, command)}",
            "runtime_env": {"env_vars": {**self.variables, **own, "DAGSTER_RUN_STEP_KEY": step}},
            "metadata": {"dagster/run-id": run.run_id, "dagster/job": run.job_name, "dagster/op": step},
            **self.needs(step_handler_context.step_tags[step]),
        }
        try:
            self._send(job)
        except (OSError, RuntimeError) as error:
            self._out_of_reach(error)
            message = f"Ray job {job} is not sent yet, trying again: {self._told(error)}"
            yield dg.DagsterEvent.engine_event(step_handler_context.get_step_context(step), message)

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """Say that a step has failed whose job ended without having said so itself."""
        from ray.job_submission import JobStatus

        step, job = _step_key(step_handler_context), _job_id(step_handler_context)
        try:
            if job in self._unsent and not self._is_there(job):
                self._send(job)
            details = self.jobs.get_job_info(job)
        except (OSError, RuntimeError) as error:
            if job in self._unsent and _is_refusal(error):
                reason = f"the Ray cluster does not take job {job} of step {step}: {self._told(error)}"
                return CheckStepHealthResult.unhealthy(reason=reason)
            return self._out_of_reach(error)
        self._silent_since = None
        if details.status not in {JobStatus.FAILED, JobStatus.STOPPED}:
            return CheckStepHealthResult.healthy()
        reason = f"Ray job {job} of step {step} has ended: {details.message or details.status.value}"
        return CheckStepHealthResult.unhealthy(reason=f"{reason}. Fix: {_AGAIN}.")

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        """Stop the step's job. One that cannot be reached for long ends by itself, as its run has ended."""
        step, job = _step_key(step_handler_context), _job_id(step_handler_context)
        message = f"Stopping Ray job {job}."
        yield dg.DagsterEvent.engine_event(
            step_handler_context.get_step_context(step), message, EngineEventData.interrupted([step])
        )
        while error := self._stop(job):
            found = self._out_of_reach(error)
            if not found.is_healthy:
                message = f"Ray job {job} was not stopped: {found.unhealthy_reason}"
                yield dg.DagsterEvent.engine_event(
                    step_handler_context.get_step_context(step), message, EngineEventData.interrupted([step])
                )
                return
            time.sleep(_PAUSE_S)

    def _send(self, job: str) -> None:
        self.jobs.submit_job(submission_id=job, **self._unsent[job])
        del self._unsent[job]
        self._silent_since = None

    def _is_there(self, job: str) -> bool:
        """Whether a job did arrive, although the cluster's answer to that did not."""
        try:
            self.jobs.get_job_info(job)
        except RuntimeError as error:
            if _is_refusal(error):
                return False
            raise
        del self._unsent[job]
        return True

    def _stop(self, job: str) -> Exception | None:
        """Ask for a job's end, which one that is gone has reached; gives what the cluster's silence looks like."""
        try:
            self.jobs.stop_job(job)
        except (OSError, RuntimeError) as error:
            return None if _is_refusal(error) else error
        return None

    def _out_of_reach(self, error: Exception) -> CheckStepHealthResult:
        now = time.monotonic()
        self._silent_since = self._silent_since or now
        if now - self._silent_since < self.patience_s:
            return CheckStepHealthResult.healthy()
        reason = f"the Ray cluster has not answered for {self.patience_s:.0f} s ({self._told(error)})"
        return CheckStepHealthResult.unhealthy(reason=f"{reason}. Fix: start the cluster and {_AGAIN}.")

    def _told(self, error: Exception) -> str:
        return mask_in(str(error), self.address)


def _step_key(context: StepHandlerContext) -> str:
    (step,) = context.execute_step_args.step_keys_to_execute or []
    return step


def _job_id(context: StepHandlerContext) -> str:
    """Name of a step's job: another one for each attempt."""
    arguments, step = context.execute_step_args, _step_key(context)
    known = arguments.known_state
    attempt = known.get_retry_state().get_attempt_count(step) if known else 0
    return f"{arguments.run_id}-{step}-{attempt}"


def _device(device: str, jobs: Any) -> str:
    """The device of all steps: what a vector is depends on it, and steps may run on unequal nodes."""
    if device != "auto":
        return device
    from ray.util.state import list_nodes

    # Ray keeps a record of nodes that are gone; asked for the others alone, it takes these for an incomplete answer.
    found = cast("list[Any]", list_nodes(jobs.get_address(), limit=_MOST_NODES))
    return "cuda:0" if any(node.state == "ALIVE" and node.resources_total.get("GPU") for node in found) else CPU


def _is_refusal(error: Exception) -> bool:
    """Whether the cluster answers that it will not: asking again would not change that."""
    return re.search(r"status code 4\d\d", str(error)) is not None
