"""Reading some of many stored vectors at a time, without looking their keys up again."""

from __future__ import annotations

import mmap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class VectorReader:
    """Pairs, or vectors of sequences, whose places in the store are known. Threads may read at once.

    Args:
        shards: Vectors of each shard (rows, k, dimension), mapped from their files: k is 2 for pairs, 1 for sequences.
        shard: Shard of each key (n,).
        row: Row of each key in its shard (n,).
        dimension: Of the vectors.
    """

    def __init__(
        self,
        shards: Sequence[NDArray[np.floating]],
        shard: NDArray[np.int32],
        row: NDArray[np.int64],
        dimension: int,
    ) -> None:
        self._shards = shards
        self._shard = shard
        self._row = row
        self.dimension = dimension

    def __len__(self) -> int:
        return len(self._row)

    def read_into(self, out: NDArray[np.floating], at: NDArray[np.int64]) -> None:
        """Read the vectors of some keys into an array; nothing else of their shards is read.

        Args:
            out: Receives them (m, k, dimension), in its own type: of pairs reference vectors and differences.
            at: Which keys (m,), by their place among the keys.
        """
        order = np.lexsort((self._row[at], self._shard[at]))  # a shard at a time, and forwards
        shard, row = self._shard[at][order], self._row[at][order]
        ends = np.flatnonzero(np.diff(shard, append=-1)) + 1
        for start, end in zip([0, *ends[:-1]], ends, strict=False):
            vectors = self._shards[shard[start]]
            rows, places = row[start:end], order[start:end]
            if _consecutive(rows) and _consecutive(places):
                out[places[0] : places[-1] + 1] = vectors[rows[0] : rows[-1] + 1]
            else:
                out[places] = vectors[rows]

    def read_ahead(self) -> None:
        """Have the kernel read the shards' files into its cache, in order; it returns at once."""
        for vectors in self._shards:
            mapped = getattr(vectors, "_mmap", None)
            if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_WILLNEED"):
                mapped.madvise(mmap.MADV_WILLNEED)


def _consecutive(numbers: NDArray[np.int64]) -> bool:
    return bool((np.diff(numbers) == 1).all())
