"""Distances of pairs against float64, and the figure's content."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.evaluation.embedding_figures import pair_distances, plot_pair_distances


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


def test_the_figure_outlines_each_label_and_counts_the_zeros():
    pytest.importorskip("matplotlib")
    distances = pair_distances(*vectors(1e-2))
    distances[:3] = 0
    label = np.arange(200) % 2
    axes = plot_pair_distances(distances, label).axes[0]
    assert axes.get_title().startswith("200 variants, 3 with distance zero")
    assert [entry.get_text() for entry in axes.get_legend().get_texts()] == ["benign (98)", "pathogenic (99)"]


@pytest.mark.parametrize("distances", [np.zeros(5, np.float32), np.zeros(0, np.float32)])
def test_a_figure_without_any_positive_distance_is_still_made(distances):
    pytest.importorskip("matplotlib")
    figure = plot_pair_distances(distances, np.ones(len(distances), np.int8))
    assert f"{len(distances)} with distance zero" in figure.axes[0].get_title()
