"""Poolings against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from glm_assets.encoders.pooling import POOLINGS, find_pooling, mean, mean_bf16  # noqa: E402
from glm_assets.errors import EncoderError  # noqa: E402


def activations(length: int = 1000):
    return torch.from_numpy(np.random.default_rng(0).normal(1, 1, (2, length, 3)).astype(np.float32)).bfloat16()


def test_mean_of_bfloat16_activations_is_taken_in_float32():
    hidden = activations()
    expected = hidden.double().mean(dim=1)
    assert mean(hidden).dtype == torch.float32
    assert (mean(hidden) - expected).abs().max() < 1e-6
    assert (mean_bf16(hidden) - expected).abs().max() > 1e-4


def test_mean_bf16_rounds_sum_length_and_quotient_as_the_original_does():
    hidden = activations(257)
    mask = torch.ones(2, 257, 1, dtype=torch.bfloat16)
    original = ((hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).float()
    assert torch.equal(mean_bf16(hidden), original)
    assert mask.sum(dim=1)[0].item() == 256


def test_an_unknown_pooling_is_an_error_that_lists_the_known():
    with pytest.raises(EncoderError, match=rf"'max'.*{', '.join(POOLINGS)}"):
        find_pooling("max")
