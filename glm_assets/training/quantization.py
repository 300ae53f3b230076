"""4-bit base weights under trained adapters: QLoRA (T. Dettmers et al., arXiv:2305.14314), by bitsandbytes.

Importing this module imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from glm_assets.encoders.device import CPU
from glm_assets.errors import TrainingError

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig


def nf4_settings(device: str) -> BitsAndBytesConfig:
    """The paper's setting: NormalFloat-4 in blocks of 64 whose scales are quantised too.

    Args:
        device: `cpu` or `cuda:N`; matrices are multiplied in float32 on the first, in bfloat16 on the second.

    Raises:
        TrainingError: bitsandbytes is not installed.
    """
    try:
        import bitsandbytes  # noqa: F401 - transformers itself would complain in the middle of loading
        from transformers import BitsAndBytesConfig
    except ImportError as error:
        raise TrainingError(
            f"4-bit weights need bitsandbytes: {error}", fix="pip install 'glm_assets[studies]'"
        ) from error
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype(device),
    )


def compute_dtype(device: str) -> torch.dtype:
    """What matrices are multiplied in: float32 on a CPU, bfloat16 on a GPU."""
    return torch.float32 if device == CPU else torch.bfloat16


def quantized_layers(model: nn.Module) -> list[str]:
    """Names of the layers whose weights are 4-bit."""
    from bitsandbytes.nn.modules import Linear4bit

    return [name for name, module in model.named_modules() if isinstance(module, Linear4bit)]


def prepare_quantized(model: nn.Module) -> None:
    """Make a model with 4-bit weights fit to be trained, in place.

    Where a CPU can multiply in bfloat16, bitsandbytes packs the weights anew the first time a layer is evaluated. Such
    a layer has no gradient any more and rounds more, so that a training would go wrong after its first validation.

    Raises:
        TrainingError: No layer is quantised.
    """
    layers = quantized_layers(model)
    if not layers:
        raise TrainingError(
            f"{type(model).__name__} has no linear layers that can be 4-bit", fix="set the method to lora"
        )
    for name in layers:
        layer: Any = model.get_submodule(name)
        layer.support_avx512bf16_for_cpu = False
