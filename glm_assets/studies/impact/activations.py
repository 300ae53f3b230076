"""A layer's activations over reads, read from the store some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.pooling import Pooling
from glm_assets.errors import TrainingError
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.vector_reader import VectorReader

_BLOCK_BYTES = 1 << 27


@dataclass(frozen=True)
class Activations:
    """Vectors of reads whose places in the store are known; only what is asked for is read.

    Attributes:
        reader: Of the vectors, `length * width` numbers each.
        length: Positions in a vector; 1 where the encoder pools them.
        width: Numbers at a position.
    """

    reader: VectorReader
    length: int
    width: int

    @classmethod
    def open(cls, store: EmbeddingStore, keys: pl.Series, pooling: str) -> Activations:
        """Find the vectors of keys.

        Args:
            store: Where they lie.
            keys: n keys; equal ones may occur.
            pooling: The encoder's: `positions:N` gives N positions, another one a single position.

        Raises:
            MissingUpstreamError: A key has no vector.
            TrainingError: The vectors are not of so many positions.
        """
        reader = store.open_sequences(keys)
        parsed = Pooling.parse(pooling)
        length = parsed.width if parsed.kind == "positions" and parsed.width else 1
        if reader.dimension % length:
            raise TrainingError(
                f"vectors of {reader.dimension:,} numbers are not {length} positions of equal width",
                fix="materialise impact/read_embeddings again",
            )
        return cls(reader, length, reader.dimension // length)

    def __len__(self) -> int:
        return len(self.reader)

    @property
    def block_rows(self) -> int:
        """Rows that are read at a time."""
        return max(1, _BLOCK_BYTES // (4 * max(1, self.length * self.width)))

    def read(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Activations of some rows (m,), as (m, length, width)."""
        out = np.empty((len(rows), 1, self.length * self.width), np.float32)
        if len(rows):
            self.reader.read_into(out, rows.astype(np.int64))
        return out.reshape(len(rows), self.length, self.width)

    def blocks(self, rows: NDArray[np.integer] | None = None) -> Iterator[NDArray[np.float32]]:
        """The same of many rows, all by default, in pieces that fit in memory."""
        rows = np.arange(len(self)) if rows is None else rows
        for start in range(0, len(rows), self.block_rows):
            yield self.read(rows[start : start + self.block_rows])

    def means(self, rows: NDArray[np.integer] | None = None) -> NDArray[np.float64]:
        """Mean over the positions (m, width), which the linear baseline takes."""
        found = [block.mean(axis=1, dtype=np.float64) for block in self.blocks(rows)]
        return np.concatenate([np.empty((0, self.width)), *found])

    def channel_statistics(self, rows: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation (width,) of each channel over the rows and positions; no deviation is zero."""
        count, mean, squares = 0, np.zeros(self.width), np.zeros(self.width)
        for block in self.blocks(rows):  # Chan's update: one pass, and no difference of large numbers
            flat = block.reshape(-1, self.width).astype(np.float64)
            own = flat.mean(axis=0)
            total = count + len(flat)
            squares += ((flat - own) ** 2).sum(axis=0) + (own - mean) ** 2 * count * len(flat) / total
            mean += (own - mean) * len(flat) / total
            count = total
        deviation = np.sqrt(squares / max(1, count))
        return mean, np.where(deviation > 0, deviation, 1.0)
