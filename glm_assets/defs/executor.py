"""The executor of every run: a process a step, forked from one that has the definitions loaded."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from glm_assets.defs.failures import in_brief
from glm_assets.defs.ownership import claim_run, releasing_dead_runs


class OwnedRunExecutor(dg.Executor):
    """Runs the steps through another executor, in a run whose pool slots cannot be left behind."""

    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> Any:
        """Retry mode of the inner executor."""
        return self._inner.retries

    @property
    def step_dependency_config(self) -> Any:
        """Step dependency rule of the inner executor."""
        return self._inner.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        """Execute the plan while this process is noted as the run's owner."""
        claim_run(plan_context.instance, plan_context.run_id)
        with releasing_dead_runs(plan_context.instance):
            yield from map(in_brief, self._inner.execute(plan_context, execution_plan))


@dg.executor(
    name="step_processes",
    requirements=dg.multiple_process_executor_requirements(),
    config_schema={
        "max_concurrent": dg.Field(
            int, default_value=0, description="most steps of a run at once; 0 for the number of CPUs"
        )
    },
)
def step_processes(context: dg.InitExecutorContext) -> dg.Executor:
    """A process a step. Forking from a preloaded server saves the import of the graph in every step."""
    config = {
        "max_concurrent": context.executor_config["max_concurrent"],
        "start_method": {"forkserver": {"preload_modules": ["dagster", "glm_assets.definitions"]}},
        "retries": {"enabled": {}},
    }
    create = dg.multiprocess_executor.executor_creation_fn
    if create is None:
        raise RuntimeError("dagster's multiprocess executor has no creation function")
    return OwnedRunExecutor(create(context._replace(executor_config=config)))
