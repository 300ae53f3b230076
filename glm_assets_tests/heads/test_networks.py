from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from glm_assets.heads.networks import Head, parameter_count
from glm_assets.heads.shapes import ORIGINAL_SHAPES, VERSIONS, HeadShape
from glm_assets_tests.heads.original_tensors import original_tensors


def small_shape(version: str) -> HeadShape:
    return replace(ORIGINAL_SHAPES[version], in_dim=12, hidden=10, out_dim=6)


def shaken(head: Head) -> Head:
    """All parameters random, so that no gate hides a branch."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return head.eval()


@pytest.mark.parametrize("version", VERSIONS)
def test_original_widths_give_the_original_tensors(version):
    with torch.device("meta"):
        head = Head(ORIGINAL_SHAPES[version])
    state = head.state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == original_tensors(version)
    assert parameter_count(head) == sum(value.numel() for value in state.values())


# Independent forward passes, written from the formulas with plain tensor functions.


def layer_norm(x, s, name):
    return F.layer_norm(x, x.shape[-1:], s[f"{name}.weight"], s[f"{name}.bias"], 1e-5)


def rms_norm(x, s, name):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6) * s[f"{name}.scale"]


def linear(x, s, name):
    return x @ s[f"{name}.weight"].T + s.get(f"{name}.bias", 0)


def gelu(x):
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


def branch(x, s, block, norm):
    normed = rms_norm(x, s, f"{block}.norm") if norm == "rms" else layer_norm(x, s, f"{block}.ln")
    if f"{block}.fc1.weight" in s:
        y = linear(gelu(linear(normed, s, f"{block}.fc1")), s, f"{block}.fc2")
    else:
        y = gelu(linear(normed, s, f"{block}.linear"))
    return s.get(f"{block}.alpha", 1) * s.get(f"{block}.layerscale", 1) * y


def expected_output(version, x, s):
    if version == "v0":
        x = gelu(layer_norm(linear(x, s, "compress.0"), s, "compress.1"))
        for i in range(6):
            x = x + gelu(layer_norm(linear(x, s, f"refine.{i}.net.0"), s, f"refine.{i}.net.1"))
        x = linear(x, s, "expand")
    else:
        norm = "rms" if version == "v3" else "layer"
        high, low = {"v1": (0, 8), "v2": (4, 12), "v3": (8, 16)}[version]
        stage = "refine" if version == "v1" else "low"
        x = linear(x, s, "proj1.skip") + branch(x, s, "proj1", norm)
        for i in range(high):
            x = x + branch(x, s, f"high.{i}", norm)
        x = linear(x, s, "proj2.skip") + branch(x, s, "proj2", norm)
        for i in range(low):
            x = x + branch(x, s, f"{stage}.{i}", norm)
        x = rms_norm(x, s, "out_norm") if norm == "rms" else layer_norm(x, s, "out_ln")
    return x / x.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_forward_pass_follows_the_formula(version):
    head = shaken(Head(small_shape(version))).double()
    x = torch.randn(5, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    state = {key.removeprefix("head."): value for key, value in head.state_dict().items()}
    torch.testing.assert_close(head(x), expected_output(version, x, state), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("version", VERSIONS)
def test_dropout_acts_only_while_training(version):
    head = shaken(Head(small_shape(version), dropout=0.5))
    x = torch.randn(4, 12)
    assert torch.equal(head(x), head(x))
    head.train()
    assert not torch.equal(head(x), head(x))


def test_a_zero_vector_stays_finite():
    head = Head(small_shape("v3")).eval()
    assert torch.isfinite(head(torch.zeros(1, 12))).all()


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_branches_start_silent(version):
    state = Head(small_shape(version)).state_dict()
    silent = [key for key in state if ".linear." in key or ".fc2." in key or key.endswith("alpha")]
    assert silent
    assert all(not state[key].any() for key in silent)
    assert all(state[key].any() for key in state if "skip" in key or "fc1.weight" in key)
    scales = [value for key, value in state.items() if key.endswith("layerscale")]
    assert all(torch.equal(value, torch.full_like(value, 0.01)) for value in scales)
    assert bool(scales) == (version == "v3")


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_gates_start_where_they_are_told(version):
    for gate in (0.0, 1.0):
        state = Head(small_shape(version), gate=gate).state_dict()
        assert {value.item() for key, value in state.items() if key.endswith("alpha")} == {gate}
        last = [value for key, value in state.items() if ".linear." in key or ".fc2." in key]
        assert not any(value.any() for value in last)


@pytest.mark.parametrize("version", VERSIONS)
def test_autocast_narrows_products_but_not_the_vectors(version):
    head = shaken(Head(small_shape(version)))
    x = torch.randn(50, 12, generator=torch.Generator().manual_seed(1))
    widths = []
    for name, module in head.named_modules():
        if name.endswith(("norm", "ln")):
            module.register_forward_hook(lambda module, inputs, out: widths.append(inputs[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        narrow = head(x)
    assert narrow.dtype == torch.float32
    assert set(widths) <= {torch.float32}  # the stream that blocks add to
    wide = head(x)
    assert not torch.equal(narrow, wide)
    assert (narrow * wide).sum(-1).min() > 0.999
    assert (narrow.square().sum(-1) - 1).abs().max() < 1e-6


def test_references_and_variants_may_pass_as_one_batch():
    head = shaken(Head(small_shape("v3")))
    ref, var = torch.randn(2, 8, 12, generator=torch.Generator().manual_seed(1))
    together = head(torch.cat([ref, var])).chunk(2)
    torch.testing.assert_close(together, (head(ref), head(var)))
