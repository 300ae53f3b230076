"""Which vectors are there, seen without touching the store: the store itself sets damaged shards aside as it looks."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.lineage.study import Study


class StoredKeys:
    """The keys of a study's store at one moment; shards whose checksum does not hold count as there.

    Args:
        study: Whose store.
    """

    def __init__(self, study: Study) -> None:
        shards = [(shard.keys, np.dtype(shard.vectors.dtype).itemsize) for shard, _ in study.store().look()]
        frames = [pl.DataFrame({"key": keys}).with_columns(bytes=pl.lit(size, pl.Int8)) for keys, size in shards]
        self._rows = pl.concat([pl.DataFrame(schema={"key": pl.Binary, "bytes": pl.Int8}), *frames])

    def missing(self, keys: pl.Series, dtype: str) -> NDArray[np.bool_]:
        """Which keys have no vectors.

        Args:
            keys: n hex digests.
            dtype: Vectors in a coarser type do not count.

        Returns:
            (n,) True where missing.
        """
        fine = self._rows.filter(pl.col("bytes") >= np.dtype(dtype).itemsize)["key"]
        return (~keys.str.decode("hex").is_in(fine.implode())).to_numpy()
