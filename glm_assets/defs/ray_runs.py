"""Runs as jobs of a Ray cluster: dagster-ray's launcher, with the settings of whoever launches them."""

import dagster as dg

from glm_assets.defs.ray_environment import shown_to_all, without
from glm_assets.errors import SettingsError
from glm_assets.settings import Settings

try:
    from dagster_ray import RayRunLauncher
except ModuleNotFoundError as error:
    raise SettingsError(
        "runs are to be jobs of a Ray cluster, but the extra `ray` is not installed",
        fix="pip install -c constraints.txt -e '.[ray]'",
    ) from error


class SettingsRayRunLauncher(RayRunLauncher):
    """Gives a run the settings of this process, empty ones too, and none that its node has besides.

    A launch raises SettingsError where a setting holds a password.
    """

    def _launch_ray_job(self, submission_id: str, entrypoint: str, run: dg.DagsterRun) -> None:
        settings, configured = Settings.from_environment(), self.env_vars
        given = shown_to_all(settings.variables)
        self.env_vars = [*(configured or ()), *(f"{name}={value}" for name, value in given.items())]
        try:
            super()._launch_ray_job(submission_id, without(settings.absent_variables, entrypoint), run)
        finally:
            self.env_vars = configured
