"""The convolutional head: the original's sizes, other sizes, both types, and what is on disk."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.errors import CheckpointError, SettingsError
from glm_assets_tests.studies.impact.vectors import settings

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from glm_assets.studies.impact.network import load_head, make_head, parameter_count, predict, save_head  # noqa: E402

# What the original's stages have, each counted by hand.
ORIGINAL = (512 * 16 * 3 + 16, 16 * 32 * 3 + 32, 1184 * 10 + 10, 10 * 10 + 10, 10 * 10 + 10, 10 + 1)


def test_at_150_positions_of_512_it_is_the_originals_network():
    head = make_head(settings(), 150, 512)
    assert parameter_count(head) == sum(ORIGINAL) == 38_241
    assert head.shape.flat_size == 1184
    assert [p.numel() for p in head.parameters() if p.ndim > 1] == [24_576, 1_536, 11_840, 100, 100, 10]


def test_without_standardising_it_computes_what_plain_torch_layers_compute():
    head = make_head(settings(standardise=False), 12, 8)
    values = torch.randn(3, 12, 8)
    x = values.transpose(1, 2)
    for convolution in (head.convolutions[0], head.convolutions[3]):
        x = torch.nn.functional.conv1d(x, convolution.weight, convolution.bias, stride=1, padding=1)
        x = torch.nn.functional.max_pool1d(torch.relu(x), 2)
    x = x.flatten(1)
    for layer in (head.dense[0], head.dense[2], head.dense[4]):
        x = torch.relu(x @ layer.weight.T + layer.bias)
    expected = torch.sigmoid(x @ head.dense[6].weight.T + head.dense[6].bias)[:, 0]
    assert torch.allclose(head(values), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("length", "width", "kernel"), [(100, 64, 3), (151, 7, 5), (4, 1, 1), (33, 12, 4)])
def test_other_lengths_widths_and_types(length, width, kernel, dtype):
    head = make_head(settings(dtype=dtype, kernel=kernel), length, width)
    found = predict(head, iter([np.ones((5, length, width), np.float32)]), torch.device("cpu"))
    assert found.shape == (5,)
    assert ((found > 0) & (found < 1)).all()
    assert {parameter.dtype for parameter in head.parameters()} == {getattr(torch, dtype)}


def test_too_few_positions_are_refused_with_what_to_set():
    with pytest.raises(SettingsError, match="positions:N"):
        make_head(settings(), 3, 8)


def test_statistics_are_applied_and_no_parameters():
    head = make_head(settings(), 8, 2)
    before = parameter_count(head)
    values = torch.randn(4, 8, 2)
    plain = head(values)
    head.standardise(np.array([3.0, -1.0]), np.array([2.0, 0.5]))
    assert parameter_count(head) == before
    assert torch.allclose(head(values * torch.tensor([2.0, 0.5]) + torch.tensor([3.0, -1.0])), plain, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_saved_comes_back(tmp_path, dtype):
    head = make_head(settings(dtype=dtype), 20, 6)
    head.standardise(np.arange(6.0), np.arange(1.0, 7.0))
    save_head(head, tmp_path / "model.safetensors")
    again = load_head(tmp_path / "model.safetensors", "cpu")
    values = torch.randn(7, 20, 6)
    assert torch.equal(again(values), head(values))
    assert again.shape == head.shape


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_head(path, "cpu")
