"""The embedding store: vectors under content keys, appended in shards, never changed.

It is a folder or a URL; `docs/embedding_store.md` says why it is what it is. Any number of processes append at once;
a key that two of them computed is kept twice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import FormatError, MissingUpstreamError, StorageError
from glm_assets.storage.atomic import digest_of
from glm_assets.storage.mirror import Mirror
from glm_assets.storage.remote_shards import RemoteShards
from glm_assets.storage.shards import DamagedShardError, Shard, ShardFolder
from glm_assets.storage.vector_files import Vectors
from glm_assets.storage.vector_reader import VectorReader

__all__ = ["EmbeddingStore", "Vectors"]

_STORED_TYPES = ("float32", "float16")
_NO_ROWS = pl.DataFrame(schema={"key": pl.Binary, "shard": pl.String, "row": pl.UInt32})

_log = logging.getLogger(__name__)


class EmbeddingStore:
    """Vectors by key in one folder, on this machine or on an object store.

    Keys are SHA-256 hex digests (64 characters) and are stored as 32 bytes. A key has either two vectors, the
    reference and the difference variant - reference, or one, a sequence's own. The difference is what is stored,
    because two vectors that were rounded on their own lose it. Sequences are compared with each other and therefore
    stored as float32, unless their user asks for less.

    Args:
        folder: A path, or a URL that fsspec knows, such as `s3://bucket/embeddings`. Made on the first append.
            Several encoders and data roots may share it: their keys differ, or what they mean is the same.
        dtype: Type of the pairs appended from now on, `float32` or `float16`; all are read as float32. Vectors that
            are there in a coarser type count as missing.
        cache: Local folder below which copies of what is read from and written to a URL are kept.
        sequence_dtype: As `dtype`, for the vectors of sequences.

    Attributes:
        damaged: Shards set aside so far because their vectors are missing or differ from their checksum.

    Raises:
        FormatError: The type is none that can be stored.
        StorageError: The URL is of an unknown kind, or there is no folder for its copies. Every method raises it too
            when the store cannot be reached, or its disk is full.
    """

    def __init__(
        self,
        folder: Path | str,
        dtype: str = "float32",
        *,
        cache: Path | None = None,
        sequence_dtype: str = "float32",
    ) -> None:
        self._dtype, self._sequence_dtype = _stored_type(dtype), _stored_type(sequence_dtype)
        self.damaged = 0
        self._place = _open_place(folder, cache)
        self._judged: set[str] = set()
        self._shards: dict[str, Shard] = {}
        self._rows = _NO_ROWS

    @property
    def dtype(self) -> str:
        """Type of the pairs that are appended."""
        return self._dtype.name

    @property
    def sequence_dtype(self) -> str:
        """Type of the vectors of sequences that are appended."""
        return self._sequence_dtype.name

    @property
    def folder(self) -> Path:
        """Where files lie on this machine; the copies, if the store is a URL."""
        return self._place.folder

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
            StorageError: The shard cannot be kept; nothing of it is left, and the store is as it was.
        """
        self._append(keys, (ref, delta), self._dtype)

    def append_sequences(self, keys: pl.Series, vectors: Vectors) -> None:
        """Publish a shard of single vectors.

        Args:
            keys: n hex digests.
            vectors: (n, dimension).

        Raises:
            FormatError: The counts differ.
            StorageError: The shard cannot be kept; nothing of it is left, and the store is as it was.
        """
        self._append(keys, (vectors,), self._sequence_dtype)

    def read(self, keys: pl.Series) -> tuple[Vectors, Vectors]:
        """Reference vectors and differences, each (n, dimension) float32 in the order of `keys`.

        Raises:
            MissingUpstreamError: A key has no vectors.
            FormatError: The keys are not those of pairs of one encoder.
        """
        pairs = self._read(keys, per_key=2)
        return pairs[:, 0], pairs[:, 1]

    def open_pairs(self, keys: pl.Series) -> VectorReader:
        """Find pairs once, to read any of them again and again in the order of `keys`.

        Raises:
            MissingUpstreamError: A key has no vectors.
            FormatError: The keys are not those of pairs of one encoder.
        """
        return self._open(keys, per_key=2)

    def open_sequences(self, keys: pl.Series) -> VectorReader:
        """Find vectors of sequences once, to read any of them again and again in the order of `keys`.

        Raises:
            MissingUpstreamError: A key has no vector.
            FormatError: The keys are not those of sequences of one encoder.
        """
        return self._open(keys, per_key=1)

    def read_sequences(self, keys: pl.Series) -> Vectors:
        """Vectors of single sequences, (n, dimension) float32 in the order of `keys`.

        Raises:
            MissingUpstreamError: A key has no vector.
            FormatError: The keys are not those of sequences of one encoder.
        """
        return self._read(keys, per_key=1)[:, 0]

    def look(self) -> Iterator[tuple[Shard, float]]:
        """Every shard that looks whole, and its age in seconds.

        Nothing is changed, no checksum is read, and shards of a coarser type than this store's are shown too.

        Raises:
            StorageError: The store cannot be reached.
        """
        yield from self._place.look()

    def remove(self, shard: Shard) -> None:
        """Remove a shard; its keys are missing from then on unless another has them. A kill leaves no half of it."""
        self._place.remove(shard.name)

    def keep_rows(self, shard: Shard, rows: NDArray[np.integer]) -> None:
        """Put some rows of a shard, unchanged, into a new one, and remove the old one.

        A kill in between leaves both, which does no harm. A shard that turns out to be damaged is set aside.

        Args:
            shard: From `look`.
            rows: Which to keep.
        """
        try:
            file = self._place.vectors(self._place.open(shard.name))
        except DamagedShardError as error:
            self._set_aside(error)
            return
        vectors = np.load(file, mmap_mode="r")[rows]
        parts = [np.ascontiguousarray(vectors[:, number]) for number in range(vectors.shape[1])]
        self._place.publish(shard.keys.gather(rows), parts, vectors.dtype)
        self.remove(shard)

    def sweep(self, min_age_s: float = 3600.0) -> int:
        """Remove what killed writers left: temporary files and vectors that never got an index.

        Args:
            min_age_s: Younger files may belong to a writer at work and stay.

        Returns:
            Number of files removed.
        """
        return self._place.sweep(min_age_s)

    def _append(self, keys: pl.Series, parts: tuple[Vectors, ...], dtype: np.dtype[np.floating]) -> None:
        if len(keys) != len(parts[0]):
            raise FormatError(f"{len(keys)} keys for {len(parts[0])} vectors", expected="one key for each")
        self._place.publish(_as_bytes(keys), parts, dtype)

    def _locate(self, keys: pl.Series) -> pl.DataFrame:
        """Place among the keys (`at`), shard and row of each key, null where missing, in order."""
        self._refresh()
        wanted = pl.DataFrame({"key": _as_bytes(keys)}).with_row_index("at")
        found = self._rows.join(wanted, on="key", how="semi", maintain_order="left")  # few, as a rule
        places = wanted.join(found, on="key", how="left", maintain_order="left_right")
        if len(places) == len(wanted):
            return places
        return places.unique("at", keep="first", maintain_order=True)  # some keys are in several shards

    def _read(self, keys: pl.Series, per_key: int) -> Vectors:
        parts, shards = self._open_shards(keys)
        out = np.empty((len(keys), *_common_shape(shards, per_key)), np.float32)
        for part, vectors in zip(parts, shards, strict=True):
            out[part["at"].to_numpy()] = vectors[part["row"].to_numpy()]
        return out

    def _open(self, keys: pl.Series, per_key: int) -> VectorReader:
        parts, shards = self._open_shards(keys)
        _, dimension = _common_shape(shards, per_key)
        shard = np.empty(len(keys), np.int32)
        row = np.empty(len(keys), np.int64)
        for number, part in enumerate(parts):
            shard[part["at"].to_numpy()] = number
            row[part["at"].to_numpy()] = part["row"].to_numpy()
        return VectorReader(shards, shard, row, dimension)

    def _open_shards(self, keys: pl.Series) -> tuple[list[pl.DataFrame], list[NDArray[np.floating]]]:
        """Places of the keys by shard (`at` in the keys, `row` in the shard), and these shards' vectors."""
        while True:
            places = self._locate(keys)
            if absent := places["shard"].null_count():
                raise MissingUpstreamError(
                    f"{absent} of {len(keys)} keys have no vectors in {self._place.place}",
                    fix="materialise the embeddings again; only what is missing is computed",
                )
            parts = places.partition_by("shard")
            try:
                files = [self._place.vectors(self._shards[part["shard"][0]]) for part in parts]
            except DamagedShardError as error:  # seen only now; another shard may have the keys
                self._set_aside(error)
                continue
            return parts, [np.load(file, mmap_mode="r") for file in files]

    def _refresh(self) -> None:
        """Take in the shards that appeared since the last look, forget those that went, set damaged ones aside."""
        names = self._place.names()
        self._forget(self._shards.keys() - set(names))
        new = [name for name in names if name not in self._judged]
        self._place.prepare(new)
        fresh = [rows for name in new if (rows := self._take_in(name)) is not None]
        self._rows = pl.concat([self._rows, *fresh])

    def _take_in(self, name: str) -> pl.DataFrame | None:
        """The rows of a new shard, unless it is damaged or too coarse."""
        self._judged.add(name)
        try:
            shard = self._place.open(name)
        except DamagedShardError as error:
            self._set_aside(error)
            return None
        wanted = self._sequence_dtype if shard.vectors.vectors_per_key == 1 else self._dtype
        if np.dtype(shard.vectors.dtype).itemsize < wanted.itemsize:
            return None
        self._shards[name] = shard
        rows = pl.int_range(pl.len(), dtype=pl.UInt32)
        return pl.DataFrame({"key": shard.keys}).with_columns(shard=pl.lit(name), row=rows)

    def _set_aside(self, error: DamagedShardError) -> None:
        self.damaged += 1
        _log.warning(
            "shard %s of %s is set aside and will be computed again: %s",
            error.name,
            self._place.place,
            error.reason,
        )
        self._place.set_aside(error.name)
        self._forget({error.name})

    def _forget(self, names: set[str]) -> None:
        for name in names:
            self._shards.pop(name, None)
        if names:
            self._rows = self._rows.filter(~pl.col("shard").is_in(list(names)))


def _stored_type(name: str) -> np.dtype[np.floating]:
    if name not in _STORED_TYPES:
        raise FormatError(f"vectors cannot be stored as {name!r}", expected=f"one of {', '.join(_STORED_TYPES)}")
    return np.dtype(name)


def _open_place(folder: Path | str, cache: Path | None) -> ShardFolder:
    if isinstance(folder, Path):
        return ShardFolder(folder)
    if "://" not in folder:
        return ShardFolder(Path(folder).expanduser().resolve())
    if urlsplit(folder).scheme == "file":
        return ShardFolder(Path(unquote(urlsplit(folder).path)))
    mirror = Mirror(folder)
    if cache is None:
        raise StorageError(f"{mirror.url} needs a local folder for copies", fix="set GLM_LOCAL_DIR")
    return RemoteShards(mirror, cache.expanduser().resolve() / f"embeddings-{digest_of(folder)[:16]}")


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


def _as_bytes(keys: pl.Series) -> pl.Series:
    """Hex digests as 32 bytes each."""
    decoded = keys.cast(pl.String).str.decode("hex", strict=False).alias("key")
    if decoded.null_count() or (decoded.bin.size() != 32).any():
        raise FormatError("some keys are no SHA-256 hex digests", expected="64 hexadecimal digits each")
    return decoded
