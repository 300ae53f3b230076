"""Steps as pods on Kubernetes: what needs a GPU gets a pod with one, the rest does not."""

from collections.abc import Mapping
from typing import Any, cast

import dagster as dg

from glm_assets.defs.executor import OwnedRunExecutor
from glm_assets.defs.tags import only_waits
from glm_assets.encoders.device import CPU
from glm_assets.errors import SettingsError
from glm_assets.settings import Settings

CONFIG_TAG = "dagster-k8s/config"
_NO_GPU = {"container_config": {"resources": {"limits": {"nvidia.com/gpu": 0}}}}


def k8s_steps(settings: Settings) -> dg.ExecutorDefinition:
    """The executor that runs every step as a Kubernetes job.

    Args:
        settings: Say what the pods of GPU steps have besides their GPU, such as a node selector.

    Raises:
        SettingsError: dagster-k8s is not installed, or the device is left open.
    """
    try:
        from dagster_k8s import k8s_job_executor
    except ImportError as error:
        raise SettingsError("GLM_EXECUTOR=k8s needs dagster-k8s", fix="pip install 'glm_assets[k8s]'") from error
    if settings.device == "auto":
        raise SettingsError(
            "GLM_DEVICE=auto means the CPU in one pod and a GPU in another, and vectors depend on it",
            fix="set GLM_DEVICE=cuda:0, or GLM_DEVICE=cpu on a cluster without GPUs",
        )
    make = k8s_job_executor.executor_creation_fn
    if make is None:
        raise RuntimeError("dagster-k8s's executor has no creation function")

    @dg.executor(
        name="k8s_steps",
        config_schema=k8s_job_executor.config_schema.as_field(),
        requirements=dg.multiple_process_executor_requirements(),
    )
    def create(context: dg.InitExecutorContext) -> dg.Executor:
        config = cast("dict[str, Any]", context.executor_config)
        pods = with_overrides(gpu_pods(context.job.get_definition(), settings), config["per_step_k8s_config"])
        return OwnedRunExecutor(make(context._replace(executor_config=config | {"per_step_k8s_config": pods})))

    return create


def gpu_pods(job: dg.JobDefinition, settings: Settings) -> dict[str, dict[str, Any]]:
    """What the settings add to the pods of a job's GPU steps.

    Args:
        job: Whose steps carry the tags.
        settings: Without a GPU as the device, no pod waits for a node that has one; nor does that of a step whose
            shards others compute.

    Returns:
        A `dagster-k8s/config` by step.
    """
    steps = {node.name: node.tags for node in job.graph.node_dict.values() if CONFIG_TAG in node.tags}
    pods = {name: _gpu_pod(tags, settings) for name, tags in steps.items()}
    return {name: pod for name, pod in pods.items() if pod}


def _gpu_pod(tags: Mapping[str, str], settings: Settings) -> dict[str, Any] | None:
    return _NO_GPU if settings.device == CPU or only_waits(tags, settings) else settings.gpu_pod


def with_overrides(pods: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """What pods have besides, with what a run's configuration says of some of them put on top, key by key.

    Args:
        pods: A `dagster-k8s/config` by step.
        overrides: The same, of the run.
    """
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import UserDefinedDagsterK8sConfig

    def context(config: Mapping[str, Any]) -> K8sContainerContext:
        return K8sContainerContext(run_k8s_config=UserDefinedDagsterK8sConfig.from_dict(config))

    merged = {
        name: context(pods[name]).merge(context(override)).run_k8s_config.to_dict()
        for name, override in overrides.items()
        if name in pods
    }
    return {**pods, **overrides, **merged}
