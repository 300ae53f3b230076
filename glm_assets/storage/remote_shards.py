"""Shards on an object store, with a folder of this machine that keeps copies of what was read and written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from glm_assets.errors import StorageError
from glm_assets.storage.atomic import atomic_path
from glm_assets.storage.disk_space import explained_writing
from glm_assets.storage.mirror import Mirror
from glm_assets.storage.shards import DAMAGED, INDEX, VECTORS, DamagedShardError, Shard, ShardFolder
from glm_assets.storage.vector_files import Vectors

_LOOKED_AT_ONCE = 256  # indexes of a few hundred kilobytes each


class RemoteShards(ShardFolder):
    """Shards on an object store. What its listing shows is there, whatever the copies say.

    Args:
        mirror: The remote folder.
        cache: Folder for the copies; they may be removed at any time. It belongs to one remote folder.
    """

    def __init__(self, mirror: Mirror, cache: Path) -> None:
        super().__init__(cache)
        self._mirror = mirror
        self._sizes: dict[str, int] = {}

    @property
    def place(self) -> str:
        """Where the shards lie, as messages show it."""
        return self._mirror.url

    def names(self) -> list[str]:
        """Shards that are there now, in a fixed order."""
        self._sizes = self._mirror.sizes()
        return sorted(name.removesuffix(INDEX) for name in self._sizes if name.endswith(INDEX))

    def prepare(self, names: Sequence[str]) -> None:
        """Fetch the indexes of which there is no copy yet, together."""
        wanted = [name + INDEX for name in names if not self.path(name, INDEX).exists()]
        contents = self._mirror.read(wanted)
        with explained_writing(self.folder, sum(map(len, contents.values()))):
            for file, content in contents.items():
                self._write_index(file.removesuffix(INDEX), content)

    def open(self, name: str) -> Shard:
        """Read a shard's index and check that vectors of the right size are there.

        Raises:
            DamagedShardError: They are not.
        """
        try:
            shard = self._read_index(name)
        except DamagedShardError:  # of the copy, so far
            self.path(name, INDEX).unlink(missing_ok=True)
            self.prepare([name])
            shard = self._read_index(name)
        if self._sizes.get(name + VECTORS) != shard.vectors.size:
            raise DamagedShardError(name, "the vectors are missing or of another size")
        return shard

    def vectors(self, shard: Shard) -> Path:
        """A checked copy of a shard's vectors, fetched on the first call.

        Raises:
            DamagedShardError: They differ from their checksum, or have gone.
            StorageError: They cannot be fetched or kept.
        """
        copy = self.path(shard.name, VECTORS)
        if shard.vectors.holds(copy) or self._fetch(shard) or self._fetch(shard):  # the way here may be to blame
            return copy
        raise DamagedShardError(shard.name, "the vectors are missing or differ from their checksum")

    def publish(self, keys: pl.Series, parts: Sequence[Vectors], dtype: np.dtype[np.floating]) -> str:
        """Write a shard here and there; it is there when this returns.

        Raises:
            FormatError: As of `write_vectors`.
            StorageError: It cannot be kept here or there; nothing of it is left here.
        """
        name = super().publish(keys, parts, dtype)
        try:
            for suffix in (VECTORS, INDEX):
                self._mirror.upload(self.path(name, suffix))
        except StorageError:
            self._drop(name)
            raise
        return name

    def set_aside(self, name: str) -> None:
        """Rename a damaged shard's files there, so that nobody reads them, and drop the copies."""
        self._drop(name)
        for file in (name + INDEX, name + VECTORS):
            self._mirror.rename(file, file + DAMAGED)

    def look(self) -> Iterator[tuple[Shard, float]]:
        """Every shard that looks whole there, and its age in seconds; nothing is changed, there or here."""
        names = self.names()
        for start in range(0, len(names), _LOOKED_AT_ONCE):
            contents = self._mirror.read([name + INDEX for name in names[start : start + _LOOKED_AT_ONCE]])
            for file, content in contents.items():
                with contextlib.suppress(DamagedShardError):
                    shard = Shard.from_bytes(file.removesuffix(INDEX), content)
                    if self._sizes.get(shard.name + VECTORS) == shard.vectors.size:
                        yield shard, self._mirror.age_s(file)

    def remove(self, name: str) -> None:
        """Remove a shard there, the index first, and the copies."""
        for suffix in (INDEX, VECTORS):
            self._mirror.remove(name + suffix)
        self._drop(name)

    def sweep(self, min_age_s: float) -> int:
        """Remove vectors without an index there, and here temporary files and copies of what is not there."""
        there = set(self.names())
        orphans = [file for file in self._sizes if file.endswith(VECTORS)]
        orphans = [file for file in orphans if file.removesuffix(VECTORS) not in there]
        removed = sum(self._mirror.remove_old(file, min_age_s) for file in orphans)
        return removed + super().sweep(min_age_s)

    def _fetch(self, shard: Shard) -> bool:
        """Whether the vectors came whole."""
        copy = self.path(shard.name, VECTORS)
        with explained_writing(self.folder, shard.vectors.size), atomic_path(copy) as temporary:
            if not self._mirror.download(copy.name, temporary):
                temporary.touch()  # an empty copy is a broken one too
        return shard.vectors.holds(copy)

    def _drop(self, name: str) -> None:
        for suffix in (INDEX, VECTORS):
            self.path(name, suffix).unlink(missing_ok=True)
