"""AUROC against counting all pairs; the ridge against its textbook form."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.evaluation.ranking import auroc, ridge_scores


def test_auroc_counts_pairs_and_ties_half():
    generator = np.random.default_rng(0)
    for _ in range(20):
        score, label = generator.integers(0, 6, 30).astype(float), generator.integers(0, 2, 30)
        above = score[label == 1][:, None] - score[label == 0]
        assert auroc(score, label) == pytest.approx(((above > 0) + 0.5 * (above == 0)).mean())


def test_auroc_of_a_single_class_does_not_exist():
    assert auroc(np.arange(3.0), np.ones(3, int)) is None


def test_the_dual_ridge_is_the_primal_one():
    generator = np.random.default_rng(0)
    train, others = generator.normal(3, 2, (40, 5)).astype(np.float32), generator.normal(3, 2, (7, 5))
    label = generator.integers(0, 2, 40)
    x = (train - train.mean(0, dtype=float)) / train.std(0, dtype=float)
    z = (others - train.mean(0, dtype=float)) / train.std(0, dtype=float)
    penalty = 2.0 * np.trace(x @ x.T) / 40
    weights = np.linalg.solve(x.T @ x + penalty * np.eye(5), x.T @ (label - label.mean()))
    np.testing.assert_allclose(ridge_scores(train, label, others, strength=2.0), z @ weights, rtol=1e-8)


def test_a_constant_feature_does_no_harm():
    train = np.c_[np.ones(6), np.arange(6.0)]
    scores = ridge_scores(train, np.array([0, 0, 0, 1, 1, 1]), np.array([[1.0, 0.0], [1.0, 5.0]]))
    assert scores[0] < 0 < scores[1]
