"""Every pooling of pairs against its definition, computed from vtx's own full forwards of whole windows, in float64.

Tolerance 1e-5 of the reference vector's norm, as for the paired forward. The direct terms D and biases are random here:
the demo's own are partly zero, which would hide a term that is left out.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("vortex")

from glm_assets.encoders.reduction import fixed_directions  # noqa: E402
from glm_assets.encoders.registry import encoder_spec, make_encoder  # noqa: E402
from glm_assets.errors import EncoderError  # noqa: E402
from glm_assets_tests.encoders.conftest import LAYER, random_windows  # noqa: E402
from glm_assets_tests.encoders.evo2.test_pairs import deletion, insertion, outputs, snv  # noqa: E402

TOLERANCE = 1e-5
LENGTH = 300  # more than hcm's 128 taps, and no power of two
PLACES = [0, 1, 5, 127, 150, 298, 299]


def make(weights, pooling, layer=LAYER, **options):
    spec = encoder_spec("demo", revision="0", layer=layer, pooling=pooling, device="cpu")
    encoder = make_encoder(spec, weights=weights, device="cpu", **options)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in encoder._model.named_parameters():
            if name.endswith(("filter.D", "out_filter_dense.bias", "out_proj.bias")):
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return encoder


def by_definition(pooling, ref, var, offset):
    """Reference vector and difference of one pair from its per-position outputs (L, d)."""
    kind, _, number = pooling.partition(":")
    width = int(number or 0)
    if kind == "covariance":
        directions = fixed_directions(ref.shape[1], width).astype(float)
        row, column = np.triu_indices(width)

        def moments(x):
            matrix = np.einsum("ti,tj->ij", x @ directions.T, x @ directions.T) / len(x)
            return matrix[row, column] * np.where(row == column, 1, 2**0.5)

        return moments(ref[offset:]), moments((var - ref)[offset:])
    places = {
        "mean": range(len(ref)),
        "downstream": range(offset, min(len(ref), offset + width) if width else len(ref)),
        "centre": range(max(0, offset - width // 2), min(len(ref), offset + width - width // 2)),
    }[kind]
    return ref[places].mean(axis=0), (var - ref)[places].mean(axis=0)


@pytest.mark.parametrize("layer", [LAYER, "blocks.25", "blocks.24.inner_mha_cls", "logits"])
def test_positions_are_the_layers_outputs_themselves(weights, layer):
    """Against vtx's own forward with a hook, or its logits; 40 of 64 positions, and zeros after a shorter window."""
    windows = random_windows(3, 64).copy()
    encoder = make(weights, "positions:40", layer)
    whole, shown = make(weights, "log_likelihood", "logits")._model, []
    if layer != "logits":
        whole.get_submodule(layer).register_forward_hook(lambda _module, _inputs, out: shown.append(out))
    with torch.no_grad():
        logits = whole(torch.from_numpy(windows.astype(np.int64)))[0]
    output = shown[0] if shown else logits
    expected = (output[0] if isinstance(output, tuple) else output)[:, :40].numpy()
    windows[2, 10:] = 0
    vectors = encoder.embed(windows)
    assert vectors.shape == (3, encoder.spec.dimension)
    found = vectors.reshape(3, 40, -1)
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found[2, :10], expected[2, :10], rtol=1e-3, atol=1e-3)
    assert not found[2, 10:].any()


def test_positions_of_pairs_differ_from_the_variant_on(weights):
    ref = random_windows(2, 64)
    var = ref.copy()
    var[:, 20] = np.where(var[:, 20] == ord("A"), ord("C"), ord("A"))
    encoder = make(weights, "positions:40")
    vectors, delta = encoder.embed_pairs(ref, var, np.full(2, 20))
    np.testing.assert_allclose(vectors + delta, encoder.embed(var), atol=1e-5)
    delta = np.abs(delta.reshape(2, 40, 16))
    assert delta[:, :20].max() < 1e-4 < delta[:, 20].max(axis=1).min()


def test_logits_go_with_positions_and_likelihoods_alone():
    for layer, pooling in (("logits", "mean"), ("logits", "covariance:3"), (LAYER, "log_likelihood")):
        with pytest.raises(EncoderError, match=f"'{layer}' does not go with pooling '{pooling}'"):
            encoder_spec("demo", revision="0", layer=layer, pooling=pooling, device="cpu")
    assert (
        encoder_spec("evo2_7b", revision="0", layer="logits", pooling="positions:150", device="cpu").dimension
        == 76_800
    )


def assert_by_definition(encoder, ref, var, offset):
    pooling, layer = encoder.spec.pooling, encoder.spec.layer
    found = encoder.embed_pairs(ref, var, offset)
    of_ref, of_var = (outputs(encoder._model, layer, windows) for windows in (ref, var))
    expected = [by_definition(pooling, *pair) for pair in zip(of_ref, of_var, offset.tolist(), strict=True)]
    assert found[0].shape == (len(ref), encoder.spec.dimension)
    for mine, row, (vector, delta) in zip(np.stack(found, 1), range(len(ref)), expected, strict=True):
        norm = np.linalg.norm(vector)
        assert np.linalg.norm(mine[0] - vector) <= TOLERANCE * norm, (pooling, row)
        assert np.linalg.norm(mine[1] - delta) <= TOLERANCE * norm, (pooling, row)
        assert np.linalg.norm(delta) > 100 * TOLERANCE * norm  # the comparison says something


def pairs_everywhere(length=LENGTH, places=PLACES):
    """SNVs, insertions and deletions at each place, several of one window and windows of their own."""
    windows = random_windows(3, length)
    rows = [
        (index % 3, change, at)
        for index, (change, at) in enumerate(itertools.product([snv, insertion, deletion], places))
    ]
    ref = windows[[of for of, _, _ in rows]]
    var = np.stack([change(windows[of], at) for of, change, at in rows])
    return ref, var, np.array([at for _, _, at in rows])


@pytest.mark.parametrize(
    "pooling",
    [
        "mean",
        "downstream",
        "downstream:1",
        "downstream:16",
        "downstream:128",
        "downstream:1000",
        "centre:64",
        "covariance:8",
    ],
)
def test_a_pooling_is_its_definition_wherever_and_whatever_the_variant_is(weights, pooling):
    assert_by_definition(make(weights, pooling), *pairs_everywhere())


@pytest.mark.parametrize("pooling", ["downstream:32", "centre:33", "covariance:4"])
@pytest.mark.parametrize(
    "layer", ["blocks.0", "blocks.2.mlp", "blocks.3.mlp.l3", "blocks.16", "blocks.6.projections"]
)
def test_a_pooling_is_its_definition_at_every_kind_of_layer(weights, pooling, layer):
    encoder = make(weights, pooling, layer)
    assert (encoder.spec.extras["pairs"] == "two_forwards") == layer.endswith("projections")
    assert_by_definition(encoder, *pairs_everywhere(140, [0, 64, 139]))


def test_the_real_windows_length_is_exact_too(weights):
    ref, var, offset = pairs_everywhere(1024, [0, 512, 895, 1023])
    assert_by_definition(make(weights, "downstream:128"), ref, var, offset)


@pytest.mark.parametrize("pooling", ["downstream:16", "centre:20", "covariance:4"])
def test_vectors_do_not_depend_on_batch_size_or_order(weights, pooling):
    ref, var, offset = pairs_everywhere()
    vectors, delta = make(weights, pooling).embed_pairs(ref, var, offset)
    order = np.random.default_rng(0).permutation(len(ref))
    for batch_tokens in (1, 2 * LENGTH, 5 * LENGTH):
        small = make(weights, pooling, batch_tokens=batch_tokens)
        again = small.embed_pairs(ref[order], var[order], offset[order])
        norm = np.linalg.norm(vectors[order], axis=1, keepdims=True)
        for mine, expected in zip(again, (vectors[order], delta[order]), strict=True):
            assert (np.abs(mine - expected) / norm).max() <= 2e-6


def test_nothing_after_the_pooled_positions_is_computed(weights):
    encoder = make(weights, "downstream:16")
    windows = random_windows(2, LENGTH)
    ref, offset = windows[[0, 0, 1]], np.array([100, 120, 40])
    var = np.stack([snv(window, at) for window, at in zip(ref, offset, strict=True)])
    seen = []
    encoder._model.blocks[5].mlp.l1.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].shape[:2])
    )
    before = encoder.embed_pairs(ref, var, offset)
    assert [tuple(shape) for shape in seen] == [(2, 136), (3, 16)]
    assert encoder.tokens_computed == 2 * 136 + 3 * 16
    ref[:, 136:], var[:, 136:] = ord("A"), ord("C")
    for mine, expected in zip(encoder.embed_pairs(ref, var, offset), before, strict=True):
        assert np.array_equal(mine, expected)


def test_before_the_first_difference_a_variant_changes_exactly_nothing(weights):
    """An insertion in a repeat differs from its reference only where the repeat ends."""
    window = random_windows(1, LENGTH)[0]
    window[100:140] = ord("A")
    var = np.concatenate([window[:100], window[100:101], window[100:-1]])
    first = int((window != var).argmax())
    assert first == 140
    for pooling in ("downstream:40", "centre:80"):
        _, delta = make(weights, pooling).embed_pairs(window[None], var[None], np.array([100]))
        assert not delta.any()
    assert make(weights, "downstream:41").embed_pairs(window[None], var[None], np.array([100]))[1].any()


@pytest.mark.parametrize("pooling", ["downstream", "downstream:16", "centre:20"])
def test_a_pooling_around_a_variant_is_refused_for_a_sequence(weights, pooling):
    with pytest.raises(EncoderError, match="no meaning for a single sequence"):
        make(weights, pooling).embed(random_windows(1))


@pytest.mark.parametrize(("at", "offset"), [(10, 11), (10, 300), (10, -1)])
def test_an_offset_that_does_not_fit_is_an_error(weights, at, offset):
    ref = random_windows(1, LENGTH)
    with pytest.raises(EncoderError, match="offset does not fit"):
        make(weights, "downstream:16").embed_pairs(ref, snv(ref[0], at)[None], np.array([offset]))


@pytest.mark.parametrize("pooling", ["mean", "downstream:16"])
def test_finer_arithmetic_is_nearer_to_float32(weights, pooling):
    ref, var, offset = pairs_everywhere(64, [3, 20, 60])

    def difference(precision):
        spec = encoder_spec("demo", revision="0", layer=LAYER, pooling=pooling, device="cpu", precision=precision)
        assert spec.dtype == precision
        return make_encoder(spec, weights=weights, device="cpu").embed_pairs(ref, var, offset)[1]

    truth = difference("float32")
    coarse, wide, split = (
        np.linalg.norm(difference(precision) - truth) / np.linalg.norm(truth)
        for precision in ("bfloat16", "float32_residual", "bfloat16x2")
    )
    assert 0 < 100 * split < wide < coarse < 0.5


def test_a_float32_residual_needs_our_own_forward():
    with pytest.raises(EncoderError, match=r"float32_residual is not offered for layer 'blocks\.6\.projections'"):
        encoder_spec(
            "demo", revision="0", layer="blocks.6.projections", device="cpu", precision="float32_residual"
        )
    with pytest.raises(EncoderError, match="unknown precision 'float16'"):
        encoder_spec("demo", revision="0", layer=LAYER, device="cpu", precision="float16")


def repeat_beside_a_late_variant():
    """An insertion in a repeat, which differs from its reference only 60 bases on, and an SNV behind that."""
    ref = random_windows(2, LENGTH)
    ref[0, 100:160], ref[0, 160] = ord("A"), ord("C")
    var = np.stack([np.concatenate([ref[0, :100], ref[0, 100:101], ref[0, 100:-1]]), snv(ref[1], 250)])
    return ref, var, np.array([100, 250])


@pytest.mark.parametrize("pooling", ["centre:40", "downstream:20", "downstream", "covariance:4"])
def test_a_difference_behind_the_pooled_positions_is_none(weights, pooling):
    ref, var, offset = repeat_beside_a_late_variant()
    encoder = make(weights, pooling)
    found = np.stack(encoder.embed_pairs(ref, var, offset), axis=1)
    of_ref, of_var = (outputs(encoder._model, LAYER, windows) for windows in (ref, var))
    for row in range(2):
        for mine, expected in zip(
            found[row], by_definition(pooling, of_ref[row], of_var[row], int(offset[row])), strict=True
        ):
            norm = np.linalg.norm(found[row][0])
            assert np.linalg.norm(mine - expected) <= TOLERANCE * norm
    alone = encoder.embed_pairs(ref[:1], var[:1], offset[:1])
    assert alone[1].any() == (pooling in ("downstream", "covariance:4"))


def test_more_variants_than_attention_takes_at_once(weights):
    windows = random_windows(2, 140)
    ref = np.repeat(windows, [70, 5], axis=0)
    offset = np.r_[np.arange(70), np.arange(60, 65)]
    var = np.stack([snv(window, at) for window, at in zip(ref, offset, strict=True)])
    assert_by_definition(make(weights, "downstream:16", batch_tokens=10**5), ref, var, offset)


def test_windows_that_differ_at_their_end_only_are_two(weights):
    ref = np.repeat(random_windows(1, LENGTH), 2, axis=0)
    ref[1] = snv(ref[1], LENGTH - 1)
    assert_by_definition(make(weights, "mean"), ref, np.stack([snv(window, 5) for window in ref]), np.full(2, 5))


def test_batches_are_planned_by_what_a_variant_takes(weights):
    encoder = make(weights, "downstream:16", batch_tokens=LENGTH + 16 * 20)
    ref = np.repeat(random_windows(1, LENGTH), 20, axis=0)
    var = np.stack([snv(window, at) for window, at in zip(ref, range(100, 120), strict=True)])
    encoder.embed_pairs(ref, var, np.arange(100, 120))
    assert encoder.windows_computed == 1 + 20


def test_the_originals_mean_is_taken_of_each_windows_own_reference(weights):
    ref = random_windows(3)[[2, 0, 1, 0]]
    var = np.stack([snv(window, 64) for window in ref])
    encoder = make(weights, "mean_bf16")
    vectors, delta = encoder.embed_pairs(ref, var, np.full(4, 64))
    for row in range(4):
        alone = encoder.embed_pairs(ref[row : row + 1], var[row : row + 1], np.full(1, 64))
        rounding = 2**-7 * np.abs(vectors[row]).max()
        assert np.abs(vectors[row] - alone[0][0]).max() <= rounding
        assert np.abs(delta[row] - alone[1][0]).max() <= 2 * rounding
    assert np.array_equal(vectors[1], vectors[3])
    assert np.abs(vectors[0] - vectors[1]).max() > 10 * rounding


@pytest.mark.parametrize("precision", ["bfloat16", "float32_residual", "bfloat16x2"])
@pytest.mark.parametrize("pooling", ["mean", "downstream:16", "covariance:4"])
def test_a_gpus_arithmetic_fits_together(weights, precision, pooling, monkeypatch):
    """A GPU multiplies bfloat16 into float32; here the product is stood in for, and all types and shapes are real."""

    def product(one, other, *, out_dtype):
        assert one.dtype == other.dtype == torch.bfloat16
        return (one.float() @ other.float()).to(out_dtype)

    monkeypatch.setattr(torch, "mm", product)
    ref, var, offset = pairs_everywhere(64, [3, 20, 60])
    spec = encoder_spec("demo", revision="0", layer=LAYER, pooling=pooling, device="cpu", precision=precision)
    found = []
    for as_gpu in (False, True):
        encoder = make_encoder(spec, weights=weights, device="cpu")
        if as_gpu:  # the types that vtx's own cast gives on a GPU
            for block in encoder._model.blocks:
                if hasattr(block, "projections"):
                    block.projections.bfloat16()
            encoder._model.to_bfloat16_except_pr_lc()
        found.append(encoder.embed_pairs(ref, var, offset)[1])
    error = np.linalg.norm(found[1] - found[0]) / np.linalg.norm(found[0])
    assert error < (5e-4 if precision == "bfloat16x2" else 0.3)
