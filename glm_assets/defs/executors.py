"""Which executor runs the steps."""

import dagster as dg

from glm_assets.defs.executor import step_processes
from glm_assets.defs.k8s_steps import k8s_steps
from glm_assets.defs.ray_steps import ray_steps
from glm_assets.settings import Settings


def chosen_executor(settings: Settings) -> dg.ExecutorDefinition:
    """The executor that `GLM_EXECUTOR` names.

    Args:
        settings: Name it, and hold what it needs.

    Raises:
        SettingsError: dagster-k8s is not installed, or a setting that pods need is missing.
    """
    if settings.executor == "ray":
        return ray_steps(settings)
    if settings.executor == "k8s":
        return k8s_steps(settings)
    return step_processes
