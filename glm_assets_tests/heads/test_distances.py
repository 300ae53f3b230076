"""Distances of pairs against float64."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.heads.distances import pair_distances


def vectors(scale: float, count: int = 200, seed: int = 0):
    rng = np.random.default_rng(seed)
    ref = rng.normal(size=(count, 64)).astype(np.float32)
    return ref, (scale * rng.normal(size=(count, 64))).astype(np.float32)


def exact(ref, delta):
    ref, var = ref.astype(np.float64), ref.astype(np.float64) + delta.astype(np.float64)
    cosine = (ref * var).sum(axis=1) / np.linalg.norm(ref, axis=1) / np.linalg.norm(var, axis=1)
    return 1 - cosine


@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-4])
def test_distances_equal_those_in_float64_even_where_float32_cosines_are_one(scale):
    ref, delta = vectors(scale)
    assert np.allclose(pair_distances(ref, delta), exact(ref, delta), rtol=1e-2)
    assert pair_distances(ref, delta).dtype == np.float32


def test_opposite_vectors_are_two_apart_and_equal_ones_nought():
    ref = np.array([[1, 2], [3, 4]], np.float32)
    assert pair_distances(ref, np.array([[-2, -4], [0, 0]], np.float32)) == pytest.approx([2, 0])
