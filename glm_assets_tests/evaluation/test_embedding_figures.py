"""The content of the figure of distances."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.evaluation.embedding_figures import plot_pair_distances
from glm_assets.heads.distances import pair_distances


def vectors(scale: float, count: int = 200, seed: int = 0):
    rng = np.random.default_rng(seed)
    ref = rng.normal(size=(count, 64)).astype(np.float32)
    return ref, (scale * rng.normal(size=(count, 64))).astype(np.float32)


def test_the_figure_outlines_each_label_and_counts_the_zeros():
    pytest.importorskip("matplotlib")
    distances = pair_distances(*vectors(1e-2))
    distances[:3] = 0
    label = np.arange(200) % 2
    axes = plot_pair_distances(distances, label).axes[0]
    assert axes.get_title().startswith("200 variants, 3 exactly zero")
    assert [entry.get_text() for entry in axes.get_legend().get_texts()] == ["benign (98)", "pathogenic (99)"]


@pytest.mark.parametrize("distances", [np.zeros(5, np.float32), np.zeros(0, np.float32)])
def test_a_figure_without_any_positive_distance_is_still_made(distances):
    pytest.importorskip("matplotlib")
    figure = plot_pair_distances(distances, np.ones(len(distances), np.int8))
    assert f"{len(distances)} exactly zero" in figure.axes[0].get_title()
