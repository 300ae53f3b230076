"""Activations that tests make up, laid into a store as an encoder's would be."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl

from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.studies.impact.activations import Activations
from glm_assets.studies.impact.configuration import HeadSettings
from glm_assets.studies.impact.rows import Rows


def stored(folder: Path, values: np.ndarray, *, dtype: str = "float32") -> Activations:
    """Activations (n, length, width) by way of a store."""
    store = EmbeddingStore(folder / "vectors", sequence_dtype=dtype)
    keys = pl.Series("key", [hashlib.sha256(f"row {row}".encode()).hexdigest() for row in range(len(values))])
    half = len(values) // 2
    for part in (slice(0, half), slice(half, None)):  # two shards
        store.append_sequences(keys[part], values[part].reshape(len(values[part]), -1).astype(np.float32))
    return Activations.open(store, keys, f"positions:{values.shape[1]}")


def rows_of(at: np.ndarray, target: np.ndarray, copies: np.ndarray | None = None, weight=None) -> Rows:
    ones = np.ones(len(at))
    return Rows(
        at.astype(np.int64),
        target.astype(np.float64),
        (ones if copies is None else copies).astype(np.int64),
        ones if weight is None else weight,
    )


def settings(**changes) -> HeadSettings:
    values = {
        "channels": (16, 32),
        "hidden": 10,
        "dense_layers": 3,
        "kernel": 3,
        "epochs": 30,
        "patience": None,
        "batch_size": 64,
        "learning_rate": 0.003,
        "weight_decay": 0.0,
        "dtype": "float32",
        "standardise": True,
    }
    return HeadSettings(**values | changes)
