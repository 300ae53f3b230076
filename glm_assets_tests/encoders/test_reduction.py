"""Poolings in torch against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from glm_assets.encoders.pooling import Pooling  # noqa: E402
from glm_assets.encoders.reduction import Reduction, fixed_directions, pool_outputs  # noqa: E402


def activations(length: int = 1000):
    return torch.from_numpy(np.random.default_rng(0).normal(1, 1, (2, length, 3)).astype(np.float32)).bfloat16()


def test_mean_of_bfloat16_activations_is_taken_in_float32():
    hidden = activations()
    expected = hidden.double().mean(dim=1)
    fine, coarse = (pool_outputs(Pooling(kind), hidden) for kind in ("mean", "mean_bf16"))
    assert fine.dtype == torch.float32
    assert (fine - expected).abs().max() < 1e-6
    assert (coarse - expected).abs().max() > 1e-4


def test_mean_bf16_rounds_sum_length_and_quotient_as_the_original_does():
    hidden = activations(257)
    mask = torch.ones(2, 257, 1, dtype=torch.bfloat16)
    original = ((hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).float()
    assert torch.equal(pool_outputs(Pooling("mean_bf16"), hidden), original)
    assert mask.sum(dim=1)[0].item() == 256


def test_a_covariance_is_the_matrix_of_second_moments_along_the_fixed_directions():
    hidden = np.random.default_rng(1).normal(size=(2, 40, 8))
    found = pool_outputs(Pooling("covariance", 3), torch.from_numpy(hidden).float()).numpy()
    directions = fixed_directions(8, 3).astype(float)
    for window, vector in zip(hidden, found, strict=True):
        moments = np.cov((window @ directions.T).T, bias=True) + np.outer(
            *[(window @ directions.T).mean(axis=0)] * 2
        )
        upper = np.triu_indices(3)
        scale = np.where(upper[0] == upper[1], 1, np.sqrt(2))
        np.testing.assert_allclose(vector, moments[upper] * scale, rtol=1e-5, atol=1e-6)
        assert np.linalg.norm(vector) == pytest.approx(np.linalg.norm(moments), rel=1e-5)  # Frobenius


@pytest.mark.parametrize(("count", "zeros"), [(2, 0), (5, 0), (7, 2)])
def test_positions_are_the_first_rows_one_after_the_other_with_zeros_for_those_missing(count, zeros):
    hidden = np.arange(2 * 5 * 3).reshape(2, 5, 3)
    found = pool_outputs(Pooling("positions", count), torch.from_numpy(hidden).bfloat16())
    assert found.dtype == torch.float32
    rows = [[*window[:count].ravel(), *[0] * (3 * zeros)] for window in hidden]
    np.testing.assert_array_equal(found.numpy(), rows)


def test_directions_are_pinned_and_of_length_one():
    """They are part of every covariance ever stored: a change would silently mix vectors that do not compare."""
    directions = fixed_directions(8, 2)
    signs = (directions > 0).astype(int).tolist()
    assert signs == [[0, 1, 0, 0, 1, 0, 1, 0], [0, 0, 0, 1, 1, 1, 1, 1]]
    np.testing.assert_allclose(np.linalg.norm(fixed_directions(4096, 64), axis=1), 1, rtol=1e-6)
    inner = fixed_directions(4096, 64) @ fixed_directions(4096, 64).T
    assert np.abs(inner - np.eye(64)).max() < 0.1


@pytest.mark.parametrize("pooling", [Pooling("mean"), Pooling("covariance", 3)])
def test_pooling_before_the_projections_is_pooling_their_sum(pooling):
    generator = torch.Generator().manual_seed(0)
    inner, stream = torch.randn(20, 7, generator=generator), torch.randn(20, 5, generator=generator)
    weight = torch.randn(5, 7, generator=generator)
    before = Reduction(pooling, [weight, None], 5).pool([[inner, stream]], [20])
    after = pool_outputs(pooling, (inner @ weight.T + stream)[None])
    torch.testing.assert_close(before, after, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", [Pooling("mean"), Pooling("covariance", 3)])
def test_no_positions_are_zero(pooling):
    assert not Reduction(pooling, [None], 5).pool([[torch.empty(0, 5)]], [16]).any()
