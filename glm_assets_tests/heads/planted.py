"""Synthetic embedded pairs in which a direction carries the label and the length of the variant."""

from __future__ import annotations

import numpy as np

from glm_assets.heads.data import HeadData, PairRows, split_pairs, window_groups

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
    return split_pairs(rows, [(rng.normal(size=(n, DIM)).astype(np.float32), delta.astype(np.float32))])
