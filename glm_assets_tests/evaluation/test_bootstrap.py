"""Resampled figures against scikit-learn with weights, and against rows that are really drawn again and again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

import glm_assets.evaluation.bootstrap as module
from glm_assets.errors import EvaluationError
from glm_assets.evaluation.bootstrap import Estimate, Resamples, combine
from glm_assets.evaluation.ranked_rows import Ranking
from glm_assets.heads.metrics import pearson_by_group


def rows(count: int = 300, clusters: int = 40, seed: int = 0, *, digits: int = 9):
    generator = np.random.default_rng(seed)
    cluster = np.unique(generator.integers(0, clusters, count), return_inverse=True)[1]
    label = (generator.random(count) < 0.3).astype(np.int8)
    return np.round(generator.normal(size=count) + 0.7 * label, digits), label, cluster


def drawn_rows(resamples: Resamples, index: int) -> np.ndarray:
    """Rows of a resample, each as often as its cluster is drawn."""
    return np.repeat(np.arange(len(resamples.cluster)), resamples.counts[index][resamples.cluster])


@pytest.mark.parametrize("digits", [9, 1, 0])
def test_areas_are_scikit_learns_on_the_drawn_rows(digits):
    score, label, cluster = rows(digits=digits)
    resamples = Resamples.draw(cluster, 30, seed=1)
    ranking = Ranking.of(score, label, cluster)
    auroc, auprc = ranking.auroc(resamples), ranking.auprc(resamples)
    assert auroc.value == pytest.approx(roc_auc_score(label, score), abs=1e-12)
    assert auprc.value == pytest.approx(average_precision_score(label, score), abs=1e-12)
    assert ranking.average_precision() == auprc.value
    for index in range(30):
        drawn = drawn_rows(resamples, index)
        assert auroc.draws[index] == pytest.approx(roc_auc_score(label[drawn], score[drawn]), abs=1e-12)
        assert auprc.draws[index] == pytest.approx(average_precision_score(label[drawn], score[drawn]), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    data=st.lists(
        st.tuples(st.sampled_from([-1.5, 0.0, 0.25, 3.0]), st.integers(0, 1), st.integers(0, 4), st.booleans()),
        min_size=1,
        max_size=25,
    )
)
def test_any_rows_and_any_part_of_them_are_ranked_as_by_scikit_learn(data):
    score, label, cluster, part = (np.array(column) for column in zip(*data, strict=True))
    cluster = np.unique(cluster, return_inverse=True)[1]
    resamples = Resamples.draw(cluster, 5, seed=0)
    own = Ranking.of(score.astype(float), label, cluster).within(part)
    auroc, auprc = own.auroc(resamples), own.auprc(resamples)
    assert own.pathogenic + own.benign == part.sum()
    assert own.loci == len(set(cluster[part]))
    for index, (area, precision) in enumerate(zip(auroc.draws, auprc.draws, strict=True)):
        drawn = drawn_rows(resamples, index)
        drawn = drawn[part[drawn]]
        if len(set(label[drawn])) < 2:
            assert np.isnan(area)
            assert np.isnan(precision)
        else:
            assert area == pytest.approx(roc_auc_score(label[drawn], score[drawn]))
            assert precision == pytest.approx(average_precision_score(label[drawn], score[drawn]))


def test_rows_without_a_score_are_left_out():
    score, label, cluster = rows()
    score[::3] = np.nan
    has = ~np.isnan(score)
    ranking = Ranking.of(score, label, cluster)
    assert sorted(ranking.row.tolist()) == np.flatnonzero(has).tolist()
    value = ranking.auroc(Resamples.draw(cluster, 1, seed=0)).value
    assert value == pytest.approx(roc_auc_score(label[has], score[has]))


def test_blocks_do_not_change_the_draws(monkeypatch):
    score, label, cluster = rows()
    resamples = Resamples.draw(cluster, 17, seed=3)
    ranking, group = Ranking.of(score, label, cluster), np.arange(len(label)) % 9
    whole = ranking.auroc(resamples).draws, resamples.pearson_by_group(score, label.astype(float), group)
    monkeypatch.setattr(module, "_BLOCK", 700)
    np.testing.assert_array_equal(ranking.auroc(resamples).draws, whole[0])
    np.testing.assert_allclose(resamples.pearson_by_group(score, label.astype(float), group), whole[1], rtol=1e-12)


def test_resamples_draw_whole_clusters_as_often_as_there_are_and_depend_on_the_seed_alone():
    _, _, cluster = rows()
    first, again, other = (Resamples.draw(cluster, 50, seed=seed).counts for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first.sum(axis=1) == cluster.max() + 1).all()
    assert abs(first.mean(axis=0) - 1).max() < 0.8, "every cluster is drawn about once in the mean"
    with pytest.raises(EvaluationError, match="0 bootstrap resamples"):
        Resamples.draw(cluster, 0, seed=5)


def test_means_are_those_of_the_drawn_rows():
    score, label, cluster = rows()
    resamples = Resamples.draw(cluster, 20, seed=2)
    mean = resamples.mean(score, label == 1)
    assert mean.value == pytest.approx(score[label == 1].mean())
    for index in range(20):
        drawn = drawn_rows(resamples, index)
        assert mean.draws[index] == pytest.approx(score[drawn][label[drawn] == 1].mean())


def test_correlations_are_those_of_the_drawn_rows():
    score, label, cluster = rows(clusters=25)
    generator = np.random.default_rng(4)
    length, group = generator.integers(1, 4, len(label)).astype(float), generator.integers(0, 60, len(label)) * 7
    resamples = Resamples.draw(cluster, 25, seed=2)
    found = resamples.pearson_by_group(length, score, group)
    for index in range(25):
        drawn = drawn_rows(resamples, index)
        expected, weight = [], []
        for one in set(group):
            own = drawn[group[drawn] == one]
            if len(set(length[own])) > 1 and len(set(score[own])) > 1:
                expected.append(np.corrcoef(length[own], score[own])[0, 1])
                weight.append(len(own) / (group == one).sum())
        assert found[index] == pytest.approx(np.average(expected, weights=weight), abs=1e-9)
    every = Resamples(cluster, np.ones((1, resamples.counts.shape[1]), np.uint16))
    plain = pearson_by_group(length, score, group).mean()
    assert every.pearson_by_group(length, score, group)[0] == pytest.approx(plain)


def test_correlations_that_do_not_exist_are_nan():
    cluster = np.arange(4)
    resamples = Resamples.draw(cluster, 3, seed=0)
    assert np.isnan(resamples.pearson_by_group(np.ones(4), np.arange(4.0), np.zeros(4, int))).all()


def test_the_interval_is_the_central_95_percent_of_the_draws_that_exist():
    draws = np.concatenate([np.arange(101.0), [np.nan] * 7])
    estimate = Estimate(50.0, np.random.default_rng(0).permutation(draws))
    assert estimate.resamples == 101
    assert estimate.interval() == pytest.approx((2.5, 97.5))
    assert np.isnan(Estimate(0.5, np.full(3, np.nan)).interval()).all()
    assert np.isnan(Estimate(np.nan, np.zeros(3)).interval()).all()


def test_combined_figures_are_combined_draw_by_draw():
    one, other = Estimate(3.0, np.array([1.0, 2.0, np.nan])), Estimate(1.0, np.array([5.0, np.nan, 1.0]))
    difference = combine(np.subtract, one, other)
    assert difference.value == 2
    np.testing.assert_array_equal(difference.draws, [-4, np.nan, np.nan])


def test_shuffled_labels_have_one_half_in_their_interval_about_19_times_in_20():
    """Clusters share their label here: resampling rows instead would cover one half far too rarely."""
    covered = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        cluster = np.repeat(np.arange(120), 5)
        label = np.repeat(generator.integers(0, 2, 120), 5)
        score = np.repeat(generator.normal(size=120), 5) + 0.1 * generator.normal(size=600)
        low, high = Ranking.of(score, label, cluster).auroc(Resamples.draw(cluster, 200, seed)).interval()
        covered += low <= 0.5 <= high
    assert covered >= 88


def test_the_interval_of_a_mean_correlation_is_as_wide_as_the_groups_differ():
    generator = np.random.default_rng(0)
    group = np.repeat(np.arange(400), 6)
    x, y = generator.normal(size=(2, 2400))
    resamples = Resamples.draw(group, 1000, seed=0)
    correlations = pearson_by_group(x, y, group)
    expected = correlations.std() / np.sqrt(400)
    assert resamples.pearson_by_group(x, y, group).std() == pytest.approx(expected, rel=0.1)
