"""Shards in a folder: a NumPy file of vectors and, beside it, a Parquet index with the keys and the file's checksum.

The vectors are published first and the index last: without a valid index a shard does not exist.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from glm_assets.errors import StorageError
from glm_assets.storage.atomic import atomic_path
from glm_assets.storage.disk_space import explained_writing
from glm_assets.storage.vector_files import VectorFile, Vectors, write_vectors

INDEX = ".parquet"
VECTORS = ".npy"
DAMAGED = ".damaged"

_RECORD = b"vector_file"  # key of the index file's metadata


class DamagedShardError(Exception):
    """A shard's index cannot be read, or its vectors are not those that were written.

    Args:
        name: Of the shard.
        reason: For the log.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"{name}: {reason}")


@dataclass(frozen=True)
class Shard:
    """What an index says.

    Attributes:
        name: Common to both files.
        keys: 32 bytes each, in the order of the vectors.
        vectors: The vectors' file.
    """

    name: str
    keys: pl.Series
    vectors: VectorFile

    @classmethod
    def from_bytes(cls, name: str, content: bytes) -> Shard:
        """Read an index.

        Raises:
            DamagedShardError: It is none.
        """
        try:
            file = pq.ParquetFile(pa.py_buffer(content), page_checksum_verification=True)
            record = VectorFile(**json.loads((file.schema_arrow.metadata or {})[_RECORD]))
            keys = file.read(use_threads=False)["key"].cast(pa.binary())
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise DamagedShardError(name, f"the index cannot be read: {error}") from error
        return cls(name, pl.Series("key", keys), record)

    def to_bytes(self) -> bytes:
        """The index file's content."""
        table = pa.table({"key": self.keys.to_arrow()})
        table = table.replace_schema_metadata({_RECORD: json.dumps(asdict(self.vectors))})
        content = io.BytesIO()
        pq.write_table(table, content, compression="none", use_dictionary=False, write_page_checksum=True)
        return content.getvalue()


class ShardFolder:
    """Shards in a folder on this machine. Their names are unique, so any number of processes publish at once.

    Args:
        folder: Made when the first shard is published.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def place(self) -> str:
        """Where the shards lie, as messages show it."""
        return str(self.folder)

    def names(self) -> list[str]:
        """Shards that are there now, in a fixed order."""
        return sorted(path.stem for path in self.folder.glob(f"[!.]*{INDEX}"))

    def prepare(self, names: Sequence[str]) -> None:
        """Bring the indexes of some shards here; in a folder they are."""

    def open(self, name: str) -> Shard:
        """Read a shard's index and check that its vectors are there and unchanged.

        Raises:
            DamagedShardError: They are not.
        """
        shard = self._read_index(name)
        if not shard.vectors.holds(self.path(name, VECTORS)):
            raise DamagedShardError(name, "the vectors are missing or differ from their checksum")
        return shard

    def vectors(self, shard: Shard) -> Path:
        """The file of an open shard's vectors, on this machine.

        Raises:
            DamagedShardError: It has gone since.
        """
        path = self.path(shard.name, VECTORS)
        if not path.exists():
            raise DamagedShardError(shard.name, "the vectors are missing")
        return path

    def publish(self, keys: pl.Series, parts: Sequence[Vectors], dtype: np.dtype[np.floating]) -> str:
        """Write a shard; it is there when this returns.

        Args:
            keys: n keys of 32 bytes each.
            parts: Arrays of one shape (n, dimension).
            dtype: Type to write them in.

        Returns:
            The shard's name.

        Raises:
            FormatError: As of `write_vectors`.
            StorageError: The disk is full or the folder may not be written to; nothing of the shard is left.
        """
        name = uuid.uuid4().hex
        needed = sum(part.size for part in parts) * dtype.itemsize + keys.len() * 32
        with explained_writing(self.folder, needed):
            record = write_vectors(self.path(name, VECTORS), parts, dtype)
            try:
                self._write_index(name, Shard(name, keys, record).to_bytes())
            except OSError:
                self.path(name, VECTORS).unlink()
                raise
        return name

    def set_aside(self, name: str) -> None:
        """Rename a damaged shard's files, so that nobody reads them."""
        for suffix in (INDEX, VECTORS):
            path = self.path(name, suffix)
            # Another process may do the same, and a reader may not be allowed to.
            with contextlib.suppress(FileNotFoundError, PermissionError):
                path.replace(path.with_name(path.name + DAMAGED))

    def look(self) -> Iterator[tuple[Shard, float]]:
        """Every shard that looks whole, and its age in seconds. Nothing is changed, and no checksum is read."""
        for path in sorted(self.folder.glob(f"[!.]*{INDEX}")):
            with contextlib.suppress(OSError, DamagedShardError):  # it has just gone, or is no shard
                shard = Shard.from_bytes(path.stem, path.read_bytes())
                stat = self.path(path.stem, VECTORS).stat()
                if stat.st_size == shard.vectors.size:
                    yield shard, time.time() - path.stat().st_mtime

    def remove(self, name: str) -> None:
        """Remove a shard: the index first, so that a kill in between leaves vectors that `sweep` removes."""
        for suffix in (INDEX, VECTORS):
            self.path(name, suffix).unlink(missing_ok=True)

    def sweep(self, min_age_s: float) -> int:
        """Remove temporary files and vectors without an index that are older than `min_age_s`; returns how many."""
        leftovers = [
            path
            for path in self.folder.glob("*")
            if path.name.startswith(".") or (path.suffix == VECTORS and not path.with_suffix(INDEX).exists())
        ]
        return sum(_remove_old(path, min_age_s) for path in leftovers)

    def path(self, name: str, suffix: str) -> Path:
        """A file of a shard."""
        return self.folder / (name + suffix)

    def _read_index(self, name: str) -> Shard:
        path = self.path(name, INDEX)
        try:
            return Shard.from_bytes(name, path.read_bytes())
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EIO):
                raise DamagedShardError(name, f"the index cannot be read: {error}") from error
            raise StorageError(
                f"{path} cannot be read ({error.strerror})", fix="correct its permissions"
            ) from error

    def _write_index(self, name: str, content: bytes) -> None:
        with atomic_path(self.path(name, INDEX)) as temporary:
            temporary.write_bytes(content)


def _remove_old(path: Path, min_age_s: float) -> bool:
    with contextlib.suppress(FileNotFoundError):  # its writer has just finished with it
        if time.time() - path.stat().st_mtime > min_age_s:
            path.unlink()
            return True
    return False
