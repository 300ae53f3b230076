"""How a study's values are read: a built-in YAML file by name, or a user's own with the same keys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Protocol, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from glm_assets.errors import SettingsError
from glm_assets.profiles.profile import describe
from glm_assets.storage.tables import OUTER_VALUE

BUILT_IN = ("demo", "full", "faithful")


class StudySection(BaseModel):
    """A part of a study's values: frozen, and with no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Shares(Protocol):
    """Per cent of what validates and tests."""

    @property
    def val(self) -> int:
        """Chooses epochs."""
        ...

    @property
    def test(self) -> int:
        """Judges."""
        ...


Values = TypeVar("Values", bound=StudySection)
SplitShares = TypeVar("SplitShares", bound=Shares)


def leave_some_to_train(settings: SplitShares) -> SplitShares:
    """Refuse shares of which nothing is left to train on; for a validator.

    Raises:
        ValueError: So it is.
    """
    if settings.val + settings.test > 99:
        raise ValueError("val and test leave nothing to train on")
    return settings


def with_group(pattern: str, meaning: str) -> str:
    """Refuse a regular expression without a group; for a validator.

    Args:
        pattern: The expression.
        meaning: Of its first group, for the message.

    Raises:
        ValueError: It is none, or has no group.
    """
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    if groups < 1:
        raise ValueError(f"its first group must be {meaning}")
    return pattern


def require_partitions(names: Iterable[str], kind: str) -> None:
    """Refuse names that cannot be those of partitions, which folders are called by; for a validator.

    Args:
        names: Of the partitions.
        kind: What each is, for the message.

    Raises:
        ValueError: There is none, or one is no plain name.
    """
    every = list(names)
    if not every:
        raise ValueError(f"there is no {kind}")
    for name in every:
        if not OUTER_VALUE.fullmatch(name):
            raise ValueError(f"the {kind} {name!r} is no plain name of letters, digits, dots and dashes")


def chosen_name(explicit: str | None, profile: str) -> str:
    """Name of a study's values: what the environment says, else the profile's namesake, else `demo`."""
    return explicit or (profile if profile in BUILT_IN else "demo")


def read_configuration(model: type[Values], package: str, variable: str, name: str) -> Values:
    """Read and check a study's values.

    Args:
        model: What they must be.
        package: The study's package, which holds the built-in files.
        variable: The environment variable that names them, for messages.
        name: `demo`, `full`, `faithful` or the path of a YAML file.

    Raises:
        SettingsError: There is no such file, or a key or value is wrong.
    """
    try:
        if name in BUILT_IN:
            text = (files(package) / f"{name}.yaml").read_text(encoding="utf-8")
        else:
            text = Path(name).expanduser().read_text(encoding="utf-8")
        values = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsError(
            f"{variable}={name!r} cannot be read ({error})",
            expected=f"one of {', '.join(BUILT_IN)}, or the path of a YAML file in UTF-8 with the same keys",
        ) from error
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise SettingsError(f"{variable}={name!r}: {describe(error, model)}") from None
