"""Lance as a contender of `store.py`: the keys and two columns of fixed-size lists of half floats.

Lance leaves syncing to the system, so new files are synced here, as the project's store does with its shards. Rows are
read by their numbers, which is quicker than by key and therefore flatters it.
"""

from __future__ import annotations

import os
from pathlib import Path

import lance
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from glm_assets.storage.embeddings import Vectors

DIMENSION = 4_096
_NONE = pl.Series([], dtype=pl.String)


class LanceDataset:
    """A Lance dataset with a fragment a shard.

    Args:
        folder: Of the dataset.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._synced: set[Path] = set()
        self._open: lance.LanceDataset | None = None
        if not (folder / "_versions").exists():  # of several writers that create a dataset at once some fail
            folder.parent.mkdir(parents=True, exist_ok=True)
            lance.write_dataset(_table(_NONE, *[np.empty((0, DIMENSION), np.float32)] * 2), str(folder))

    def append(self, keys: pl.Series, ref: Vectors, delta: Vectors) -> None:
        """Narrow and append a fragment; it is on the disk when this returns."""
        lance.write_dataset(_table(keys, ref, delta), str(self._folder), mode="append")
        for path in self._folder.rglob("*"):
            if path.is_file() and path not in self._synced:
                self._synced.add(path)
                _sync(path)

    def missing(self, keys: pl.Series) -> NDArray[np.bool_]:
        """Which keys are not there."""
        there = pl.Series(self._dataset().to_table(columns=["key"])["key"].cast(pa.binary()))
        return (~keys.str.decode("hex").is_in(there.implode())).to_numpy()

    def read(self, _keys: pl.Series, rows: NDArray[np.integer]) -> tuple[Vectors, Vectors]:
        """By row number."""
        table = self._dataset().take(rows.tolist(), columns=["ref", "delta"]).combine_chunks()
        return _floats(table["ref"]), _floats(table["delta"])

    def _dataset(self) -> lance.LanceDataset:
        if self._open is None:
            self._open = lance.dataset(str(self._folder))
        return self._open


def _table(keys: pl.Series, ref: Vectors, delta: Vectors) -> pa.Table:
    key = keys.str.decode("hex").to_arrow().cast(pa.binary(32))
    return pa.table({"key": key, "ref": _half_lists(ref), "delta": _half_lists(delta)})


def _half_lists(vectors: Vectors) -> pa.FixedSizeListArray:
    import torch

    half = torch.from_numpy(np.ascontiguousarray(vectors)).to(torch.float16).numpy()
    return pa.FixedSizeListArray.from_arrays(pa.array(half.reshape(-1)), vectors.shape[1])


def _floats(column: pa.ChunkedArray) -> Vectors:
    lists = column.combine_chunks()
    return lists.flatten().to_numpy().reshape(len(lists), -1).astype(np.float32)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
