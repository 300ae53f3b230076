"""The environment of Ray jobs: the settings of whoever starts them and no others, and nothing secret.

A job inherits the environment of `ray start` on its node, and Ray's dashboard shows what a job is given.
"""

from collections.abc import Iterable, Mapping

from glm_assets.errors import SettingsError, StorageError
from glm_assets.storage.addresses import require_store
from glm_assets.tracking.secrets import mask


def shown_to_all(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables, none of which holds a password or a token.

    Raises:
        SettingsError: One does; the message names it and leaves its value out.
    """
    for name, value in variables.items():
        if mask(value) != value and not _is_plain_store(name, value):
            raise SettingsError(
                f"{name} holds a user, a password or a token, which Ray's dashboard would show",
                fix="leave it out of the address and set it in the environment of `ray start` on every node, "
                "as MLFLOW_TRACKING_PASSWORD or AWS_SECRET_ACCESS_KEY",
            )
    return dict(variables)


def without(variables: Iterable[str], command: str) -> str:
    """A shell's command line that runs a command without these variables of its node.

    Args:
        variables: Names.
        command: The command line of one program.
    """
    return " ".join(["env", *(f"-u {name}" for name in variables), command])


def _is_plain_store(name: str, value: str) -> bool:
    """Whether an address is an object store's without credentials, whose path may hold an @."""
    try:
        require_store(value, name)
    except StorageError:
        return False
    return True
