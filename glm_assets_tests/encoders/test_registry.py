"""Specifications by name: what is refused, and what the machine decides."""

from __future__ import annotations

import subprocess
import sys

import pytest

from glm_assets.encoders.evo2 import config as evo2_config
from glm_assets.encoders.registry import ENCODERS, encoder_spec
from glm_assets.errors import EncoderError

LAYER = "blocks.20.mlp.l3"


def make(name: str, device: str = "cpu", layer: str = LAYER, **options):
    return encoder_spec(name, revision="0" * 64, layer=layer, device=device, **options)


@pytest.fixture
def transformer_engine(monkeypatch):
    real = evo2_config.find_spec
    monkeypatch.setattr(
        evo2_config, "find_spec", lambda name: real("json" if name == "transformer_engine" else name)
    )


def test_an_unknown_name_is_an_error_that_lists_the_known():
    with pytest.raises(EncoderError, match=rf"'evo3'.*{', '.join(ENCODERS)}"):
        make("evo3")


def test_evo2_7b_is_four_thousand_wide_and_reads_a_million_bases():
    spec = make("evo2_7b", device="cuda:0")
    assert (spec.dimension, spec.context, spec.dtype, spec.needs) == (4096, 1_048_576, "bfloat16", ())


def test_on_a_cpu_everything_is_float32_and_the_options_of_a_gpu_are_off():
    plain = make("evo2_7b")
    assert plain.dtype == "float32"
    assert make("evo2_7b", fp8=True, cast_all_bf16=True).fingerprint == plain.fingerprint


def test_on_a_gpu_the_original_casts_make_other_vectors():
    plain, cast = make("evo2_7b", device="cuda:0"), make("evo2_7b", device="cuda:0", cast_all_bf16=True)
    assert cast.extras["cast_all_bf16"] is True
    assert cast.fingerprint != plain.fingerprint != make("evo2_7b").fingerprint


@pytest.mark.parametrize("name", ["evo2_1b_base", "evo2_20b", "evo2_40b", "evo2_40b_base"])
def test_sizes_that_need_fp8_are_refused_early_with_the_reason(name):
    with pytest.raises(EncoderError, match=rf"{name} needs FP8 .* the device is a CPU.*use evo2_7b"):
        make(name)
    with pytest.raises(EncoderError, match="Transformer Engine is not installed"):
        make(name, device="cuda:0")


@pytest.mark.usefixtures("transformer_engine")
def test_fp8_is_a_need_and_part_of_the_fingerprint():
    assert make("evo2_40b", device="cuda:0").needs == ("fp8",)
    with_fp8, without = make("evo2_7b", device="cuda:0", fp8=True), make("evo2_7b", device="cuda:0")
    assert with_fp8.needs == ("fp8",)
    assert with_fp8.fingerprint != without.fingerprint


def test_fp8_asked_for_without_transformer_engine_is_an_error_that_says_how_to_do_without():
    with pytest.raises(EncoderError, match=r"Transformer Engine is not installed.*encoder\.fp8"):
        make("evo2_7b", device="cuda:0", fp8=True)


@pytest.mark.parametrize(
    ("layer", "width"),
    [
        ("blocks.25.mlp.l3", 4096),
        ("blocks.27", 4096),
        ("blocks.25.mlp.l1", 11264),
        ("blocks.25.projections", 12288),
        ("blocks.24.inner_mha_cls.Wqkv", 12288),
    ],
)
def test_the_dimension_follows_from_the_layer(layer, width):
    assert make("evo2_7b", layer=layer).dimension == width


@pytest.mark.parametrize("layer", ["blocks.32.mlp.l3", "blocks.x", "norm", "blocks", "blocks.25.", ""])
def test_a_layer_outside_the_blocks_is_an_error_that_names_the_range(layer):
    with pytest.raises(EncoderError, match=r"unknown layer.*blocks\.0 to blocks\.31"):
        make("evo2_7b", layer=layer)


def test_a_missing_evo2_package_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr(evo2_config, "find_spec", lambda name: None)
    with pytest.raises(EncoderError, match=r"evo2 and vtx.*glm_assets\[evo2\]"):
        make("demo")


def test_describing_an_encoder_loads_neither_torch_nor_the_model():
    code = (
        "import sys, glm_assets.encoders, glm_assets.encoders.embed, glm_assets.encoders.weights;"
        "from glm_assets.encoders.registry import encoder_spec;"
        "encoder_spec('demo', revision='0', layer='blocks.25.mlp.l3').fingerprint;"
        "print([name for name in ('torch', 'evo2', 'vortex', 'huggingface_hub', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
