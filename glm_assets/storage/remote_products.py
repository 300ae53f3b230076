"""A product's files on an object store, and their copies on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glm_assets.errors import IntegrityError, MissingUpstreamError, StorageError
from glm_assets.storage.atomic import atomic_path, digest_of, write_json
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
        """The manifest that is there; None without one that can be understood, or when it is marked as damaged."""
        content = self.root.read_listed(f"{self.name}/{MANIFEST}")
        manifest = Manifest.parse(content) if content is not None else None
        return manifest if manifest and not self.root.lists(self._mark(manifest)) else None

    def whole(self) -> Manifest | None:
        """The manifest, if every file is there in the recorded size; else None. No file is read."""
        manifest = self.manifest()
        return manifest if manifest and not self.lost(manifest) else None

    def lost(self, manifest: Manifest) -> list[str]:
        """Those of its files that are not there in the recorded size."""
        there = self.root.entries(self.name)
        return [
            name for name, record in manifest.files.items() if name not in there or there[name].size != record.size
        ]

    def has_files(self) -> bool:
        """Whether anything is there, of a finished product or not."""
        return bool(self.root.entries(self.name))

    def publish(self, work: Path, manifest: Manifest) -> None:
        """Upload the files of a finished working folder in place of what is there, the manifest last.

        The former manifest goes first: while files of two versions lie there, none stands that might describe them.

        Raises:
            StorageError: The store cannot be reached or refuses; nothing counts as finished there until the rest
                is uploaded, unless nothing was changed yet.
        """
        self.root.withdraw(f"{self.name}/{MANIFEST}")
        for name in self.root.entries(self.name).keys() - manifest.files.keys():
            self.root.remove(f"{self.name}/{name}")
        for name in [*manifest.files, MANIFEST]:
            self.root.put(work / name, f"{self.name}/{name}")

    def fetch(self) -> None:
        """Bring the product's files to this machine; those that are here already are kept.

        Raises:
            MissingUpstreamError: There is no product, or it goes while it is fetched.
            IntegrityError: A file differs from its checksum. The product counts as absent from then on.
            StorageError: The store cannot be reached, or the disk here is full.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            manifest = self._required()
            if all(record.holds(self.folder / name) for name, record in manifest.files.items()):
                return
            with self.writing_here():
                lost = [name for name, record in manifest.files.items() if not self._has(name, record)]
                self.root.forget()
                now = self.manifest()
                if now == manifest and not lost:
                    self._tidy(manifest)
                    return
            if now is None:
                raise MissingUpstreamError(
                    f"{self.url} was taken away while it was fetched: it is being replaced, or was found damaged",
                    fix="let the other run end, or materialise it again",
                )
            if now == manifest:
                raise self._damaged(manifest, lost)
        raise StorageError(
            f"{self.url} is being replaced again and again", fix="let the other run end and materialise again"
        )

    @contextmanager
    def writing_here(self) -> Iterator[None]:
        """One process at a time changes the copy on this machine."""
        from filelock import FileLock

        with FileLock(self.folder.with_name(f".{self.folder.name}.fetch.lock")):
            yield

    def _required(self) -> Manifest:
        if manifest := self.manifest():
            return manifest
        raise MissingUpstreamError(f"there is no finished product in {self.url}", fix="materialise it again")

    def _has(self, name: str, record: FileRecord) -> bool:
        """Whether a file is here or could be fetched whole; the way here is given a second chance."""
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
        """Mark the manifest, so that nobody relies on it; the error.

        The mark names what the manifest says. One that another machine puts in its place is not hit by it.
        """
        problem = f"{self.url}/{lost[0]} is missing or differs from its checksum"
        partition = f" --partition {manifest.partition}" if manifest.partition else ""
        fix = f"dagster asset materialize -m glm_assets.definitions --select {manifest.asset}{partition}"
        try:
            self.root.create(self._mark(manifest), f"{problem}\n".encode())
        except StorageError as error:  # a user who may only read
            return IntegrityError(
                f"{problem}, and cannot be marked as damaged ({error.problem})",
                fix=f"let somebody who may write there remove {self.url}/{MANIFEST}, and: {fix}",
            )
        return IntegrityError(f"{problem}; the product counts as absent now", fix=fix)

    def _mark(self, manifest: Manifest) -> str:
        """Name of the object by which exactly this manifest counts as absent."""
        return f"{self.name}/{MANIFEST}.{digest_of(manifest.to_json())[:16]}{DAMAGED}"
