"""Pools and tags: what marks an asset as work for a GPU."""

from collections.abc import Mapping
from typing import Any, TypedDict

from glm_assets.settings import Settings

GPU_POOL = "gpu"
# Run tags: asset tags do not become run tags, so jobs carry this one for the run queue's limit.
GPU_RUN_TAGS = {"glm/resource": "gpu"}


class GpuWork(TypedDict):
    """The three independent things that GPU work is: throttle, placement and selection."""

    pool: str
    op_tags: dict[str, Any]
    tags: dict[str, str]


# A step that has its shards computed by others, where `GLM_ENGINE` says so, needs no GPU itself.
SHARDED = "glm/sharded"


def only_waits(tags: Mapping[str, str], settings: Settings) -> bool:
    """Whether a step's shards are computed outside the job or pod that it is, so that this needs no GPU.

    Args:
        tags: The step's.
        settings: Say who computes shards.
    """
    elsewhere = settings.engine == "ray" or (settings.engine == "workers" and settings.worker_command is not None)
    return elsewhere and SHARDED in tags


def gpu_work(count: int = 1, *, sharded: bool = False) -> GpuWork:
    """Arguments of `@dg.asset` for a step that needs GPUs.

    Args:
        count: GPUs of one step.
        sharded: Whether an engine computes what needs them.

    Returns:
        The pool that limits concurrent steps, the tags by which Kubernetes and Ray place them, and the asset tag
        by which people select them (`tag:glm/resource=gpu`).
    """
    limits = {"resources": {"limits": {"nvidia.com/gpu": count}}}
    return GpuWork(
        pool=GPU_POOL,
        op_tags={
            "dagster-k8s/config": {"container_config": limits},
            "dagster-ray/config": {"num_gpus": count},
            **({SHARDED: "true"} if sharded else {}),
        },
        tags=GPU_RUN_TAGS,
    )
