"""Curves against scikit-learn's, and thinning that keeps their area."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from glm_assets.evaluation.score_curves import precision_recall_points, roc_points, thinned


def scores(rows: int, levels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, rows).astype(np.int8)
    return np.round((rng.normal(size=rows) + label) * levels) / levels, label


@pytest.mark.parametrize("levels", [2, 1000], ids=["ties", "no ties"])
def test_curves_are_scikit_learn_s(levels):
    score, label = scores(500, levels)
    x, y, _ = roc_curve(label, score, drop_intermediate=False)
    found = roc_points(score, label)
    assert found is not None
    np.testing.assert_allclose(found, (x, y))
    precision, recall, _ = precision_recall_curve(label, score)
    found = precision_recall_points(score, label)
    assert found is not None
    np.testing.assert_allclose(found, (recall[-2::-1], precision[-2::-1]))


def test_one_label_has_no_curve():
    assert roc_points(np.ones(3), np.ones(3, dtype=np.int8)) is None
    assert precision_recall_points(np.ones(3), np.zeros(3, dtype=np.int8)) is None


def test_a_thinned_curve_keeps_its_ends_and_its_area():
    score, label = scores(50_000, 1000)
    curve = roc_points(score, label)
    assert curve is not None
    x, y = thinned(curve, 300)
    assert len(x) <= 300
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(y, x) == pytest.approx(roc_auc_score(label, score), abs=2e-4)
