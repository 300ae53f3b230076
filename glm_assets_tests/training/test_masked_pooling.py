"""Poolings of padded sequences against numbers worked out by hand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from glm_assets.errors import TrainingError  # noqa: E402
from glm_assets.training.masked_pooling import POOLINGS, check_pooling, pool  # noqa: E402

torch.set_num_threads(1)

# Three sequences of two channels: the second has padding on the right, the third on the left.
HIDDEN = [
    [[1.0, -4.0], [2.0, -5.0], [6.0, -9.0]],
    [[3.0, -1.0], [5.0, -2.0], [100.0, 100.0]],
    [[100.0, 100.0], [7.0, -3.0], [8.0, -8.0]],
]
MASK = [[1, 1, 1], [1, 1, 0], [0, 1, 1]]
BY_HAND = {
    "mean": [[3.0, -6.0], [4.0, -1.5], [7.5, -5.5]],
    "max": [[6.0, -4.0], [5.0, -1.0], [8.0, -3.0]],
    "last": [[6.0, -9.0], [5.0, -2.0], [8.0, -8.0]],
    "cls": [[1.0, -4.0], [3.0, -1.0], [7.0, -3.0]],
}


def test_every_pooling_has_an_expected_value():
    assert set(BY_HAND) == set(POOLINGS)


@pytest.mark.parametrize("pooling", BY_HAND)
@pytest.mark.parametrize("mask_type", ["int64", "bool"])
def test_poolings_by_hand(pooling, mask_type):
    pooled = pool(pooling, torch.tensor(HIDDEN), torch.tensor(MASK).to(getattr(torch, mask_type)))
    assert pooled.tolist() == BY_HAND[pooling]


@pytest.mark.parametrize("pooling", BY_HAND)
def test_what_lies_in_the_padding_changes_nothing(pooling):
    """Not even numbers that are none, in value or gradient."""
    mask = torch.tensor(MASK)
    for content in (0.0, -1e30, float("inf"), float("nan")):
        hidden = torch.tensor(HIDDEN).masked_fill(mask[..., None] == 0, content).requires_grad_()
        pooled = pool(pooling, hidden, mask)
        assert pooled.tolist() == BY_HAND[pooling]
        pooled.sum().backward()
        assert torch.isfinite(hidden.grad).all()
        assert not hidden.grad[mask == 0].any()


@pytest.mark.parametrize("pooling", BY_HAND)
def test_half_precision_is_pooled_in_float32(pooling):
    """A sum of 4096 ones stops at 256 in bfloat16."""
    pooled = pool(pooling, torch.ones(1, 4096, 2, dtype=torch.bfloat16), torch.ones(1, 4096))
    assert pooled.dtype == torch.float32
    assert pooled.tolist() == [[1.0, 1.0]]


def test_an_unknown_pooling_is_refused():
    with pytest.raises(TrainingError, match=r"median.*mean, max, last, cls"):
        check_pooling("median")
