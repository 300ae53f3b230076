"""Synthetic embedded pairs in which a direction carries the label and the length of the variant."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from glm_assets.heads.data import HeadData, PairRows, PairSet, StoredPairs, split_pairs
from glm_assets.heads.grouping import window_groups
from glm_assets.storage.embeddings import EmbeddingStore

DIM = 24


def planted_data(n: int = 240, seed: int = 0) -> HeadData:
    """Pairs whose variants move along one direction: pathogenic ones farther, longer ones farther."""
    rng = np.random.default_rng(seed)
    label = (np.arange(n) % 2).astype(np.int8)
    var_len = np.where(rng.random(n) < 0.5, 1, rng.integers(1, 30, n)).astype(np.int16)
    direction = rng.normal(size=DIM)
    step = 0.15 + 1.8 * label + 0.03 * var_len
    delta = step[:, None] * direction / np.linalg.norm(direction) + rng.normal(size=(n, DIM)) * 0.3
    rows = PairRows(
        label=label,
        var_len=var_len,
        group=window_groups(np.full(n, "21"), np.arange(n) // 2, 4),
        split=rng.choice(["train", "val", "test"], n, p=[0.7, 0.2, 0.1]),
    )
    return split_pairs(rows, in_memory(rows, rng.normal(size=(n, DIM)), delta))


def open_data(n: int = 480, seed: int = 0) -> HeadData:
    """The same kind of pairs as the open recipe takes them: soups are chosen on other pairs, and there are ladders."""
    data = planted_data(n, seed)
    half = np.arange(len(data.val)) % 2 == 0
    return HeadData(
        data.train,
        subset(data.val, half),
        subset(data.val, ~half),
        *(planted_ladders(count, seed + number) for number, count in enumerate((6, 3, 3), start=1)),
    )


def planted_ladders(count: int, seed: int) -> PairSet:
    """Ladders of ten windows each that move farther along one direction with every doubling."""
    rng = np.random.default_rng(seed)
    substitutions = np.tile(2 ** np.arange(10), count).astype(np.int16)
    direction = np.random.default_rng(99).normal(size=DIM)
    ref = np.repeat(rng.normal(size=(count, DIM)), 10, axis=0)
    delta = np.log2(1 + substitutions)[:, None] * direction * 0.1 + rng.normal(size=ref.shape) * 0.3
    ladder = np.repeat(np.arange(count), 10)
    return PairSet(
        ref.astype(np.float32), delta.astype(np.float32), np.zeros(10 * count, np.int8), substitutions, ladder
    )


def in_memory(rows: PairRows, ref: np.ndarray, delta: np.ndarray):
    """What `split_pairs` takes pairs from: vectors in memory, as float32."""

    def take(at: np.ndarray) -> PairSet:
        return PairSet(
            ref[at].astype(np.float32),
            delta[at].astype(np.float32),
            rows.label[at],
            rows.var_len[at],
            rows.group[at],
        )

    return take


def subset(pairs: PairSet, mask: np.ndarray) -> PairSet:
    """Some of the pairs."""
    arrays = {name: getattr(pairs, name)[mask] for name in ("ref", "delta", "label", "var_len", "group")}
    return replace(pairs, **arrays)


def stored(data: HeadData, folder: Path, dtype: str = "float32") -> HeadData:
    """The same data with its vectors in a store, in shards that hold rows of several sets."""
    store = EmbeddingStore(folder, dtype)
    sets = data.sets()
    keys = {name: _keys(name, len(pairs)) for name, pairs in sets.items()}
    everything = pl.concat(keys.values())
    ref, delta = (np.concatenate([getattr(pairs, part) for pairs in sets.values()]) for part in ("ref", "delta"))
    for rows in np.array_split(np.random.default_rng(0).permutation(len(everything)), 5):
        store.append(everything.gather(rows), ref[rows], delta[rows])
    found = {
        name: StoredPairs(
            store.open_pairs(keys[name]), keys[name], np.dtype(dtype), pairs.label, pairs.var_len, pairs.group
        )
        for name, pairs in sets.items()
    }
    return HeadData(**found)


def _keys(name: str, count: int) -> pl.Series:
    return pl.Series([hashlib.sha256(f"{name} {row}".encode()).hexdigest() for row in range(count)])
