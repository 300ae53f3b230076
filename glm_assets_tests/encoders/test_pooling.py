"""Which positions poolings take, against the words that name them."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.encoders.pooling import Pooling
from glm_assets.errors import EncoderError

OFFSETS = np.array([0, 3, 50, 99])


@pytest.mark.parametrize(
    ("name", "spans"),
    [
        ("mean", [(0, 100)] * 4),
        ("mean_bf16", [(0, 100)] * 4),
        ("downstream", [(0, 100), (3, 100), (50, 100), (99, 100)]),
        ("downstream:16", [(0, 16), (3, 19), (50, 66), (99, 100)]),
        ("centre:10", [(0, 5), (0, 8), (45, 55), (94, 100)]),
        ("centre:5", [(0, 3), (1, 6), (48, 53), (97, 100)]),
        ("covariance:4", [(0, 100), (3, 100), (50, 100), (99, 100)]),
        ("positions:40", [(0, 40)] * 4),
        ("positions:140", [(0, 100)] * 4),
    ],
)
def test_positions_are_those_that_the_name_says_as_far_as_the_window_reaches(name, spans):
    pooling = Pooling.parse(name)
    assert pooling.name == name
    assert list(zip(*(bound.tolist() for bound in pooling.span(OFFSETS, 100)), strict=True)) == spans


def test_a_covariance_has_a_number_for_each_pair_of_directions():
    assert Pooling.parse("covariance:64").dimension(4096) == 64 * 65 // 2
    assert Pooling.parse("downstream:64").dimension(4096) == 4096


def test_positions_are_as_many_vectors_and_know_of_no_variant():
    pooling = Pooling.parse("positions:150")
    assert pooling.dimension(512) == 76_800
    assert not pooling.needs_variant
    assert not pooling.depends_on_offset
    assert (pooling.positions_before_variant, pooling.positions_from_variant) == (0, None)


@pytest.mark.parametrize(
    "name",
    [
        "min",
        "max:2",
        "mean:3",
        "centre",
        "covariance",
        "downstream:0",
        "positions",
        "positions:0",
        "centre:-1",
        "centre:x",
        "",
    ],
)
def test_an_unknown_pooling_is_an_error_that_lists_the_known(name):
    with pytest.raises(EncoderError, match=r"mean, mean_bf16, downstream, downstream:POSITIONS, centre:POSITIONS"):
        Pooling.parse(name)


def test_a_covariance_wider_than_any_use_is_refused():
    with pytest.raises(EncoderError, match="at most covariance:128"):
        Pooling.parse("covariance:4096")
