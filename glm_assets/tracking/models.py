"""What a registered model is, what a registry of models can be asked, and a registry that has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from glm_assets.errors import TrackingError

CHAMPION = "champion"
_NOWHERE = "a place where nothing is tracked"


@dataclass(frozen=True)
class ModelCard:
    """What a model takes and gives, and who loads it.

    Attributes:
        kind: `head`: rows of unit vectors; `probe`: probabilities; `regressor`: numbers.
        in_dim: Width of the vectors it takes, (n, in_dim) float32.
        out_dim: Width of the unit vectors it gives, (n, out_dim) float32; None for one number a row, (n,) float64.
        loader: Module whose `_load_pyfunc(folder)` returns an object with `predict`.
        requirements: Packages that loading needs.
    """

    kind: Literal["head", "probe", "regressor"]
    in_dim: int
    out_dim: int | None
    loader: str
    requirements: tuple[str, ...]


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model.

    Attributes:
        name: Of the registered model, such as `head_v3`.
        version: Its number, as text.
        run_id: The run that registered it; None where it is unknown.
        aliases: In order.
        tags: Among them `sha256/<file>` for each file, and why an alias is on it.
    """

    name: str
    version: str
    run_id: str | None
    aliases: tuple[str, ...]
    tags: Mapping[str, str]

    def __str__(self) -> str:
        """For people: `head_v3 version 4`."""
        return f"{self.name} version {self.version}"


class Registry(Protocol):
    """Registered models."""

    def versions(self, name: str) -> list[ModelVersion]:
        """All versions of a registered model, oldest first; none where the name is unknown."""
        ...

    def resolve(self, name: str, wanted: str) -> ModelVersion:
        """The version of a number or of an alias.

        Args:
            name: Of the registered model.
            wanted: A number, or an alias such as `champion`.

        Raises:
            TrackingError: Naming the versions and aliases that there are.
        """
        ...

    def fetch(self, version: ModelVersion, dest: Path) -> Path:
        """A version's files in a folder here, checked against the checksums that registration wrote.

        What is there already and right is left; the folder is whole or absent. Only files with a checksum are taken:
        what else lies among the artifacts stays there.

        Args:
            version: As `resolve` gives it.
            dest: Folder of all fetched models.

        Returns:
            `dest/<name>/<version>`.

        Raises:
            IntegrityError: A file is missing or another, or there are no checksums, or one of no plain file name.
            TrackingError: The files cannot be read.
        """
        ...

    def set_alias(
        self, name: str, alias: str, version: str, *, reason: str, figures: Mapping[str, float] | None = None
    ) -> None:
        """Move an alias to a version, and leave `previous_<alias>` where it was.

        Args:
            name: Of the registered model.
            alias: Such as `champion`.
            version: A number or another alias.
            reason: Why, kept as the version's tag `<alias>/reason`.
            figures: What the reason rests on, kept as tags `<alias>/<figure>`.

        Raises:
            TrackingError: There is no such version.
        """
        ...


class NullRegistry:
    """A registry that has nothing."""

    def versions(self, name: str) -> list[ModelVersion]:  # noqa: ARG002
        """None."""
        return []

    def resolve(self, name: str, wanted: str) -> ModelVersion:
        """Fails: there is nothing."""
        raise _absent(name, wanted, [], _NOWHERE)

    def fetch(self, version: ModelVersion, dest: Path) -> Path:  # noqa: ARG002
        """Fails: there is nothing."""
        raise _absent(version.name, version.version, [], _NOWHERE)

    def set_alias(
        self,
        name: str,
        alias: str,  # noqa: ARG002
        version: str,
        *,
        reason: str,  # noqa: ARG002
        figures: Mapping[str, float] | None = None,  # noqa: ARG002
    ) -> None:
        """Fails: there is nothing."""
        raise _absent(name, version, [], _NOWHERE)


def pick_version(name: str, wanted: str, versions: Sequence[ModelVersion], where: str) -> ModelVersion:
    """The version of a number or of an alias.

    Args:
        name: Of the registered model.
        wanted: A number or an alias.
        versions: All there are.
        where: The server, for the error.

    Raises:
        TrackingError: Naming the versions and aliases that there are.
    """
    for version in versions:
        if wanted == version.version or wanted in version.aliases:
            return version
    raise _absent(name, wanted, versions, where)


def _absent(name: str, wanted: str, versions: Sequence[ModelVersion], where: str) -> TrackingError:
    numbers = ", ".join(version.version for version in versions) or "none"
    aliases = ", ".join(f"{alias} ({each.version})" for each in versions for alias in each.aliases) or "none"
    kind = "version" if wanted.isdecimal() else "alias"
    return TrackingError(
        f"{name} has no {kind} {wanted} at {where}",
        expected=f"one of its versions ({numbers}) or aliases ({aliases})",
        fix=f"name a version as {name}/N, make one champion with `glm-assets champion {name} --version N`, or train "
        f"{name} with this tracking server",
    )
