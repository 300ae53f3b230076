from __future__ import annotations

import warnings

import numpy as np
import pytest

from glm_assets.heads.metrics import contrast, mean_pearson, pearson_by_group


def plain_pcc(distance, var_len, group):
    found = []
    for g in np.unique(group):
        rows = group == g
        if rows.sum() >= 2 and len(set(var_len[rows])) > 1 and len(set(distance[rows])) > 1:
            found.append(np.corrcoef(var_len[rows], distance[rows])[0, 1])
    return found


@pytest.mark.parametrize("seed", range(10))
def test_figures_equal_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    n = 200
    distance = rng.uniform(0, 1, n).astype(np.float32).round(2)  # rounded: some groups have equal distances
    label = rng.integers(0, 2, n).astype(np.int8)
    var_len = np.where(rng.random(n) < 0.7, 1, rng.integers(1, 50, n)).astype(np.int16)
    group = rng.integers(0, 60, n)
    found = contrast(distance, label, var_len, group)
    expected = plain_pcc(distance.astype(np.float64), var_len, group)
    assert found.groups == len(expected)
    assert found.pcc == pytest.approx(np.mean(expected), abs=1e-12)
    assert found.cd == pytest.approx(distance.mean(dtype=np.float64))
    assert found.cdd == pytest.approx(
        distance[label == 1].mean(dtype=np.float64) - distance[label == 0].mean(dtype=np.float64)
    )
    assert found.score == pytest.approx(found.cd + found.cdd + found.pcc)


def test_a_missing_class_counts_as_the_mean_of_all():
    distance = np.array([0.2, 0.4])
    lengths, groups = np.array([1, 2], dtype=np.int16), np.zeros(2, dtype=np.int64)
    assert contrast(distance, np.ones(2, dtype=np.int8), lengths, groups).cdd == pytest.approx(0)
    assert contrast(distance, np.zeros(2, dtype=np.int8), lengths, groups).cdd == pytest.approx(0)


def test_groups_weigh_the_same_whatever_their_size():
    var_len = np.array([1, 2, 3, 4, 5, 1, 2], dtype=np.int16)
    distance = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.9, 0.8])
    group = np.array([0, 0, 0, 0, 0, 1, 1])
    assert contrast(distance, np.zeros(7, dtype=np.int8), var_len, group).pcc == pytest.approx((1 - 1) / 2)


@pytest.mark.parametrize(
    ("x", "y", "group"),
    [([1, 2], [1, 2], [0, 1]), ([1, 1], [1, 2], [0, 0]), ([1, 2], [0.1, 0.1], [0, 0]), ([], [], [])],
)
def test_groups_without_a_correlation_are_left_out(x, y, group):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pearson_by_group(np.array(x, float), np.array(y, float), np.array(group, dtype=np.int64))
    assert found.tolist() == []


def test_equal_values_that_do_not_sum_exactly_are_still_equal():
    x, y = np.array([1.0, 2.0, 3.0]), np.full(3, 0.1)  # the mean of three 0.1 is not 0.1
    assert pearson_by_group(x, y, np.zeros(3, dtype=np.int64)).tolist() == []


def test_the_normalised_score_is_the_mean_of_three_shares():
    distance = np.array([0.2, 0.4, 1.0, 1.6])
    label, length, group = (
        np.array([0, 0, 1, 1], np.int8),
        np.array([1, 2, 1, 2], np.int16),
        np.array([0, 0, 1, 1]),
    )
    found = contrast(distance, label, length, group, scoring="normalised")
    assert found.score == pytest.approx((0.8 / 2 + (1.0 / 2 + 1) / 2 + (1 + 1) / 2) / 3)
    assert contrast(distance, label, length, group).score == pytest.approx(0.8 + 1.0 + 1.0)
    with_ladders = contrast(distance, label, length, group, pcc_ladder=-1.0, scoring="normalised")
    assert with_ladders.score == pytest.approx((0.8 / 2 + (1.0 / 2 + 1) / 2 + 0) / 3)
    assert contrast(distance, label, length, group, pcc_ladder=-1.0).score == pytest.approx(2.8)  # the original's


def test_figures_that_do_not_exist_are_left_out():
    one = np.ones(1)
    plain = contrast(one, np.ones(1, np.int8), np.ones(1, np.int16), np.zeros(1, np.int64))
    assert set(plain.as_dict()) == {"cd", "cdd", "pcc", "groups", "score"}


def test_the_mean_over_ladders_is_that_of_numpys_correlations():
    rng = np.random.default_rng(0)
    ladder, substitutions = np.repeat([4, 9, 2], 10), np.tile(2 ** np.arange(10), 3).astype(np.int16)
    distance = rng.random(30)
    distance[ladder == 2] = 0.5  # a ladder that says nothing
    expected = np.mean([np.corrcoef(substitutions[ladder == i], distance[ladder == i])[0, 1] for i in (4, 9)])
    assert mean_pearson(distance, substitutions, ladder) == pytest.approx(expected)
    assert mean_pearson(distance[ladder == 2], substitutions[:10], ladder[ladder == 2]) == 0.0
