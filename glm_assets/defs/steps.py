"""What every step does before its work, and how it says what stopped it."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from glm_assets.defs.failures import failure_of
from glm_assets.defs.ownership import end_with_parent
from glm_assets.defs.remote_steps import end_with_run
from glm_assets.errors import GlmError
from glm_assets.lineage.study import Study
from glm_assets.storage.disk_space import explained_room

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def begin_step(study: Study) -> None:
    """Tie this process to its run's, and check that the data root belongs to this study."""
    end_with_parent()
    end_with_run()
    study.claim()


def explained(compute: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let an asset's function fail with what is wrong and what to do, instead of a traceback.

    Only our own errors and a full disk are turned into such a failure. Anything else is a fault of the code, of which
    the traceback tells more.
    """

    @functools.wraps(compute)
    def step(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            with explained_room():
                return compute(*args, **kwargs)
        except GlmError as error:
            raise failure_of(error) from error

    return step
