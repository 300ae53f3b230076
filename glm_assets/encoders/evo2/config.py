"""The Evo2 models: their configurations, layers and demands, read without importing evo2, vortex or torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import yaml

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.device import CPU
from glm_assets.encoders.evo2.plan import LOGITS, TWO_FORWARDS, pair_method
from glm_assets.encoders.pooling import Kind, Pooling
from glm_assets.errors import EncoderError

DEMO = "demo"
FLOAT32_RESIDUAL = "float32_residual"
BFLOAT16_SPLIT = "bfloat16x2"
PRECISIONS = ("bfloat16", FLOAT32_RESIDUAL, BFLOAT16_SPLIT, "float32")


@dataclass(frozen=True)
class Evo2Model:
    """One published size.

    Attributes:
        config: File name of its configuration inside the evo2 package.
        repo: Its repository on Hugging Face; None for the demo, which is made on the spot.
        needs_fp8: Whether it only works with FP8 input projections (evo2's README and `Evo2.load_evo2_model`).
        spread: Whether it is too large for one GPU and stays spread over all visible ones, as vtx builds it.
        overrides: Values that replace those of the configuration file.
    """

    config: str
    repo: str | None
    needs_fp8: bool = False
    spread: bool = False
    overrides: Mapping[str, int] | None = None


# The demo keeps the layer plan of the 7B model, so that hook, early exit and all four kinds of mixer are the real
# ones. A single attention head is what makes it quick on a CPU; hcm and hcs need more than one filter group.
_DEMO_SIZE = {
    "hidden_size": 16,
    "num_filters": 16,
    "hcl_filter_groups": 16,
    "hcm_filter_groups": 4,
    "hcs_filter_groups": 4,
    "num_attention_heads": 1,
    "inner_mlp_size": 32,
    "max_seqlen": 8192,
}

EVO2_MODELS: dict[str, Evo2Model] = {
    "evo2_7b": Evo2Model("evo2-7b-1m.yml", "arcinstitute/evo2_7b"),
    "evo2_7b_262k": Evo2Model("evo2-7b-262k.yml", "arcinstitute/evo2_7b_262k"),
    "evo2_7b_base": Evo2Model("evo2-7b-8k.yml", "arcinstitute/evo2_7b_base"),
    "evo2_7b_microviridae": Evo2Model("evo2-7b-8k.yml", "evo-design/evo-2-7b-8k-microviridae"),
    "evo2_1b_base": Evo2Model("evo2-1b-8k.yml", "arcinstitute/evo2_1b_base", needs_fp8=True),
    "evo2_20b": Evo2Model("evo2-20b-1m.yml", "arcinstitute/evo2_20b", needs_fp8=True),
    "evo2_40b": Evo2Model("evo2-40b-1m.yml", "arcinstitute/evo2_40b", needs_fp8=True, spread=True),
    "evo2_40b_base": Evo2Model("evo2-40b-8k.yml", "arcinstitute/evo2_40b_base", needs_fp8=True, spread=True),
    DEMO: Evo2Model("evo2-7b-1m.yml", None, overrides=_DEMO_SIZE),
}

_LAYER = re.compile(r"blocks\.(0|[1-9]\d*)(?:\.(.+))?")
# Submodules whose output is not as wide as the residual stream, as multiples of a configuration value.
_WIDTHS = {
    "mlp.l1": (1, "inner_mlp_size"),
    "mlp.l2": (1, "inner_mlp_size"),
    "projections": (3, "hidden_size"),
    "inner_mha_cls.Wqkv": (3, "hidden_size"),
}


def evo2_spec(
    name: str,
    *,
    revision: str,
    layer: str,
    pooling: str,
    device: str,
    precision: str = "auto",
    reverse_complement: bool = False,
    fp8: bool = False,
    cast_all_bf16: bool = False,
) -> EncoderSpec:
    """Say what an Evo2 encoder's vectors are.

    Args:
        name: A key of `EVO2_MODELS`.
        revision: SHA-256 of the weights file.
        layer: `blocks.N` or a submodule of it; or `logits`, which goes with `log_likelihood` and `positions:N`.
        pooling: As `Pooling.parse` reads it.
        device: `cpu` or `cuda:N`.
        precision: `bfloat16`, `float32_residual` (products in bfloat16, added up in float32), `bfloat16x2` (besides,
            activations as the sum of two bfloat16 numbers), `float32`, or `auto`: float32 on a CPU, where few
            processors multiply bfloat16 any faster, and bfloat16 on a GPU.
        reverse_complement: Average the vectors over both strands.
        fp8: Use FP8 input projections on a GPU; a vector then depends on the batches before it.
        cast_all_bf16: Cast poles, filters and rotary frequencies to bfloat16 too and run under autocast, as the
            original pipeline does on its GPU. vtx keeps them in float32 for a reason; only for old vectors.

    Raises:
        EncoderError: The layer, pooling or precision is unknown, or the model cannot run so or on this machine.
    """
    config = model_config(name)
    pooled = Pooling.parse(pooling)
    check_layer(layer, pooled)
    on_gpu = device != CPU
    needs_fp8 = EVO2_MODELS[name].needs_fp8
    use_fp8 = needs_fp8 or (fp8 and on_gpu)
    if use_fp8:
        _require_fp8(name, device, needs_fp8)
    cast_all = cast_all_bf16 and on_gpu
    dtype = _arithmetic(precision, on_gpu=on_gpu)
    method = pair_method(layer, pooled, cast_all_bf16=cast_all, fp8=use_fp8)
    if dtype in (FLOAT32_RESIDUAL, BFLOAT16_SPLIT) and method == TWO_FORWARDS:
        raise EncoderError(
            f"precision {precision} is not offered for layer {layer!r} with pooling {pooling!r}",
            expected="a block, its mlp or mlp.l3, without FP8, the original's casts and pooling, and positions",
            fix="set encoder.precision to bfloat16 or float32",
        )
    return EncoderSpec(
        name=name,
        revision=revision,
        layer=layer,
        pooling=pooling,
        dimension=pooled.dimension(layer_width(layer, config)),
        context=config["max_seqlen"],
        dtype=dtype,
        reverse_complement=reverse_complement,
        needs=("fp8",) if use_fp8 else (),
        extras={"cast_all_bf16": cast_all, "pairs": method},
    )


def check_layer(layer: str, pooling: Pooling) -> None:
    """Refuse poolings of inner layers that only the model's output has, and the reverse.

    Raises:
        EncoderError: The two do not go together.
    """
    fits = ("log_likelihood", "positions") if layer == LOGITS else set(get_args(Kind)) - {"log_likelihood"}
    if pooling.kind not in fits or pooling.is_of_tokens:
        raise EncoderError(
            f"layer {layer!r} does not go with pooling {pooling.name!r}",
            expected=f"{LOGITS} with log_likelihood or positions:COUNT, a block or a submodule of it with every other "
            "pooling than log_likelihood",
        )


def _arithmetic(precision: str, *, on_gpu: bool) -> str:
    if precision == "auto":
        return "bfloat16" if on_gpu else "float32"
    if precision not in PRECISIONS:
        raise EncoderError(f"unknown precision {precision!r}", expected=f"auto, {', '.join(PRECISIONS)}")
    return precision


def model_config(name: str) -> dict[str, Any]:
    """The configuration that vortex builds the model from."""
    model = EVO2_MODELS[name]
    package = find_spec("evo2")
    if package is None or package.origin is None:
        raise EncoderError(
            f"encoder {name} needs the packages evo2 and vtx", fix="install them: pip install 'glm_assets[evo2]'"
        )
    path = Path(package.origin).parent / "configs" / model.config
    return deepcopy(_read_config(path)) | dict(model.overrides or {})


@cache  # every product that depends on the encoder asks, many times in a look at the whole lineage
def _read_config(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def blocks_needed(layer: str, config: Mapping[str, Any]) -> int:
    """How many blocks run until the layer's output is there; the model is built no deeper (early exit).

    All of them for `logits`.

    Raises:
        EncoderError: The layer is not inside one of the model's blocks.
    """
    if layer == LOGITS:
        return config["num_layers"]
    match = _LAYER.fullmatch(layer)
    if match is None or int(match[1]) >= config["num_layers"]:
        raise EncoderError(
            f"unknown layer {layer!r}",
            expected=f"blocks.0 to blocks.{config['num_layers'] - 1}, or a submodule such as blocks.25.mlp.l3",
        )
    return int(match[1]) + 1


def layer_width(layer: str, config: Mapping[str, Any]) -> int:
    """Length of the vectors that a layer puts out at each position."""
    blocks_needed(layer, config)
    if layer == LOGITS:
        return config["vocab_size"]
    submodule = layer.split(".", 2)[2] if layer.count(".") > 1 else ""
    factor, key = _WIDTHS.get(submodule, (1, "hidden_size"))
    return factor * config[key]


def fp8_missing(device: str) -> str | None:
    """Why a device cannot project in FP8; None where it can, as far as can be told without asking it."""
    if device == CPU:
        return "the device is a CPU"
    return "Transformer Engine is not installed" if find_spec("transformer_engine") is None else None


def _require_fp8(name: str, device: str, always: bool) -> None:
    if missing := fp8_missing(device):
        raise EncoderError(
            f"encoder {name} needs FP8 input projections, but {missing}",
            expected="an NVIDIA GPU with FP8 (Hopper or newer) and Transformer Engine",
            fix="use evo2_7b, which runs without FP8" if always else "set encoder.fp8 to false",
        )
