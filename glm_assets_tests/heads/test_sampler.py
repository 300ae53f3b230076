"""Every pair once an epoch, groups together where the recipe wants it, and whole ladders in turn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glm_assets.heads.sampler import grouped, shuffled, whole_groups


def rows_of_a_study(n: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Genes of very different sizes; most variants have length 1."""
    rng = np.random.default_rng(0)
    group = np.floor(rng.pareto(1.0, n) * 30).astype(np.int64)
    var_len = np.where(rng.random(n) < 0.8, 1, rng.integers(2, 50, n)).astype(np.int16)
    return group, var_len


def with_partners(group: np.ndarray, batches: list[np.ndarray], least: int) -> float:
    """Share of the rows that have `least` rows of their group in their batch, themselves included."""
    enough = 0
    for rows in batches:
        _, place, count = np.unique(group[rows], return_inverse=True, return_counts=True)
        enough += int((count[place] >= least).sum())
    return enough / len(group)


@pytest.mark.parametrize("size", [64, 250, 5000])
def test_every_row_comes_once_in_batches_of_one_size(size):
    group, var_len = rows_of_a_study()
    for batches in (shuffled(len(group), size), grouped(group, var_len, size, 8)):
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(group)))
        assert {len(rows) for rows in batches[:-1]} <= {size}
        assert 0 < len(batches[-1]) <= size


def test_groups_that_are_large_enough_meet_in_a_batch():
    group, var_len = rows_of_a_study()
    _, place, count = np.unique(group, return_inverse=True, return_counts=True)
    possible = (count[place] >= 4).mean()
    torch.manual_seed(0)
    batches = grouped(group, var_len, 100, 8)
    assert with_partners(group, batches, 4) > 0.9 * possible  # some hands lie across the end of a batch
    assert with_partners(group, shuffled(len(group), 100), 4) < 0.5 * possible
    assert np.mean([len(np.unique(group[rows])) for rows in batches]) > 10  # and a batch has many groups


def test_hands_have_short_and_long_variants_where_the_group_has_them():
    group = np.zeros(80, np.int64)
    var_len = np.array([1] * 60 + list(range(2, 22)), np.int16)  # a quarter of the variants is longer than 1
    for seed in range(5):
        torch.manual_seed(seed)
        hands = grouped(group, var_len, 8, 8)
        assert len(hands) == 10
        assert all(len(np.unique(var_len[rows])) == 3 for rows in hands)  # two long ones each


def test_who_is_in_a_hand_and_their_order_change_with_every_epoch():
    group, var_len = rows_of_a_study()
    torch.manual_seed(3)
    first, second = (grouped(group, var_len, 100, 8) for _ in range(2))
    assert {frozenset(rows.tolist()) for rows in first}.isdisjoint({frozenset(rows.tolist()) for rows in second})
    torch.manual_seed(3)
    assert all((a == b).all() for a, b in zip(first, grouped(group, var_len, 100, 8), strict=True))


def test_ladders_come_whole_and_all_have_their_turn():
    ladder = np.repeat([7, 3, 9, 4, 1], 10)[np.random.default_rng(0).permutation(50)]
    steps = whole_groups(ladder, 2, 10)
    assert len(steps) == 10
    for rows in steps:
        assert len(rows) in (10, 20)  # one, where two rounds meet in the same ladder
        numbers, count = np.unique(ladder[rows], return_counts=True)
        assert (count == 10).all()
        assert len(numbers) == len(rows) // 10
    times = np.unique(np.concatenate([np.unique(ladder[rows]) for rows in steps]), return_counts=True)[1]
    assert len(times) == 5
    assert times.min() >= 3
    assert len(whole_groups(ladder, 50, 3)[0]) == 50
