"""The embedding store: vectors under content keys, appended in shards, never changed.

A shard is a NumPy file of shape (rows, vectors per key, dimension) and, beside it, a Parquet index with the keys
and the file's checksum. The vectors are published first and the index last: without a valid index a shard does not
exist. Shards have unique names, so any number of processes append at once; a key that two of them computed is kept
twice.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from glm_assets.errors import FormatError, MissingUpstreamError
from glm_assets.storage.atomic import atomic_path
from glm_assets.storage.products import FileRecord
from glm_assets.storage.vector_files import Vectors, write_vectors

_INDEX = ".parquet"
_VECTORS = ".npy"
_DAMAGED = ".damaged"
_RECORD = b"vectors"  # key of the index file's metadata
_STORED_TYPES = ("float32", "float16")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Shard:
    """What an index says: the keys (32 bytes each) in the order of the vectors, and the vectors' file."""

    name: str
    keys: pl.Series
    vectors: FileRecord

    @classmethod
    def read(cls, index: Path) -> _Shard:
        table = pq.read_table(index)
        record = FileRecord(**json.loads((table.schema.metadata or {})[_RECORD]))
        return cls(index.stem, pl.Series("key", table["key"].cast(pa.binary())), record)

    def write(self, index: Path) -> None:
        table = pa.table({"key": self.keys.to_arrow()})
        table = table.replace_schema_metadata({_RECORD: json.dumps(asdict(self.vectors))})
        with atomic_path(index) as temporary:
            pq.write_table(table, temporary, compression="none", use_dictionary=False)


class EmbeddingStore:
    """Vectors by key in one folder.

    Keys are SHA-256 hex digests (64 characters) and are stored as 32 bytes. A key has either two vectors, the
    reference and the difference variant - reference, or one, a sequence's own. The difference is what is stored,
    because two vectors that were rounded on their own lose it. Sequences are compared with each other and therefore
    always stored as float32.

    Args:
        folder: Made on the first append. Several encoders may share it: their keys differ.
        dtype: Type of the pairs appended from now on, `float32` or `float16`; all are read as float32. Vectors that
            are there in a coarser type count as missing.

    Attributes:
        damaged: Shards set aside so far because their vectors are missing or differ from their checksum.
    """

    def __init__(self, folder: Path, dtype: str = "float32") -> None:
        if dtype not in _STORED_TYPES:
            raise FormatError(
                f"vectors cannot be stored as {dtype!r}", expected=f"one of {', '.join(_STORED_TYPES)}"
            )
        self.folder = folder
        self.damaged = 0
        self._dtype = np.dtype(dtype)
        self._judged: set[str] = set()
        self._rows = pl.DataFrame(schema={"key": pl.Binary, "shard": pl.String, "row": pl.UInt32})

    def missing(self, keys: pl.Series) -> NDArray[np.bool_]:
        """Which keys have no vectors yet, in any process's finished shards.

        Args:
            keys: n hex digests.

        Returns:
            (n,) True where missing.
        """
        return self._locate(keys)["shard"].is_null().to_numpy()

    def append(self, keys: pl.Series, ref: Vectors, delta: Vectors) -> None:
        """Publish a shard of pairs.

        Args:
            keys: n hex digests.
            ref: (n, dimension) reference vectors.
            delta: (n, dimension) differences variant - reference.

        Raises:
            FormatError: The counts or shapes differ, or a number is beyond the range of the stored type.
        """
        self._append(keys, (ref, delta), self._dtype)

    def append_sequences(self, keys: pl.Series, vectors: Vectors) -> None:
        """Publish a shard of single vectors.

        Args:
            keys: n hex digests.
            vectors: (n, dimension).
        """
        self._append(keys, (vectors,), np.dtype(np.float32))

    def read(self, keys: pl.Series) -> tuple[Vectors, Vectors]:
        """Reference vectors and differences, each (n, dimension) float32 in the order of `keys`.

        Raises:
            MissingUpstreamError: A key has no vectors.
            FormatError: The keys are not those of pairs of one encoder.
        """
        pairs = self._read(keys, per_key=2)
        return pairs[:, 0], pairs[:, 1]

    def read_sequences(self, keys: pl.Series) -> Vectors:
        """Vectors of single sequences, (n, dimension) float32 in the order of `keys`.

        Raises:
            MissingUpstreamError: A key has no vector.
            FormatError: The keys are not those of sequences of one encoder.
        """
        return self._read(keys, per_key=1)[:, 0]

    def sweep(self, min_age_s: float = 3600.0) -> int:
        """Remove what killed writers left: temporary files and vectors that never got an index.

        Args:
            min_age_s: Younger files may belong to a writer at work and stay.

        Returns:
            Number of files removed.
        """
        removed = 0
        for path in self.folder.glob("*"):
            orphan = path.suffix == _VECTORS and not path.with_suffix(_INDEX).exists()
            if orphan or path.name.startswith("."):
                with contextlib.suppress(FileNotFoundError):  # its writer has just finished with it
                    if time.time() - path.stat().st_mtime > min_age_s:
                        path.unlink()
                        removed += 1
        return removed

    def _append(self, keys: pl.Series, parts: tuple[Vectors, ...], dtype: np.dtype[np.floating]) -> None:
        if len(keys) != len(parts[0]):
            raise FormatError(f"{len(keys)} keys for {len(parts[0])} vectors", expected="one key for each")
        digests, name = _as_bytes(keys), uuid.uuid4().hex
        record = write_vectors(self.folder / (name + _VECTORS), parts, dtype)
        _Shard(name, digests, record).write(self.folder / (name + _INDEX))

    def _locate(self, keys: pl.Series) -> pl.DataFrame:
        """Shard and row of each key, null where missing, in order."""
        self._refresh()
        wanted = pl.DataFrame({"key": _as_bytes(keys)})
        return wanted.join(self._rows, on="key", how="left", maintain_order="left")

    def _read(self, keys: pl.Series, per_key: int) -> Vectors:
        places = self._locate(keys)
        if absent := places["shard"].null_count():
            raise MissingUpstreamError(
                f"{absent} of {len(keys)} keys have no vectors in {self.folder}",
                fix="materialise the embeddings again; only what is missing is computed",
            )
        parts = places.with_row_index("at").partition_by("shard")
        shards = [np.load(self.folder / (part["shard"][0] + _VECTORS), mmap_mode="r") for part in parts]
        out = np.empty((len(keys), *self._common_shape(shards, per_key)), np.float32)
        for part, vectors in zip(parts, shards, strict=True):
            out[part["at"].to_numpy()] = vectors[part["row"].to_numpy()]
        return out

    @staticmethod
    def _common_shape(shards: list[NDArray[np.floating]], per_key: int) -> tuple[int, int]:
        """Vectors per key and dimension, which all the shards must share."""
        shapes = {vectors.shape[1:] for vectors in shards} or {(per_key, 0)}
        if len(shapes) > 1:
            raise FormatError(
                f"the keys belong to vectors of different shapes, {sorted(shapes)}",
                expected="keys of one encoder and one kind",
            )
        found, dimension = shapes.pop()
        if found != per_key:
            raise FormatError(
                f"the keys have {found} vectors each", expected=f"{per_key}: pairs have two, sequences one"
            )
        return per_key, dimension

    def _refresh(self) -> None:
        """Take in the shards that appeared since the last look, and set damaged ones aside."""
        fresh = []
        for index in sorted(self.folder.glob(f"[!.]*{_INDEX}")):
            if index.stem in self._judged:
                continue
            self._judged.add(index.stem)
            if (shard := self._open(index)) and self._is_fine_enough(shard):
                rows = pl.int_range(pl.len(), dtype=pl.UInt32)
                fresh.append(pl.DataFrame({"key": shard.keys}).with_columns(shard=pl.lit(shard.name), row=rows))
        if fresh:
            self._rows = pl.concat([self._rows, *fresh]).unique("key", keep="first", maintain_order=True)

    def _is_fine_enough(self, shard: _Shard) -> bool:
        return np.load(self.folder / (shard.name + _VECTORS), mmap_mode="r").dtype.itemsize >= self._dtype.itemsize

    def _open(self, index: Path) -> _Shard | None:
        try:
            shard = _Shard.read(index)
            if shard.vectors.holds(index.with_suffix(_VECTORS)):
                return shard
            reason = "the vectors are missing or differ from their checksum"
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            reason = f"the index cannot be read: {error}"
        self.damaged += 1
        _log.warning("shard %s is set aside and will be computed again: %s", index, reason)
        for path in (index, index.with_suffix(_VECTORS)):
            # Another process may do the same, and a reader may not be allowed to.
            with contextlib.suppress(FileNotFoundError, PermissionError):
                path.replace(path.with_name(path.name + _DAMAGED))
        return None


def _as_bytes(keys: pl.Series) -> pl.Series:
    """Hex digests as 32 bytes each."""
    decoded = keys.cast(pl.String).str.decode("hex", strict=False).alias("key")
    if decoded.null_count() or (decoded.bin.size() != 32).any():
        raise FormatError("some keys are no SHA-256 hex digests", expected="64 hexadecimal digits each")
    return decoded
