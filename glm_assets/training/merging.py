"""Adapters in the weights they sit on, and out of them again. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from glm_assets.errors import TrainingError

if TYPE_CHECKING:
    from peft import PeftModel


@contextmanager
def merged(model: PeftModel) -> Iterator[None]:
    """Have the adapters in the weights for the block: one product a layer instead of three.

    The weights before are put back as they were, bit by bit; a copy of the model that shares them never sees others.

    Raises:
        TrainingError: The weights are quantised, or of a type so short that small changes would be rounded away.
    """
    unmerge = merge_adapters(model)
    try:
        yield
    finally:
        unmerge()


def merge_adapters(model: PeftModel) -> Callable[[], None]:
    """As `merged`, until the function that this returns is called."""
    from peft.tuners.lora import LoraLayer

    layers: list[Any] = [module for module in model.modules() if isinstance(module, LoraLayer)]
    odd = {layer.get_base_layer().weight.dtype for layer in layers} - {torch.float32, torch.float64}
    if odd or getattr(model.get_base_model(), "is_quantized", False):
        raise TrainingError(
            f"adapters are not merged into weights of {', '.join(map(str, odd)) or '4 bits'}: small changes would be"
            " rounded away",
            expected="weights in float32",
        )
    before = []
    with torch.no_grad():
        for layer in layers:
            base = layer.get_base_layer()
            before.append((base, base.weight))
            base.weight = nn.Parameter(base.weight + layer.get_delta_weight("default"), requires_grad=False)
    tuner: Any = model.base_model
    tuner.disable_adapter_layers()

    def unmerge() -> None:
        for base, weight in before:
            base.weight = weight
        tuner.enable_adapter_layers()

    return unmerge
