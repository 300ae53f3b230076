"""Correlations of resampled rows equal SciPy's of the rows written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from glm_assets.evaluation.bootstrap import Resamples
from glm_assets.evaluation.correlations import correlations


def test_each_resample_is_what_scipy_says_of_its_rows_ties_included():
    generator = np.random.default_rng(0)
    y = generator.choice([0.0, 1, 2, 5, 10], 60)
    x = np.round(y + generator.normal(0, 3, 60))
    cluster = generator.permutation(np.repeat(np.arange(12), 5))
    resamples = Resamples.draw(cluster, 15, seed=2)
    pearson, spearman = correlations(x, y, resamples)
    assert pearson.value == pytest.approx(stats.pearsonr(x, y)[0])
    assert spearman.value == pytest.approx(stats.spearmanr(x, y)[0])
    for place, times in enumerate(resamples.counts):
        rows = np.repeat(np.arange(60), times[cluster])
        assert pearson.draws[place] == pytest.approx(stats.pearsonr(x[rows], y[rows])[0])
        assert spearman.draws[place] == pytest.approx(stats.spearmanr(x[rows], y[rows])[0])


def test_a_constant_correlates_with_nothing():
    resamples = Resamples.draw(np.arange(6), 10, seed=0)
    pearson, spearman = correlations(np.full(6, 0.1), np.arange(6.0), resamples)
    assert np.isnan([pearson.value, spearman.value, *pearson.draws, *spearman.draws]).all()
