"""What the figures of probes and of the submission's score show."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.evaluation.probe_figures import plot_probe
from glm_assets.evaluation.score_figures import plot_scored_ladders, plot_scored_pairs

pytest.importorskip("matplotlib")


def labels_of(axes) -> list[str]:
    return [entry.get_text() for entry in axes.get_legend().get_texts()]


def test_the_roc_curve_is_scikit_learn_s_and_each_class_is_counted():
    from sklearn.metrics import auc, roc_curve

    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 200)
    probability = np.round(np.clip(rng.normal(0.4 + 0.2 * label, 0.2), 0, 1), 1)  # with ties
    curve, shares = plot_probe("linear_probe", probability, label).axes
    x, y = curve.lines[0].get_data()
    false, true, _ = roc_curve(label, probability, drop_intermediate=False)
    assert np.allclose(x, false)
    assert np.allclose(y, true)
    assert curve.get_title() == f"AUROC {auc(false, true):.4f}"
    assert labels_of(shares) == [f"benign ({(label == 0).sum()})", f"pathogenic ({(label == 1).sum()})"]


def test_pairs_are_shown_by_class_and_those_without_a_label_too():
    distance = np.array([0.0, 1e-3, 1e-2, 1e-2, 0.1, 0.2])
    [axes] = plot_scored_pairs(distance, np.array([1, 1, 1, 0, -1, -1])).axes
    assert axes.get_title().startswith("6 SNV pairs, 1 with distance zero")
    assert labels_of(axes) == ["benign (1)", "pathogenic (2)", "not in ClinVar here (2)"]


def test_each_ladder_is_a_line_and_the_median_another():
    steps = np.tile([1, 2, 4], 3)
    distance = np.array([0.1, 0.2, 0.3, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8])
    [axes] = plot_scored_ladders(steps, distance, np.repeat([4, 5, 9], 3)).axes
    assert len(axes.lines) == 4
    assert axes.lines[-1].get_ydata() == pytest.approx([0.2, 0.3, 0.4])
    assert axes.get_title() == "3 mutation ladders"
