"""Nearest distances against a plain loop, and a figure for every shape of data."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.evaluation.submission_figures import nearest_distances, plot_nearest_distances


def unit_rows(rows: int, dimensions: int = 32, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((rows, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("block", [1, 7, 50, 1024])
def test_distances_are_those_of_a_plain_loop(block):
    vectors = unit_rows(50)
    exact = vectors.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    expected = [
        min(0.5 * np.sum((one - other) ** 2) for at, other in enumerate(exact) if at != row)
        for row, one in enumerate(exact)
    ]
    np.testing.assert_allclose(nearest_distances(vectors, block=block), expected, atol=1e-14)


@pytest.mark.parametrize("angle", [1e-2, 1e-3, 1e-4, 1e-5])
def test_distances_far_below_the_rounding_of_a_float32_product_are_seen(angle):
    pair = np.array([[1, 0], [1, angle]], dtype=np.float32)
    np.testing.assert_allclose(nearest_distances(pair), 1 - np.cos(np.arctan(angle)), rtol=1e-4)


def test_equal_vectors_have_no_distance_and_an_only_vector_an_infinite_one():
    vectors = np.concatenate([unit_rows(10), unit_rows(10)[:3]])
    distances = nearest_distances(vectors)
    assert np.flatnonzero(distances < 1e-12).tolist() == [0, 1, 2, 10, 11, 12]
    assert nearest_distances(unit_rows(1)).tolist() == [np.inf]


@pytest.mark.parametrize(
    ("distances", "title"),
    [
        (np.array([0.0, 1e-3, 1e-3]), "3 test sequences, 1 with the same vector as another; median 0.001"),
        (np.full(4, 0.1), "4 test sequences, 0 with the same vector as another; median 0.1"),
        (np.zeros(5), "5 test sequences, 5 with the same vector as another"),
        (np.array([np.inf]), "1 test sequences, 0 with the same vector as another"),
    ],
    ids=["mixed", "one value", "all the same", "only one"],
)
def test_figure_shows_every_distance_and_counts_the_rest(distances, title):
    axes = plot_nearest_distances(distances).axes[0]
    assert axes.get_title() == title
    shown = sum(bar.get_height() for bar in axes.patches)
    assert shown == np.count_nonzero((distances > 1e-12) & np.isfinite(distances))
