"""The Evo-1 models: configurations, layers and demands, read without importing evo, stripedhyena or torch.

A configuration bears the names of Evo2's besides its own: Evo-1's one kind of convolution is Evo2's long one (hcl), so
that layers, widths and costs are found by the same functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.evo2.config import check_layer, layer_width
from glm_assets.encoders.evo2.plan import TWO_FORWARDS
from glm_assets.encoders.offers import refuse_evo2_options, weights_type
from glm_assets.encoders.pooling import Pooling
from glm_assets.errors import EncoderError

DEMO = "evo1_demo"
INSTALL = "pip install --no-deps stripedhyena==0.2.2 evo-model==0.5"

# The branch `main` of the published repositories is older than their corrected weights, which evo itself asks for.
CORRECTED = "1.1_fix"


@dataclass(frozen=True)
class Evo1Model:
    """One published model.

    Attributes:
        config: File name of its configuration inside the package evo.
        context: Longest window in bases; the configurations state 8,192 for both.
        repo: Its repository on Hugging Face; None for the demo, which is made on the spot.
        overrides: Values that replace those of the configuration file.
    """

    config: str
    context: int
    repo: str | None
    overrides: Mapping[str, int] | None = None


# The demo keeps all 32 blocks with their three attention layers, so that hooks and both mixers are the real ones.
_DEMO_SIZE = {"hidden_size": 16, "num_filters": 16, "num_attention_heads": 1, "inner_mlp_size": 32}

EVO1_MODELS: dict[str, Evo1Model] = {
    "evo1": Evo1Model("evo-1-8k-base_inference.yml", 8_192, "togethercomputer/evo-1-8k-base"),
    "evo1_131k": Evo1Model("evo-1-131k-base_inference.yml", 131_072, "togethercomputer/evo-1-131k-base"),
    DEMO: Evo1Model("evo-1-8k-base_inference.yml", 8_192, None, _DEMO_SIZE),
}


def evo1_spec(
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
    """Say what an Evo-1 encoder's vectors are.

    Args:
        name: A key of `EVO1_MODELS`.
        revision: SHA-256 of the weights.
        layer: `blocks.N` or a submodule of it; or `logits`, which goes with `log_likelihood` and `positions:N`.
        pooling: As `Pooling.parse` reads it.
        device: `cpu` or `cuda:N`.
        precision: `float32`, `bfloat16` (poles and residues stay in float32, as evo keeps them), or `auto` for the
            first on a CPU and the second on a GPU.
        reverse_complement: Average the vectors over both strands.
        fp8: Not offered.
        cast_all_bf16: Not offered.

    Raises:
        EncoderError: The layer, pooling or precision is unknown, an option is not offered, or a package is missing.
    """
    config = evo1_config(name)
    pooled = Pooling.parse(pooling)
    check_layer(layer, pooled)
    refuse_evo2_options(name, fp8=fp8, cast_all_bf16=cast_all_bf16)
    return EncoderSpec(
        name=name,
        revision=revision,
        layer=layer,
        pooling=pooling,
        dimension=pooled.dimension(layer_width(layer, config)),
        context=EVO1_MODELS[name].context,
        dtype=weights_type(name, precision, device),
        reverse_complement=reverse_complement,
        extras={"cast_all_bf16": False, "pairs": TWO_FORWARDS},
    )


def evo1_config(name: str) -> dict[str, Any]:
    """The configuration that stripedhyena builds the model from.

    Raises:
        EncoderError: A package is missing.
    """
    package = find_spec("evo")
    folder = Path(package.origin).parent / "configs" if package and package.origin else None
    model = EVO1_MODELS[name]
    if find_spec("stripedhyena") is None or folder is None or not (folder / model.config).is_file():
        raise EncoderError(
            f"encoder {name} needs the packages evo-model and stripedhyena",
            expected="both without their dependencies: they ask for flash-attn, which is not used",
            fix=f"install them: {INSTALL}",
        )
    config = {**_read_config(folder / model.config), **(model.overrides or {}), "use_flash_attn": False}
    config["inner_mlp_size"] = config["inner_mlp_size"] or _inner_size(config)
    long_ones = {"hcl_layer_idxs": config["hyena_layer_idxs"]}
    return config | long_ones | {"hcm_layer_idxs": [], "hcs_layer_idxs": [], "hcs_filter_length": 0}


@cache  # every product that depends on the encoder asks
def _read_config(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _inner_size(config: Mapping[str, Any]) -> int:
    """Width inside the MLP as stripedhyena fills it in: 8/3 of the model's, rounded up to a multiple."""
    size, multiple = int(2 * config["hidden_size"] * 4 / 3), config["inner_size_multiple_of"]
    return -(-size // multiple) * multiple
