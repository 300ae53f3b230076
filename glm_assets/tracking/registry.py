"""Registered models in MLflow: which versions there are, their files here, and who is champion."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from glm_assets.errors import IntegrityError, TrackingError
from glm_assets.storage.atomic import file_digest
from glm_assets.tracking.connection import Connection
from glm_assets.tracking.model_files import recorded_digests
from glm_assets.tracking.models import ModelVersion, pick_version

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as Entity

_PAGE = 1000  # most versions the server gives at once
_LONGEST_NAME = 200


class MlflowRegistry:
    """Registered models of an MLflow server or of its database; described by `Registry`.

    Args:
        uri: Tracking URI.
        connection: To it, if there is one already: it knows whether the server is silent.

    Raises:
        TrackingError: The URI names a file store or an unknown one.
    """

    def __init__(self, uri: str, connection: Connection | None = None) -> None:
        self._connection = connection or Connection(uri)

    def versions(self, name: str) -> list[ModelVersion]:
        """All versions of a registered model, oldest first; none where the name is unknown."""
        found: list[Entity] = []
        token: str | None = None
        with self._connection.explained():
            client = self._connection.client
            while token != "":
                page = client.search_model_versions(f"name='{name}'", max_results=_PAGE, page_token=token)
                found += page
                token = page.token or ""
            # A search gives versions without their aliases.
            aliases = client.get_registered_model(name).aliases if found else {}
        versions = [_as_version(entity, aliases) for entity in found]
        return sorted(versions, key=lambda version: int(version.version))

    def resolve(self, name: str, wanted: str) -> ModelVersion:
        """The version of a number or of an alias; see `Registry.resolve`."""
        return pick_version(name, wanted, self.versions(name), self._connection.shown)

    def fetch(self, version: ModelVersion, dest: Path) -> Path:
        """A version's files in a folder here; see `Registry.fetch`."""
        from filelock import FileLock

        digests = _checked_digests(version)
        folder = dest / version.name / version.version
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if difference(folder, digests):
                self._replace(version, folder, digests)
        return folder

    def set_alias(
        self, name: str, alias: str, version: str, *, reason: str, figures: Mapping[str, float] | None = None
    ) -> None:
        """Move an alias to a version; see `Registry.set_alias`."""
        versions = self.versions(name)
        chosen = pick_version(name, version, versions, self._connection.shown)
        before = [each for each in versions if alias in each.aliases]
        noted = {"reason": reason, "since": datetime.now(UTC).isoformat(timespec="seconds")}
        noted |= {key: f"{value:.6g}" for key, value in (figures or {}).items()}
        with self._connection.explained():
            client = self._connection.client
            # The reason first: whoever sees the alias can read why.
            for key, value in noted.items():
                client.set_model_version_tag(name, chosen.version, f"{alias}/{key}", value)
            if before and before[0].version != chosen.version:
                client.set_registered_model_alias(name, f"previous_{alias}", before[0].version)
            client.set_registered_model_alias(name, alias, chosen.version)

    def _replace(self, version: ModelVersion, folder: Path, digests: Mapping[str, str]) -> None:
        """Download into a folder beside, check it, and put it in place."""
        with _scratch_beside(folder) as scratch:
            fetched = self._download(version, scratch)
            if wrong := difference(fetched, digests):
                raise IntegrityError(
                    f"{version} on the tracking server is not what was registered: {wrong}",
                    expected="files with the checksums in the version's tags",
                    fix="find out who changed its artifacts; choose another version meanwhile",
                )
            kept = scratch / "kept"  # without the notes that MLflow leaves among artifacts that it has loaded
            kept.mkdir()
            for name in digests:
                (fetched / name).replace(kept / name)
            shutil.rmtree(folder, ignore_errors=True)
            kept.replace(folder)

    def _download(self, version: ModelVersion, scratch: Path) -> Path:
        with self._connection.explained():
            client = self._connection.client
            source = client.get_model_version_download_uri(version.name, version.version)
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        try:
            fetched = download_artifacts(
                artifact_uri=source, dst_path=str(scratch), tracking_uri=self._connection.uri
            )
        except (MlflowException, OSError) as error:
            raise TrackingError(
                self._connection.masked(f"the files of {version} cannot be read from {source}: {error}"),
                fix="mend or restore the server's artifacts, or choose another version",
            ) from self._connection.cause(error)
        return Path(fetched)


def _checked_digests(version: ModelVersion) -> dict[str, str]:
    """File name to SHA-256; only names that stay in the folder and that registration here could have written."""
    digests = recorded_digests(version.tags)
    if not digests:
        raise IntegrityError(
            f"{version} has no checksums",
            expected="a tag sha256/<file> for each of its files, as registration here writes them",
            fix="train and register it again, or download it and name its file",
        )
    for part in (version.name, version.version):
        if not _is_name(part):
            raise IntegrityError(
                f"the tracking server names a model {part!r}, which is no name of a folder",
                expected="names without slashes",
                fix="check MLFLOW_TRACKING_URI: another server stands there, or somebody changed its models",
            )
    for name in digests:
        if not _is_name(name):
            raise IntegrityError(
                f"{version} has a checksum for {name!r}, which is not the name of a file",
                expected="tags sha256/<file> as registration here writes them, without folders",
                fix="find out who changed its tags; choose another version meanwhile",
            )
    return digests


def _is_name(text: str) -> bool:
    """Whether a text names something directly in a folder."""
    return text not in ("", ".", "..") and not set(text) & set("/\\\0") and len(text) <= _LONGEST_NAME


def difference(folder: Path, digests: Mapping[str, str]) -> str | None:
    """What is wrong with a folder that should hold some files; None if nothing is.

    Args:
        folder: May be absent.
        digests: File name to SHA-256.
    """
    for name, digest in digests.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if file_digest(folder / name) != digest:
            return f"{name} has another checksum"
    return None


@contextmanager
def _scratch_beside(folder: Path) -> Iterator[Path]:
    """A folder on the same file system that goes when the block ends."""
    scratch = folder.with_name(f".{uuid.uuid4().hex[:12]}.partial")
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _as_version(entity: Entity, aliases: Mapping[str, object]) -> ModelVersion:
    return ModelVersion(
        name=str(entity.name),
        version=str(entity.version),
        run_id=entity.run_id or None,
        aliases=tuple(sorted(alias for alias, number in aliases.items() if str(number) == str(entity.version))),
        tags=dict(entity.tags),
    )
