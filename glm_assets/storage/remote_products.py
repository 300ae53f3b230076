"""A product's files on an object store, and their copies on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from glm_assets.errors import IntegrityError, MissingUpstreamError, StorageError
from glm_assets.storage.atomic import atomic_path, write_json
from glm_assets.storage.disk_space import is_full
from glm_assets.storage.products import MANIFEST, FileRecord, Manifest
from glm_assets.storage.remote_root import RemoteRoot

DAMAGED = ".damaged"
_TRIES = 3  # of a product that another machine may be replacing meanwhile


@dataclass(frozen=True)
class RemoteFolder:
    """Where a product lies on an object store.

    Attributes:
        root: The data root there.
        folder: Of the product on this machine; its name there is the same.
    """

    root: RemoteRoot
    folder: Path

    @property
    def name(self) -> str:
        """Of the folder in the data root."""
        return self.root.name_of(self.folder)

    @property
    def url(self) -> str:
        """For messages."""
        return f"{self.root.url}/{self.name}"

    def manifest(self) -> Manifest | None:
        """The manifest that is there; None when there is none or it cannot be understood."""
        content = self.root.read_listed(f"{self.name}/{MANIFEST}")
        return Manifest.parse(content) if content is not None else None

    def whole(self) -> Manifest | None:
        """The manifest, if every file is there in the recorded size; else None. No file is read."""
        manifest = self.manifest()
        there = self.root.entries(self.name)
        if manifest and all(
            name in there and there[name].size == record.size for name, record in manifest.files.items()
        ):
            return manifest
        return None

    def publish(self, work: Path, manifest: Manifest) -> None:
        """Upload the files of a finished working folder, the manifest last, and remove what it does not name.

        Raises:
            StorageError: The store cannot be reached or refuses; the former manifest is still there, or none.
        """
        for name in [*manifest.files, MANIFEST]:
            self.root.put(work / name, f"{self.name}/{name}")
        for name in self.root.entries(self.name).keys() - manifest.files.keys() - {MANIFEST}:
            self.root.remove(f"{self.name}/{name}")

    def fetch(self, wanted: Callable[[str], bool] | None = None) -> None:
        """Bring the product's files to this machine; those that are here already are kept.

        Args:
            wanted: Says of a file's name whether it is; all are by default.

        Raises:
            MissingUpstreamError: There is no product.
            IntegrityError: A file differs from its checksum. The product counts as absent from then on.
            StorageError: The store cannot be reached, or the disk here is full.
        """
        from filelock import FileLock

        self.folder.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            manifest = self._required()
            if self._is_here(manifest, wanted):
                return
            with FileLock(self.folder.with_name(f".{self.folder.name}.fetch.lock")):
                lost = [name for name, record in manifest.files.items() if not self._has(name, record, wanted)]
            if not lost:
                if wanted is None:
                    self._tidy(manifest)
                return
            self.root.forget()
            if self._required() == manifest:
                raise self._damaged(manifest, lost)
        raise StorageError(
            f"{self.url} is being replaced again and again", fix="let the other run end and materialise again"
        )

    def _required(self) -> Manifest:
        if manifest := self.manifest():
            return manifest
        raise MissingUpstreamError(f"there is no finished product in {self.url}", fix="materialise it again")

    def _is_here(self, manifest: Manifest, wanted: Callable[[str], bool] | None) -> bool:
        return all(
            record.holds(self.folder / name)
            for name, record in manifest.files.items()
            if wanted is None or wanted(name)
        )

    def _has(self, name: str, record: FileRecord, wanted: Callable[[str], bool] | None) -> bool:
        """Whether a file is not wanted, here, or could be fetched whole; the way here is given a second chance."""
        if wanted and not wanted(name):
            return True
        return record.holds(self.folder / name) or self._download(name, record) or self._download(name, record)

    def _download(self, name: str, record: FileRecord) -> bool:
        dest = self.folder / name
        try:
            with atomic_path(dest) as temporary:
                if not self.root.get(f"{self.name}/{name}", temporary):
                    temporary.touch()  # an empty copy is a broken one too
        except OSError as error:
            if not is_full(error):
                raise
            raise StorageError(
                f"{self.folder} has no room for {name} ({error.strerror}): {record.size:,} bytes are needed",
                fix="free space, or let GLM_LOCAL_DIR name a larger disk, and materialise again",
            ) from error
        if not record.holds(dest):
            return False
        os.utime(dest, ns=(record.mtime_ns, record.mtime_ns))  # from now on the time stamp says which file it is
        return True

    def _tidy(self, manifest: Manifest) -> None:
        """Leave here what a data root in a folder would have: the product's files and their manifest."""
        write_json(self.folder / MANIFEST, manifest.to_json())
        for path in list(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if path.is_file() and name != MANIFEST and name not in manifest.files:
                path.unlink()

    def _damaged(self, manifest: Manifest, lost: list[str]) -> IntegrityError:
        """Set the manifest aside, so that nobody relies on it; the error."""
        name = f"{self.name}/{MANIFEST}"
        self.root.rename(name, name + DAMAGED)
        partition = f" --partition {manifest.partition}" if manifest.partition else ""
        return IntegrityError(
            f"{self.url}/{lost[0]} is missing or differs from its checksum; the product counts as absent now",
            fix=f"dagster asset materialize -m glm_assets.definitions --select {manifest.asset}{partition}",
        )
