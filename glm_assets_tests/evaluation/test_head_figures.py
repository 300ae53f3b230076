from __future__ import annotations

import io

import numpy as np
import pytest

from glm_assets.evaluation.head_figures import distance_histogram, training_curves


def history(epochs: int) -> list[dict]:
    return [
        {
            "epoch": epoch,
            "kept": epoch % 2 == 0,
            "validation": {"score": epoch / 10, "cd": epoch / 40, "cdd": epoch / 30, "pcc": epoch / 20},
        }
        for epoch in range(1, epochs + 1)
    ]


SOUP = {"score": 0.71, "cd": 0.2, "cdd": 0.3, "pcc": 0.21}


def test_curves_show_every_epoch_the_kept_ones_and_the_soup():
    figure = training_curves("head_v1", history(6), SOUP)
    assert [axes.get_title() for axes in figure.axes] == ["score", "CD", "CDD", "PCC"]
    curve, kept, soup = figure.axes[0].lines
    assert curve.get_xydata().tolist() == [[epoch, epoch / 10] for epoch in range(1, 7)]
    assert kept.get_xydata().tolist() == [[2, 0.2], [4, 0.4], [6, 0.6]]
    assert set(soup.get_ydata()) == {0.71}
    assert "head_v1" in figure.get_suptitle()


def test_histogram_counts_each_class_and_the_zeros():
    distance = np.array([0.0, 1e-4, 1e-3, 1e-2, 1e-1])
    figure = distance_histogram("head_v0", distance, np.array([0, 0, 0, 1, 1], dtype=np.int8))
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["benign (2)", "pathogenic (2)"]
    assert "5 validation pairs, 1 with distance zero" in axes.get_title()
    assert sum(patch.get_height() for patch in axes.patches) == pytest.approx(2)


@pytest.mark.parametrize("distance", [[0.0, 0.0], [1e-3, 1e-3], [1e-3, 2e-3]])
def test_degenerate_distances_can_be_drawn(distance):
    figure = distance_histogram("head_v0", np.array(distance), np.zeros(2, dtype=np.int8))
    figure.savefig(io.BytesIO(), format="png")
    training_curves("head_v0", history(1), SOUP).savefig(io.BytesIO(), format="png")
