"""The formula for FLOPs against torch's counter on the real modules, and what encoders say of their savings."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("vortex")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from glm_assets.encoders.base import Flops  # noqa: E402
from glm_assets.encoders.evo2.config import model_config  # noqa: E402
from glm_assets.encoders.evo2.flops import Evo2Flops  # noqa: E402
from glm_assets.encoders.registry import encoder_spec, make_encoder  # noqa: E402
from glm_assets_tests.encoders.conftest import LAYER, random_windows  # noqa: E402

LENGTH = 128


def count(compute):
    """FLOPs that torch counts, with FFTs of n points as 5 n log2 n."""

    def real(shape, dim, *_, **__):
        return round(math.prod(shape) * 5 * math.log2(shape[dim[0]]))

    def back(shape, dim, _, n, **__):
        return round(math.prod(shape) / shape[dim[0]] * 5 * n * math.log2(n))

    def attention(q, k, *_, **__):
        return 4 * math.prod(q) * k[2]

    aten = torch.ops.aten
    unknown = {
        aten._fft_r2c: real,
        aten._fft_c2c: real,
        aten._fft_c2r: back,
        aten._scaled_dot_product_flash_attention_for_cpu: attention,
    }
    counter = FlopCounterMode(display=False, custom_mapping=unknown)
    with counter, torch.inference_mode():
        compute()
    return counter.get_total_flops()


def make(weights, pooling="mean"):
    spec = encoder_spec("demo", revision="0", layer=LAYER, pooling=pooling, device="cpu")
    return make_encoder(spec, weights=weights, device="cpu", batch_tokens=10**6)


def pairs(references, variants, place):
    ref = random_windows(references, LENGTH)[np.arange(variants) % references]
    var = ref.copy()
    var[:, place] = np.where(ref[:, place] == ord("A"), ord("C"), ord("A"))
    return ref, var, np.full(variants, place)


@pytest.mark.parametrize(
    ("pooling", "transformed"), [("mean", [128]), ("downstream:16", [56, 16]), ("downstream:64", [104, 64])]
)
@pytest.mark.parametrize(("references", "variants"), [(1, 12), (6, 6)])
def test_what_an_encoder_says_it_computed_is_what_torch_counts(
    weights, pooling, transformed, references, variants
):
    encoder = make(weights, pooling)
    batch = pairs(references, variants, 40)
    counted = count(lambda: encoder.embed_pairs(*batch))
    # Of the filters themselves, once a batch, at each length: too little to be counted where batches are real.
    transforms = sum(map(Evo2Flops(model_config("demo"), 26).filter_transforms, transformed))
    assert encoder.flops.computed == pytest.approx(counted - transforms, rel=0.005)


def test_savings_add_up_to_what_was_not_computed(weights):
    encoder = make(weights)
    encoder.embed_pairs(*pairs(2, 8, 64))
    flops = encoder.flops
    assert flops.original > flops.early_exit > flops.shared_prefix > flops.computed > 0
    saved = flops.saved_shares()
    assert sum(saved.values()) == pytest.approx(1 - flops.computed / flops.original)
    config = model_config("demo")
    full = Evo2Flops(config, 32)
    window = LENGTH * (full.token + full.unembedding) + full.mixers(LENGTH)
    assert flops.original == pytest.approx(16 * window)


def test_the_original_computes_whole_windows_whatever_is_pooled(weights):
    ref = random_windows(1, LENGTH)
    var = ref.copy()
    var[0, 40] = ord("A") if ref[0, 40] != ord("A") else ord("C")
    mean, few = make(weights), make(weights, "downstream:16")
    for encoder in (mean, few):
        encoder.embed_pairs(ref, var, np.array([40]))
    assert (few.flops.original, few.flops.early_exit) == (mean.flops.original, mean.flops.early_exit)
    assert few.flops.computed < mean.flops.computed
    mean.forget_work()
    mean.embed(ref)
    assert mean.flops.computed == mean.flops.shared_prefix < mean.flops.early_exit < mean.flops.original
    assert Evo2Flops(model_config("demo"), 32).unembedding == 2 * 16 * 512


def test_an_encoder_that_cannot_tell_says_nothing():
    assert Flops().saved_shares() is None
