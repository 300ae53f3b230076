"""Products: what the platform makes, what each is a function of, and how it is published.

A product is a folder with files and a `manifest.json`. The manifest is the truth about what exists: it names the
inputs, the recipe and the code version the files were made from, and the checksum of every file. It is written last,
so a product is either whole or absent, whatever was killed when.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from glm_assets.storage.atomic import digest_of, file_digest, write_json
from glm_assets.storage.disk_space import explained_room

if TYPE_CHECKING:
    from glm_assets.storage.remote_products import RemoteFolder

MANIFEST = "manifest.json"
Facts = dict[str, Any]

# Libraries whose version can change what a product holds.
_RECORDED_VERSIONS = ("glm_assets", "numpy", "polars", "pyarrow", "torch", "evo2", "vtx")


@dataclass(frozen=True)
class FileRecord:
    """What the manifest knows of one file: size in bytes, modification time and SHA-256."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileRecord:
        """Record the file at `path` as it is now."""
        stat = path.stat()
        return cls(stat.st_size, stat.st_mtime_ns, file_digest(path))

    def holds(self, path: Path) -> bool:
        """Whether `path` still is this file; the checksum is read only when the time stamp differs."""
        try:
            stat = path.stat()
        except FileNotFoundError:
            return False
        if stat.st_size != self.size:
            return False
        return stat.st_mtime_ns == self.mtime_ns or file_digest(path) == self.sha256


@dataclass(frozen=True)
class Manifest:
    """The record of a finished product.

    Attributes:
        asset: Asset key, such as `variant_windows`.
        partition: Chromosome, or None.
        input_digest: Digest of everything the product is a function of.
        inputs: Upstream name to its data version.
        recipe: The values of the profile that matter to the product.
        code_version: Version of the code that made it, raised by hand when its meaning changes.
        data_version: Digest of the content; equal content has an equal version however it was made.
        files: File name to record.
        facts: Counts and figures for people, JSON only.
        created: ISO 8601 time in UTC.
        versions: Versions of the libraries that can change the content.
        reused: Whether this call found the product finished; never stored.
    """

    asset: str
    partition: str | None
    input_digest: str
    inputs: Mapping[str, str]
    recipe: Mapping[str, Any]
    code_version: str
    data_version: str
    files: Mapping[str, FileRecord]
    facts: Facts
    created: str
    versions: Mapping[str, str]
    reused: bool = field(default=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The manifest as it is stored."""
        stored = {key: value for key, value in self.__dict__.items() if key not in ("files", "reused")}
        return stored | {"files": {name: record.__dict__ for name, record in self.files.items()}}

    def _is_well_typed(self) -> bool:
        mappings = (self.inputs, self.recipe, self.facts, self.versions)
        texts = (self.asset, self.input_digest, self.code_version, self.data_version, self.created)
        return all(isinstance(each, dict) for each in mappings) and all(isinstance(each, str) for each in texts)

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """Read a folder's manifest; None when there is none or it cannot be understood."""
        try:
            return cls.parse((folder / MANIFEST).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None

    @classmethod
    def parse(cls, content: bytes) -> Manifest | None:
        """A manifest from what is stored; None when it cannot be understood."""
        try:
            stored = json.loads(content.decode("utf-8"))
            files = {_inside(name): FileRecord(**record) for name, record in stored.pop("files").items()}
            manifest = cls(files=files, **stored)
            return manifest if manifest._is_well_typed() else None
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


@dataclass(frozen=True)
class Product:
    """One thing the platform makes.

    Attributes:
        asset: Asset key.
        folder: Where its files lie on this machine.
        inputs: Upstream name to data version.
        recipe: JSON-able values that the content is a function of.
        code_version: Raised by hand when the code's meaning changes.
        partition: Chromosome, or None.
        remote: Where it lies on the object store, if the data root is on one: that is where it is finished or not,
            and the folder is a copy.
    """

    asset: str
    folder: Path
    inputs: Mapping[str, str]
    recipe: Mapping[str, Any]
    code_version: str
    partition: str | None = None
    remote: RemoteFolder | None = field(default=None, compare=False, repr=False)

    @property
    def input_digest(self) -> str:
        """Digest of everything the product is a function of."""
        return digest_of(
            {
                "asset": self.asset,
                "partition": self.partition,
                "inputs": dict(self.inputs),
                "recipe": dict(self.recipe),
                "code_version": self.code_version,
            }
        )

    @property
    def place(self) -> str:
        """Where it lies, as messages show it."""
        return self.remote.url if self.remote else str(self.folder)

    def files(self) -> Path:
        """The folder, with the product's files in it: those on an object store are fetched first.

        Raises:
            MissingUpstreamError: There is no product on the object store.
            IntegrityError: A file there is damaged.
            StorageError: The object store cannot be reached, or the disk here is full.
        """
        if self.remote:
            self.remote.fetch()
        return self.folder

    def current(self) -> Manifest | None:
        """The manifest, if the product is finished, undamaged and made from today's inputs; else None."""
        manifest = self.remote.whole() if self.remote else read_whole(self.folder)
        return manifest if manifest and manifest.input_digest == self.input_digest else None

    def lost(self, manifest: Manifest) -> list[str]:
        """Those of a manifest's files that are gone or not what it says, as far as that is known without fetching."""
        if self.remote:
            return self.remote.lost(manifest)
        return [name for name, record in manifest.files.items() if not record.holds(self.folder / name)]

    def has_files(self) -> bool:
        """Whether anything lies where the product belongs, finished or not."""
        if self.remote:
            return self.remote.has_files()
        return any(path.is_file() and not path.name.startswith(".") for path in self.folder.glob("*"))

    def make(self, build: Callable[[Path], Facts], *, still_whole: Callable[[], bool] = lambda: True) -> Manifest:
        """Bring the product up to date and return its manifest.

        A finished product is returned as it is, marked `reused`. Otherwise `build` fills a working folder that
        belongs to exactly this input digest: a build that was killed finds there what it left. Two processes that
        make the same product take turns, and the second finds it finished.

        Args:
            build: Writes files into the folder it is given and returns facts about them.
            still_whole: Whether a finished product that looks whole is: what it refers to may be lost.

        Returns:
            The manifest of the published product.

        Raises:
            StorageError: The disk is full.
        """
        from filelock import FileLock

        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._sibling("lock")):
            if (manifest := self.current()) and still_whole():
                return replace(manifest, reused=True)
            work = self._sibling(f"{self.input_digest[:16]}.partial")
            with explained_room(work):
                manifest = read_whole(work) or self._build(work, build)
                self._publish(work, manifest)
            return manifest

    def _sibling(self, suffix: str) -> Path:
        return self.folder.with_name(f".{self.folder.name}.{suffix}")

    def _build(self, work: Path, build: Callable[[Path], Facts]) -> Manifest:
        for stale in self.folder.parent.glob(f".{self.folder.name}.*.partial"):
            if stale != work:
                shutil.rmtree(stale)
        work.mkdir(exist_ok=True)
        facts = build(work)
        files = {
            path.relative_to(work).as_posix(): FileRecord.of(path)
            for path in sorted(work.rglob("*"))
            if path.is_file() and path.name != MANIFEST and not _is_hidden(path.relative_to(work))
        }
        manifest = Manifest(
            asset=self.asset,
            partition=self.partition,
            input_digest=self.input_digest,
            inputs=dict(self.inputs),
            recipe=dict(self.recipe),
            code_version=self.code_version,
            data_version=facts.pop("data_version", None)
            or digest_of({name: record.sha256 for name, record in files.items()}),
            files=files,
            facts=json.loads(json.dumps(facts)),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=library_versions(),
        )
        write_json(work / MANIFEST, manifest.to_json())
        return manifest

    def _publish(self, work: Path, manifest: Manifest) -> None:
        """Upload where need be, and link the files into place.

        The working folder goes only when that is done: after a crash in between it is published, not built again.
        """
        if self.remote:
            self.remote.publish(work, manifest)
        with self.remote.writing_here() if self.remote else nullcontext():
            self._link(work, manifest)
        shutil.rmtree(work)

    def _link(self, work: Path, manifest: Manifest) -> None:
        """Link each file into place, the manifest last, and remove what it does not name."""
        for name in [*manifest.files, MANIFEST]:
            dest = self.folder / name
            dest.parent.mkdir(parents=True, exist_ok=True)
            fresh = dest.with_name(f".{dest.name}.new")
            fresh.unlink(missing_ok=True)
            link_or_copy(work / name, fresh)
            fresh.replace(dest)
        for path in list(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if path.is_file() and name != MANIFEST and name not in manifest.files:
                path.unlink()


def read_whole(folder: Path) -> Manifest | None:
    """The manifest of a folder all of whose files are there and unchanged; else None."""
    manifest = Manifest.read(folder)
    if manifest and all(record.holds(folder / name) for name, record in manifest.files.items()):
        return manifest
    return None


def link_or_copy(source: Path, dest: Path) -> None:
    """Link, so that a crash between two files leaves the working folder whole; copy where links are unknown."""
    try:
        os.link(source, dest)
    except OSError:
        shutil.copy2(source, dest)


def _inside(name: str) -> str:
    """A file's name, if it is one within its folder: a manifest on an object store may be anybody's.

    Raises:
        ValueError: It leads elsewhere.
    """
    path = PurePosixPath(name)
    if not path.name or path.is_absolute() or ".." in path.parts or set(name) & set("\\\0"):
        raise ValueError(name)
    return name


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def library_versions() -> dict[str, str]:
    """Versions of the libraries that can change what is computed, as far as they are installed."""
    found = {}
    for name in _RECORDED_VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
